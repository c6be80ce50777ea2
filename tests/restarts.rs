//! Brokers that are restarted in the middle of a run: nothing is lost, and the run ends well.
//!
//! These tests restart the brokers that `cargo xtask brokers up` started, so they have a program of their own and run one
//! at a time. `PYPZ_TEST_ROUNDS` repeats them.

#![cfg(all(feature = "kafka", feature = "rabbitmq"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pypz_testkit::names;
use pypz_testkit::processes::Running;

/// How long a run may take once its broker is back.
const AFTERWARDS: Duration = Duration::from_secs(20);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn brokers(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["xtask", "brokers"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

/// Restarts a broker in the middle of 100,000 records. Says how many came, and how many of them twice.
fn restart(broker: &str, how: &[&str]) -> (u64, String) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let location = brokers(&["up", broker]);
    let example = std::env::current_exe().unwrap();
    let example = example
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/pipelines");
    let name = names::unique("restart");
    let arguments = [
        "fanout",
        "--location",
        &location,
        "--name",
        &name,
        "--replicas",
        "4",
        "--records",
        "100000",
        "--rate",
        "20000",
        "--patience",
        "60",
        "--json",
    ];
    let mut running = Running::start(Command::new(example).args(arguments).env_remove("RUST_LOG"));
    running.wait_for_line(Duration::from_secs(30), |line| {
        line.starts_with("fanout: ") && !line.starts_with("fanout: 0 sent, 0 received")
    });
    brokers(&[&["restart"], how, &[broker]].concat());
    let back = Instant::now();
    let ended = running.wait(Duration::from_secs(120));
    assert!(
        back.elapsed() < AFTERWARDS,
        "{:?} after the broker was back",
        back.elapsed()
    );
    assert!(ended.stderr.contains("fanout: 0 lost"), "{}", ended.stderr);
    let line: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    (line["received"].as_u64().unwrap(), ended.stderr)
}

fn rounds() -> u32 {
    std::env::var("PYPZ_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

#[test]
fn a_kafka_that_is_restarted_or_killed_loses_and_doubles_nothing() {
    for _ in 0..rounds() {
        for how in [&[][..], &["--kill"]] {
            let (received, stderr) = restart("kafka", how);
            assert_eq!(received, 100_000, "{stderr}");
        }
    }
}

#[test]
fn a_rabbitmq_that_is_restarted_or_killed_loses_nothing() {
    for _ in 0..rounds() {
        for how in [&[][..], &["--kill"]] {
            let (received, stderr) = restart("rabbitmq", how);
            // What was in hand may come again, to another replica.
            assert!((100_000..110_000).contains(&received), "{received}: {stderr}");
        }
    }
}
