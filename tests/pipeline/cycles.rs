//! Operators that feed each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pypz::ExitStatus;
use pypz::prelude::*;

use super::{Numbers, Relay};

/// Sends each number back until it is zero.
#[derive(OperatorSpec, Default)]
struct Countdown {
    input: InputPort<u32>,
    again: InputPort<u32>,
    output: OutputPort<u32>,
}

impl Operator for Countdown {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = tokio::select! {
            batch = self.input.retrieve(), if !self.input.is_ended() => batch?,
            batch = self.again.retrieve() => batch?,
        };
        let counted: Vec<u32> = batch
            .into_iter()
            .filter_map(|number| number.checked_sub(1))
            .collect();
        self.output.send_all(counted).await?;
        Ok(Progress::UntilInputsEnd)
    }
}

#[tokio::test]
async fn a_cycle_runs_where_the_user_says_what_ends_it_and_is_refused_otherwise() {
    let cycle = |ended: bool| {
        let mut pipeline = Pipeline::new("cycle");
        let numbers = pipeline.operator::<Numbers>("numbers").count(5);
        let countdown = pipeline.operator::<Countdown>("countdown");
        let relay = pipeline.operator::<Relay>("relay");
        pipeline.connect(numbers.output(), countdown.input());
        pipeline.connect(countdown.output(), relay.input());
        let back = pipeline.connect(relay.output(), countdown.again());
        if ended {
            back.ends_cycle();
        }
        pipeline
    };
    let error = cycle(false).validate().unwrap_err().to_string();
    assert!(
        error.contains("operators countdown, relay feed each other in a cycle"),
        "{error}"
    );
    let run = tokio::time::timeout(Duration::from_secs(30), async { cycle(true).execute().await });
    assert_eq!(
        run.await.expect("the cycle ends").unwrap().status,
        ExitStatus::Done
    );
}

/// Sends what it got only after the cycle's end is gone.
#[derive(OperatorSpec, Default)]
struct Late {
    input: InputPort<u32>,
    output: OutputPort<u32>,
}

/// Takes no more of the cycle than its own input.
#[derive(OperatorSpec, Default)]
struct Impatient {
    input: InputPort<u32>,
    again: InputPort<u32>,
    output: OutputPort<u32>,
}

static IMPATIENT: AtomicBool = AtomicBool::new(false);

impl Operator for Late {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        while !IMPATIENT.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.output.send_all(batch).await?;
        Ok(Progress::UntilInputsEnd)
    }
}

impl Operator for Impatient {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        self.output.send_all(batch).await?;
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        IMPATIENT.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn what_comes_after_the_end_of_a_cycle_fails_nobody() {
    let mut pipeline = Pipeline::new("impatient");
    let numbers = pipeline.operator::<Numbers>("numbers").count(5);
    let impatient = pipeline.operator::<Impatient>("impatient");
    let late = pipeline.operator::<Late>("late");
    pipeline.connect(numbers.output(), impatient.input());
    pipeline.connect(impatient.output(), late.input());
    pipeline.connect(late.output(), impatient.again()).ends_cycle();
    let run = tokio::time::timeout(Duration::from_secs(30), pipeline.execute());
    assert_eq!(
        run.await.expect("the cycle ends").unwrap().status,
        ExitStatus::Done
    );
}
