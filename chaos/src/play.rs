//! `pypz-chaos operator`: a process of the system under test, which runs a part of the pipeline.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use pypz::{ExecutionMode, Pipeline};
use tracing_subscriber::EnvFilter;

use crate::blanks::{BlankSink, BlankSource};
use crate::form::Form;
use crate::marks;
use crate::operators::{Relay, Sink, Source};

/// What a part is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Part {
    /// The folder of the ledger
    #[arg(long)]
    folder: PathBuf,
    /// The pipeline's name
    #[arg(long)]
    name: String,
    /// Where its records travel
    #[arg(long)]
    location: String,
    /// What this process runs: operators, or replicas of them
    #[arg(long)]
    only: String,
    /// Which start of this part it is, from 1
    #[arg(long)]
    incarnation: u64,
    #[command(flatten)]
    shape: Shape,
}

/// The pipeline, the same for all its processes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shape {
    /// Source operators: a, b, and so on
    #[arg(long, default_value_t = 2)]
    pub(crate) writers: u32,
    /// Replicas of each source
    #[arg(long, default_value_t = 2)]
    pub(crate) writer_replicas: u32,
    /// Replicas of the relay; 0 for none
    #[arg(long, default_value_t = 2)]
    pub(crate) relays: u32,
    /// Replicas of the sink
    #[arg(long, default_value_t = 1)]
    pub(crate) sinks: u32,
    /// Records of each replica of a source
    #[arg(long, default_value_t = 25_000)]
    pub(crate) records: u64,
    /// Records that a source sends at a time
    #[arg(long, default_value_t = 100)]
    pub(crate) batch: u64,
    /// Records a second of each replica of a source; 0 for as fast as it goes
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Bytes of a payload, which make a record of about 60 more
    #[arg(long, default_value_t = 140)]
    pub(crate) record_bytes: usize,
    /// Has the principal of the first source fail before this record
    #[arg(long)]
    pub(crate) fail_at: Option<u64>,
    /// Milliseconds that a sink takes for a batch
    #[arg(long, default_value_t = 0)]
    pub(crate) sink_pause: u64,
    /// Seconds that a peer or the broker may be silent
    #[arg(long, default_value_t = 30.0)]
    pub(crate) patience: f64,
    /// Transactions from the source to the last operator with outputs
    #[arg(long)]
    pub(crate) exactly_once: bool,
    /// Leaves topics and queues behind
    #[arg(long)]
    pub(crate) keep: bool,
    /// Records without bytes, from one source to one sink
    #[arg(long)]
    pub(crate) blank: bool,
    /// The schema of the records
    #[arg(long, value_enum, default_value_t)]
    pub(crate) form: Form,
    /// A property of the broker's client
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) channel_config: Vec<String>,
    /// A setting of all ports
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) port_settings: Vec<String>,
}

impl Shape {
    /// The shape as arguments of a command line.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            ("--writers", self.writers.to_string()),
            ("--writer-replicas", self.writer_replicas.to_string()),
            ("--relays", self.relays.to_string()),
            ("--sinks", self.sinks.to_string()),
            ("--records", self.records.to_string()),
            ("--batch", self.batch.to_string()),
            ("--rate", self.rate.to_string()),
            ("--record-bytes", self.record_bytes.to_string()),
            ("--sink-pause", self.sink_pause.to_string()),
            ("--patience", self.patience.to_string()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        if let Some(at) = self.fail_at {
            arguments.extend(["--fail-at".to_owned(), at.to_string()]);
        }
        if self.exactly_once {
            arguments.push("--exactly-once".to_owned());
        }
        if self.keep {
            arguments.push("--keep".to_owned());
        }
        let form = match self.form {
            Form::Usual => "usual",
            Form::Added => "added",
            Form::Changed => "changed",
        };
        arguments.extend(["--form".to_owned(), form.to_owned()]);
        if self.blank {
            arguments.push("--blank".to_owned());
        }
        for property in &self.channel_config {
            arguments.extend(["--channel-config".to_owned(), property.clone()]);
        }
        for setting in &self.port_settings {
            arguments.extend(["--port-settings".to_owned(), setting.clone()]);
        }
        arguments
    }

    /// The names of the source operators.
    pub(crate) fn sources(&self) -> Vec<String> {
        (b'a'..)
            .take(self.writers as usize)
            .map(|letter| char::from(letter).to_string())
            .collect()
    }

