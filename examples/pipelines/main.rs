//! Four pipelines to try pypz with, and any that a file describes, in memory, on Apache Kafka or on RabbitMQ, as one process or as one per replica.
//!
//! `cargo run --example pipelines` runs the flights job in memory; `-- --help` says what else there is. A good order to
//! read the code in: `hello.rs`, `flights/mod.rs` and the operators beside it, `signals/`, `fanout/`.

mod fanout;
mod files;
mod flights;
mod hello;
mod metrics;
mod options;
mod output;
mod pace;
mod progress;
mod run;
mod signals;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use pypz::{ExitStatus, Pipeline};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::options::{Command, Common, Job, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let Options { command, common } = match Options::try_parse() {
        Ok(options) => options,
        Err(asked) => {
            let _ = asked.print();
            return match asked.use_stderr() {
                true => ExitStatus::Configuration.into(),
                false => ExitCode::SUCCESS,
            };
        }
    };
    log_to_stderr();
    let ended = match command.unwrap_or_default() {
        Command::File(command) => files::run(&command, &common),
        Command::Job(job) => match pipeline(&job, &common) {
            Ok(mut pipeline) => Ok(run::run(&mut pipeline, &job, &common).await),
            Err(error) => Err(error),
        },
    };
    let status = ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitStatus::Configuration
    });
    status.into()
}

/// Builds the pipeline of a job.
fn pipeline(job: &Job, common: &Common) -> anyhow::Result<Pipeline> {
    Ok(match job {
        Job::Hello(options) => hello::pipeline(options, common),
        Job::Flights(options) => flights::pipeline(options, common),
        Job::Signals(options) => signals::pipeline(options, common),
        Job::Fanout(options) => fanout::pipeline(options, common),
        Job::Run(options) => files::pipeline(options)?,
    })
}

/// Where RabbitMQ's client logs what it sends, which begins with the password.
const FRAMES: [&str; 2] = ["lapin::io_loop=debug", "lapin::frames=debug"];

/// Logs warnings, or what `RUST_LOG` asks for. What RabbitMQ's client has to say, the transport says with its cause.
fn log_to_stderr() {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| "lapin=off".to_owned());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse_lossy(&asked);
    let filter = match asked.contains("trace") {
        true => FRAMES
            .iter()
            .filter_map(|frames| frames.parse().ok())
            .fold(filter, EnvFilter::add_directive),
        false => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Nobody can be told that a full disk takes no log.
        .log_internal_errors(false)
        .init();
}
