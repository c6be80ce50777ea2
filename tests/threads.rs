//! What a run leaves behind in its process.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::time::{Duration, Instant};

use pypz::ExitStatus;
use pypz::prelude::*;

/// Ends at once, well or not.
#[derive(OperatorSpec, Default)]
struct Brief {
    #[parameter]
    fails: bool,
}

impl Operator for Brief {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        anyhow::ensure!(!self.fails, "told to");
        Ok(Progress::Done)
    }
}

/// How many threads carry status or watch over a drain.
fn control_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "pypz-control").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_no_thread_and_nobody_who_would_end_the_process_later() {
    for fails in [false, true, false, true] {
        let mut pipeline = Pipeline::new("brief");
        pipeline.operator::<Brief>("brief").fails(fails);
        let status = pipeline
            .execute()
            .await
            .map_or_else(|error| error.status, |report| report.status);
        assert_eq!(
            status,
            if fails {
                ExitStatus::Running
            } else {
                ExitStatus::Done
            }
        );
    }
    let start = Instant::now();
    while control_threads() > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{} control threads are left",
            control_threads()
        );
        tokio::task::yield_now().await;
    }
}
