//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use pypz::ExecutionMode;
use pypz::pipeline::Selection;

use crate::{fanout, files, flights, hello, signals};

/// Four pipelines to try pypz with.
///
/// Without a command the flights job runs in memory: it reads a month of departures from New York and prints how
/// punctual each carrier was. Every job runs unchanged in memory, on Apache Kafka and on RabbitMQ; on a broker also as
/// many processes.
#[derive(Debug, Parser)]
#[command(name = "pipelines", after_help = EXAMPLES, subcommand_value_name = "JOB", subcommand_help_heading = "Jobs")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) common: Common,
}

const EXAMPLES: &str = "\
Examples:
  pipelines                                                  flights, in memory
  pipelines hello --records 3 --writers 2                    the first page of the README
  pipelines flights --location kafka://localhost:9092        the same job on Apache Kafka (feature kafka)
  pipelines flights --location amqp://guest:guest@localhost:5672/
                                                             the same job on RabbitMQ (feature rabbitmq)
  pipelines fanout --replicas 8 --records 5000000 --json     a measurement, one line of JSON

Pipeline files:
  pipelines run examples/pipelines/flights.yaml --set report.output=flights.json
  pipelines validate FILE                                    all that is wrong with it, with line and column
  pipelines show flights > flights.yaml                      the file of a job
  pipelines stubs FILE --out DIR                             Python classes for what runs in Rust

One process per replica, in any order; they find each other through the broker:
  pipelines flights --location kafka://localhost:9092 --only source,report
  pipelines flights --location kafka://localhost:9092 --only clean@0
  pipelines flights --location kafka://localhost:9092 --only clean@1,clean@2,clean@3
  pipelines flights --location kafka://localhost:9092 --only carriers,airports
  With amqp://guest:guest@localhost:5672/ in its place they do so on RabbitMQ.

Exit codes:
  0 done   64 wrong options   115 an operator failed, a malformed line for instance   120 input incomplete
  122 run by someone else   123 a topic or queue that does not fit   124 deadline   125 password or TLS
  143 drained after a signal, unfinished
RUST_LOG=info,lapin=off shows what the framework does, without RabbitMQ's client.";

/// A job, or what can be done with pipelines besides.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Job(Job),
    #[command(flatten)]
    File(files::Command),
}

impl Default for Command {
    fn default() -> Self {
        Self::Job(Job::default())
    }
}

/// The pipeline to run.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Job {
    /// Writers greet, readers print
    Hello(hello::Options),
    /// How punctual each carrier was, and each airport's busiest day; what runs without a command
    Flights(flights::Options),
    /// Trailing averages of the carbon dioxide at Mauna Loa, and how far the weeks stray from them
    Signals(signals::Options),
    /// Numbered records to many sinks, which check that none is lost, doubled or damaged
    Fanout(fanout::Options),
    /// The pipeline of a file, YAML or JSON as pypz has it
    Run(files::Options),
}

impl Default for Job {
    fn default() -> Self {
        Self::Flights(flights::Options::default())
    }
}

impl Job {
    /// The job's name, which is also its pipeline's unless `--name` says otherwise.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Flights(_) => "flights",
            Self::Signals(_) => "signals",
            Self::Fanout(_) => "fanout",
            Self::Run(_) => "run",
        }
    }
}

/// What every job understands, before or after its name.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of all jobs")]
pub(crate) struct Common {
    /// The pace of the source, 0 for as fast as it goes
    #[arg(
        long,
        global = true,
        value_name = "RECORDS_PER_SECOND",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) rate: u64,
    /// Where the records travel: memory://, kafka://HOST:PORT or amqp://USER:PASSWORD@HOST:PORT/VHOST
    /// [default: memory://, or what the file says]
    #[arg(long, global = true)]
    pub(crate) location: Option<String>,
    /// A property of the broker's client, TLS and passwords for instance; ${env:NAME} stands for a variable's value
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) channel_config: Vec<(String, String)>,
    /// The pipeline's name, by which processes, topics and queues belong together [default: the job's]
    #[arg(long, global = true, value_name = "PIPELINE")]
    name: Option<String>,
    /// How many replicas the replicated operators have
    #[arg(long, global = true, value_name = "N", default_value_t = 4)]
    pub(crate) replicas: u32,
    /// Runs a part: operators, or single replicas of them; other processes run the rest
    #[arg(long, global = true, value_name = "OPERATOR[@INDEX]", value_delimiter = ',')]
    pub(crate) only: Vec<Selection>,
    /// What to do with topics, queues and positions
    #[arg(long, global = true, default_value_t, value_parser = mode())]
    pub(crate) mode: ExecutionMode,
    /// How long a peer or the broker may be silent or absent
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) patience: Duration,
    /// Gives up what an unfinished run left unread
    #[arg(long, global = true)]
    pub(crate) fresh: bool,
    /// Every record counts once, from the source to the last operator: in transactions (kafka://)
    #[arg(long, global = true)]
    pub(crate) exactly_once: bool,
    /// Prints one line of figures, and nothing else on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// Where the records of a job travel.
    pub(crate) fn location(&self) -> &str {
        self.location.as_deref().unwrap_or("memory://")
    }

    /// The pipeline's name for a job.
    pub(crate) fn pipeline_name<'a>(&'a self, job: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(job)
    }
}

/// A file that comes with the example.
pub(crate) fn data(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "examples", "data", file]
        .iter()
        .collect()
}

fn mode() -> impl TypedValueParser<Value = ExecutionMode> {
    PossibleValuesParser::new(ExecutionMode::ALL.map(ExecutionMode::name)).try_map(|name| name.parse())
}

/// Never refuses: the command line's own refusal would repeat the text, which may be a secret. A property without a name is
/// refused with the pipeline.
fn key_and_value(text: &str) -> Result<(String, String), std::convert::Infallible> {
    let (key, value) = text.split_once('=').unwrap_or(("", text));
    Ok((key.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let refused = || "a number of seconds above 0 is needed".to_owned();
    let seconds: f64 = text.parse().map_err(|_| refused())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(refused()),
    }
}
