//! `cargo xtask test`: every test of the workspace, against real brokers.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::brokers::{self, Borrowed, Kind, Purpose};
use crate::{cargo, python, setup};

/// Where the tests look for each broker: the environment variable, and the scheme that stands before its value in a
/// location but not in the variable.
const VARIABLES: [(Kind, &str, &str); 2] = [
    (Kind::Kafka, "PYPZ_TEST_KAFKA", "kafka://"),
    (Kind::Rabbitmq, "PYPZ_TEST_AMQP", ""),
];

/// How often each pipeline of two languages runs in full.
const ROUNDS: &str = "20";

/// Runs all tests and returns the exit code of `cargo test`.
pub(crate) fn run(mixed_full: bool, arguments: &[String]) -> Result<ExitCode> {
    setup::ensure(setup::BUILD)?;
    let mut borrowed = Vec::new();
    let mut tests = cargo();
    match mixed_full {
        true => tests
            .args([
                "test",
                "--all-features",
                "--test",
                "mixed",
                "--",
                "--include-ignored",
            ])
            .args(arguments)
            .env("PYPZ_TEST_ROUNDS", ROUNDS)
            .env("PYPZ_MIXED_FULL", "1"),
        false => tests
            .args(["test", "--workspace", "--all-features"])
            .args(arguments),
    };
    let outcome = with_brokers(&mut borrowed, tests);
    // All are given back before one that would not stop is an error.
    let given_back: Vec<_> = borrowed.into_iter().map(Borrowed::give_back).collect();
    given_back.into_iter().collect::<Result<()>>()?;
    outcome
}

/// Starts the brokers that nobody names, and runs the tests.
fn with_brokers(borrowed: &mut Vec<Borrowed>, mut tests: Command) -> Result<ExitCode> {
    tests.env(python::VARIABLE, python::interpreter()?);
    plain_brokers(borrowed, &mut tests)?;
    // The tests of security find these by their state files.
    for kind in [Kind::Kafka, Kind::Rabbitmq] {
        borrowed.push(brokers::borrow(kind, Purpose::Secure)?);
    }
    let status = tests.status().context("cannot run cargo test")?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Tells a command where the brokers are, and starts those that nobody names.
pub(crate) fn plain_brokers(borrowed: &mut Vec<Borrowed>, command: &mut Command) -> Result<()> {
    for (kind, variable, scheme) in VARIABLES {
        let address = if let Ok(address) = std::env::var(variable) {
            address
        } else {
            let broker = brokers::borrow(kind, Purpose::Plain)?;
            let address = broker.location().trim_start_matches(scheme).to_owned();
            borrowed.push(broker);
            address
        };
        eprintln!("{variable}={address}");
        command.env(variable, address);
    }
    Ok(())
}
