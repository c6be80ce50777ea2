//! Runs a job's pipeline as the options say, and reports how it ended.

use std::collections::BTreeMap;

use pypz::{ExitStatus, Pipeline};

use crate::metrics::METRICS;
use crate::options::{Common, Job};
use crate::{fanout, flights, metrics, output, progress};

/// Runs the pipeline and returns the exit status of the process.
pub(crate) async fn run(pipeline: &mut Pipeline, job: &Job, common: &Common) -> ExitStatus {
    match (job, &common.location) {
        (Job::Run(_), None) => {}
        _ => {
            pipeline.relocate(common.location());
        }
    }
    pipeline.mode(common.mode).patience(common.patience);
    if common.exactly_once {
        pipeline.exactly_once();
    }
    if !common.channel_config.is_empty() {
        let config: BTreeMap<String, String> = common.channel_config.iter().cloned().collect();
        pipeline.set_parameter(">>channelConfig", serde_json::json!(config));
    }
    if common.fresh {
        pipeline.fresh();
    }
    output::quiet(common.json);
    let watching = match common.json {
        true => tokio::spawn(metrics::sample()),
        false => tokio::spawn(progress::show(job.clone())),
    };

    METRICS.start();
    let ended = match &common.only[..] {
        [] => pipeline.execute().await,
        parts => {
            let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            pipeline.execute_only(parts.iter().map(String::as_str)).await
        }
    };
    METRICS.stop();

    watching.abort();
    // Aborted or done: either way the progress bar is gone then.
    let _ = watching.await;
    let status = match ended {
        Ok(report) => report.status,
        Err(error) => {
            eprintln!("error: {error}");
            error.status
        }
    };
    let status = match job {
        Job::Hello(_) | Job::Signals(_) => status,
        Job::Flights(_) => flights::report_skipped(status),
        Job::Fanout(_) | Job::Run(_) => fanout::verdict(
            flights::report_skipped(status),
            common.location().starts_with("amqp"),
        ),
    };
    if common.json {
        output::json_line(&METRICS.line(job, common, status));
    }
    status
}
