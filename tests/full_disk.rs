//! What a program does whose stderr is on a full disk.

use std::fs::OpenOptions;
use std::process::{Command, ExitCode};

use pypz::prelude::*;

/// Says to a process that it is the one whose stderr is full.
const FULL: &str = "PYPZ_TEST_STDERR_IS_FULL";

#[derive(OperatorSpec, Default)]
struct Failing {
    output: OutputPort<String>,
}

impl Operator for Failing {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        anyhow::bail!("nobody reads this")
    }
}

#[derive(OperatorSpec, Default)]
struct Reader {
    input: InputPort<String>,
}

impl Operator for Reader {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.input.retrieve().await?;
        Ok(Progress::UntilInputsEnd)
    }
}

#[tokio::test]
async fn a_run_that_fails_has_its_exit_code_although_its_words_cannot_be_written() {
    if std::env::var_os(FULL).is_some() {
        let mut pipeline = Pipeline::new("full");
        let failing = pipeline.operator::<Failing>("failing");
        let reader = pipeline.operator::<Reader>("reader");
        pipeline.connect(failing.output(), reader.input());
        assert_eq!(pipeline.run().await, ExitCode::from(115));
        return;
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let name = "a_run_that_fails_has_its_exit_code_although_its_words_cannot_be_written";
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FULL, "1")
        .stderr(full)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
