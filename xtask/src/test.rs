//! `cargo xtask test`: every test of the workspace, against a real broker.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::brokers::{self, Kind};
use crate::{cargo, setup};

/// The environment variable which tells the tests where Kafka listens, as `HOST:PORT`.
const KAFKA: &str = "PYPZ_TEST_KAFKA";

/// Runs all tests and returns the exit code of `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    setup::ensure(setup::BUILD)?;
    if let Ok(address) = std::env::var(KAFKA) {
        return cargo_test(arguments, &address);
    }
    let kafka = brokers::borrow(Kind::Kafka)?;
    let outcome = cargo_test(arguments, kafka.address());
    kafka.give_back()?;
    outcome
}

fn cargo_test(arguments: &[String], kafka: &str) -> Result<ExitCode> {
    eprintln!("running all tests with {KAFKA}={kafka}");
    let status = cargo()
        .args(["test", "--workspace", "--all-features"])
        .args(arguments)
        .env(KAFKA, kafka)
        .status()
        .context("cannot run cargo test")?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}