    /// Every replica of every source.
    pub(crate) fn writing_replicas(&self) -> Vec<String> {
        let of = |source: &String| {
            let source = source.clone();
            (0..self.writer_replicas).map(move |index| format!("{source}@{index}"))
        };
        self.sources().iter().flat_map(of).collect()
    }

    /// How many records all sources make together.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.writers) * u64::from(self.writer_replicas) * self.records
    }

    fn pipeline(&self, part: &Part) -> Pipeline {
        let mut pipeline = match self.blank {
            true => self.blanks(part),
            false => self.items(part),
        };
        self.settle(part, &mut pipeline);
        pipeline
    }

    /// A source and a sink of records without bytes.
    fn blanks(&self, part: &Part) -> Pipeline {
        let mut pipeline = Pipeline::new(&part.name);
        let folder = part.folder.display().to_string();
        let sink = pipeline
            .operator::<BlankSink>("sink")
            .folder(folder.clone())
            .incarnation(part.incarnation);
        let source = pipeline
            .operator::<BlankSource>("a")
            .folder(folder)
            .incarnation(part.incarnation)
            .records(self.records as i64)
            .batch(self.batch as usize);
        pipeline.connect(source.output(), sink.input());
        pipeline
    }

    fn items(&self, part: &Part) -> Pipeline {
        let mut pipeline = Pipeline::new(&part.name);
        let folder = part.folder.display().to_string();
        let sink = pipeline
            .operator::<Sink>("sink")
            .folder(folder.clone())
            .incarnation(part.incarnation)
            .pause(self.sink_pause)
            .replicas(self.sinks);
        let relay = (self.relays > 0).then(|| {
            pipeline
                .operator::<Relay>("relay")
                .folder(folder.clone())
                .incarnation(part.incarnation)
                .replicas(self.relays)
        });
        if let Some(relay) = &relay {
            pipeline.connect(relay.output(), sink.input());
        }
        for (index, name) in self.sources().iter().enumerate() {
            let fail_at = self.fail_at.filter(|_| index == 0).map(|at| at as i64);
            let source = pipeline
                .operator::<Source>(name)
                .folder(folder.clone())
                .incarnation(part.incarnation)
                .records(self.records as i64)
                .batch(self.batch as i64)
                .rate(self.rate)
                .record_bytes(self.record_bytes)
                .fail_at(fail_at)
                .replicas(self.writer_replicas);
            let input = relay.as_ref().map_or_else(|| sink.input(), |relay| relay.input());
            pipeline.connect(source.output(), input);
        }
        pipeline
    }

    /// What holds for every pipeline.
    fn settle(&self, part: &Part, pipeline: &mut Pipeline) {
        pipeline.relocate(&part.location);
        pipeline.patience(Duration::from_secs_f64(self.patience));
        if self.exactly_once {
            pipeline.exactly_once();
        }
        if self.keep {
            pipeline.mode(ExecutionMode::WithoutResourceDeletion);
        }
        for (name, value) in self
            .port_settings
            .iter()
            .filter_map(|setting| setting.split_once('='))
        {
            let number = value.parse::<u64>().map(serde_json::Value::from);
            pipeline.set_parameter(&format!(">>{name}"), number.unwrap_or_else(|_| value.into()));
        }
        let properties = self
            .channel_config
            .iter()
            .filter_map(|property| property.split_once('='));
        let properties: BTreeMap<&str, &str> = properties.collect();
        if !properties.is_empty() {
            pipeline.set_parameter(">>channelConfig", serde_json::json!(properties));
        }
    }
}

/// Runs a part and returns the exit code of the process.
pub(crate) async fn run(part: &Part) -> ExitCode {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| "info,lapin=off".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(asked))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // What cannot be logged because the disk is full is no reason to end.
        .log_internal_errors(false)
        .init();
    part.shape.form.choose();
    let mut pipeline = part.shape.pipeline(part);
    let code = pipeline.run_only(part.only.split(',')).await;
    let memory = marks::peak_memory("self").unwrap_or(0);
    let mark = part
        .folder
        .join(format!("{}.{}.memory", part.only, part.incarnation));
    if let Err(error) = std::fs::write(&mark, memory.to_string()) {
        let _ = writeln!(std::io::stderr(), "cannot write {}: {error}", mark.display());
    }
    code
}
