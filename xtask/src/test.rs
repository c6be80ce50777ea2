//! `cargo xtask test`: every test of the workspace, against real brokers.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::brokers::{self, Borrowed, Kind, Purpose};
use crate::{cargo, python, setup};

/// Where the tests look for each broker: the environment variable, and the scheme that stands before its value in a
/// location but not in the variable.
const VARIABLES: [(Kind, &str, &str); 2] = [
    (Kind::Kafka, "PYPZ_TEST_KAFKA", "kafka://"),
    (Kind::Rabbitmq, "PYPZ_TEST_AMQP", ""),
];

/// Runs all tests and returns the exit code of `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    setup::ensure(setup::BUILD)?;
    let mut borrowed = Vec::new();
    let outcome = with_brokers(&mut borrowed, arguments);
    // All are given back before one that would not stop is an error.
    let given_back: Vec<_> = borrowed.into_iter().map(Borrowed::give_back).collect();
    given_back.into_iter().collect::<Result<()>>()?;
    outcome
}

/// Starts the brokers that nobody names, and runs the tests.
fn with_brokers(borrowed: &mut Vec<Borrowed>, arguments: &[String]) -> Result<ExitCode> {
    let mut tests = cargo();
    tests
        .args(["test", "--workspace", "--all-features"])
        .args(arguments)
        .env(python::VARIABLE, python::interpreter()?);
    for (kind, variable, scheme) in VARIABLES {
        let address = if let Ok(address) = std::env::var(variable) {
            address
        } else {
            let broker = brokers::borrow(kind, Purpose::Plain)?;
            let address = broker.location().trim_start_matches(scheme).to_owned();
            borrowed.push(broker);
            address
        };
        eprintln!("running all tests with {variable}={address}");
        tests.env(variable, address);
    }
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
