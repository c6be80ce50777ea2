//! The example `pipelines` as a user runs it: processes, in memory and on real brokers.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod files;
mod memory;

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod on_brokers;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pypz_testkit::processes::{Ended, Running};

const DEADLINE: Duration = Duration::from_secs(120);

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/pipelines");
    assert!(
        built.exists(),
        "{} is not there: run the tests with `cargo test`, which builds examples",
        built.display()
    );
    built
}

fn start(arguments: &[&str]) -> Running {
    Running::start(Command::new(example()).args(arguments).env_remove("RUST_LOG"))
}

fn run(arguments: &[&str]) -> Ended {
    start(arguments).wait(DEADLINE)
}

fn read(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn expected(name: &str) -> serde_json::Value {
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/data")
            .join(name),
    )
}

/// Runs a job to an output file and compares that with what is right.
fn is_right(arguments: &[&str], right: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output.json");
    let ended = run(&[arguments, &["--output", output.to_str().unwrap()]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(read(&output), expected(right));
}
