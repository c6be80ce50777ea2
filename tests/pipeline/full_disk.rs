//! What a program does whose stderr is on a full disk.

use std::fs::OpenOptions;
use std::process::{Command, ExitCode};

use pypz::prelude::*;

use super::numbers;

/// Says to a process that it is the one whose stderr is full.
const FULL: &str = "PYPZ_TEST_STDERR_IS_FULL";

const NAME: &str = "full_disk::a_run_that_fails_has_its_exit_code_although_its_words_cannot_be_written";

#[tokio::test]
async fn a_run_that_fails_has_its_exit_code_although_its_words_cannot_be_written() {
    if std::env::var_os(FULL).is_some() {
        let mut pipeline = numbers("full", 10, 1, Partitioning::RoundRobin);
        pipeline.set_parameter("numbers.failAt", 5);
        assert_eq!(pipeline.run().await, ExitCode::from(115));
        return;
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FULL, "1")
        .stderr(full)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{}:\n{said}",
        ended.status
    );
}
