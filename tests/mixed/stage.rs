//! One pipeline of two languages: its file, its Python processes, its Rust part and its ledger.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pypz::{ExecutionError, Pipeline, RunReport};
use pypz_testkit::processes::{Ended, Running};
use pypz_testkit::{brokers, names, python};
use tempfile::TempDir;

/// How long a pipeline of pypz-python may take, with all its sleeps, beside others on a slow machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// Which broker carries the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Kafka,
    RabbitMq,
}

/// Who runs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Rust,
}

/// One operator of the chain.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    pub(crate) class: String,
    pub(crate) parameters: BTreeMap<&'static str, serde_json::Value>,
    pub(crate) replicas: u32,
    /// The operator that it reads from.
    pub(crate) from: Option<&'static str>,
    /// Whether each replica reads all: pypz's group mode.
    broadcast: bool,
    /// Whether it begins when its writers have finished.
    sequential: bool,
    writes: bool,
    /// Whether it is a source that looks in the ledger.
    looks: bool,
}

impl Node {
    fn new(name: &'static str, language: Language, class: &str, kind: &str) -> Self {
        Self {
            name,
            language,
            class: format!("{class}{kind}"),
            parameters: BTreeMap::new(),
            replicas: 1,
            from: None,
            broadcast: false,
            sequential: false,
            writes: false,
            looks: false,
        }
    }

    pub(crate) fn source(name: &'static str, language: Language, kind: &str, records: u64) -> Self {
        let mut node = Self::new(name, language, "Source", kind).with("recordCount", records);
        node.writes = true;
        node
    }

    /// A source that goes on when the readers have acknowledged what it sent.
    pub(crate) fn step(name: &'static str, language: Language, kind: &str, records: u64) -> Self {
        let mut node = Self::new(name, language, "Step", kind).with("recordCount", records);
        (node.writes, node.looks) = (true, true);
        node
    }

    /// A sink that acknowledges what it has written.
    pub(crate) fn confirm(name: &'static str, language: Language, kind: &str, from: &'static str) -> Self {
        let mut node = Self::new(name, language, "Confirm", kind);
        node.from = Some(from);
        node
    }

    pub(crate) fn pass(name: &'static str, language: Language, kind: &str, from: &'static str) -> Self {
        let mut node = Self::new(name, language, "Pass", kind);
        (node.from, node.writes) = (Some(from), true);
        node
    }

    pub(crate) fn sink(name: &'static str, language: Language, kind: &str, from: &'static str) -> Self {
        let mut node = Self::new(name, language, "Sink", kind);
        node.from = Some(from);
        node
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.parameters.insert(name, value.into());
        self
    }

    pub(crate) fn sequential(mut self) -> Self {
        self.sequential = true;
        self
    }

    pub(crate) fn broadcast(mut self) -> Self {
        self.broadcast = true;
        self
    }

    pub(crate) fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        if replicas > 1 {
            self = self.with("replicationFactor", replicas - 1);
        }
        self
    }
}

/// A pipeline on a broker, in a folder of its own.
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) carrier: Carrier,
    pub(crate) folder: TempDir,
    pub(crate) nodes: Vec<Node>,
}

impl Stage {
    /// Writes the pipeline's file, and the Python classes of what runs in Rust.
    pub(crate) fn new(carrier: Carrier, title: &str, mut nodes: Vec<Node>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger").display().to_string();
        for node in nodes.iter_mut().filter(|node| !node.writes || node.looks) {
            node.parameters.insert("ledger", ledger.clone().into());
        }
        let stage = Self {
            name: names::unique(title),
            carrier,
            folder,
            nodes,
        };
        std::fs::write(stage.file(), stage.yaml()).unwrap();
        for (path, text) in stage.pipeline().stubs().unwrap() {
            std::fs::write(stage.folder.path().join(path), text).unwrap();
        }
        stage
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("pipeline.yaml")
    }

    /// The broker as pypz-python writes it, without a scheme.
    pub(crate) fn address(&self) -> String {
        match self.carrier {
            Carrier::Kafka => brokers::kafka(),
            Carrier::RabbitMq => {
                let location = brokers::rabbitmq();
                let (_, address) = location.rsplit_once('@').unwrap_or(("", &location));
                address.trim_end_matches('/').to_owned()
            }
        }
    }

    fn yaml(&self) -> String {
        let module = match self.carrier {
            Carrier::Kafka => "pypz.plugins.kafka_io.ports:KafkaChannel",
            Carrier::RabbitMq => "pypz.plugins.rmq_io.ports:RMQChannel",
        };
        let mut yaml = format!(
            "name: {}\nparameters: {{'>>channelLocation': '{}'}}\nspec:\n  name: pypz.core.specs.pipeline:Pipeline\n  nestedInstances:\n",
            self.name,
            self.address()
        );
        for node in &self.nodes {
            let by = match node.language {
                Language::Python => "mixed_python",
                Language::Rust => "mixed_rust",
            };
            let parameters = serde_json::to_string(&node.parameters).unwrap();
            let _ = write!(
                yaml,
                "  - name: {}\n    parameters: {parameters}\n    spec:\n      name: {by}:{}\n      nestedInstances:\n",
                node.name, node.class
            );
            let input = node.from.map(|_| ("input", "Input"));
            let output = node.writes.then_some(("output", "Output"));
            for (port, class) in input.into_iter().chain(output) {
                let mode = match (port, node.broadcast, node.sequential) {
                    ("input", true, _) => "parameters: {partitioning: broadcast}, ",
                    ("input", _, true) => "parameters: {sequentialModeEnabled: true}, ",
                    _ => "",
                };
                let spec = format!("{{name: '{module}{class}Port'}}");
                let _ = writeln!(yaml, "      - {{name: {port}, {mode}spec: {spec}}}");
            }
            if let Some(from) = node.from {
                let _ = write!(
                    yaml,
                    "    connections:\n    - inputPortName: input\n      source: {{instanceName: {from}, outputPortName: output}}\n"
                );
            }
        }
        yaml
    }

    /// The pipeline as Rust reads it.
    pub(crate) fn pipeline(&self) -> Pipeline {
        Pipeline::from_file(self.file()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs what is ours.
    pub(crate) async fn run_rust(&self) -> Result<RunReport, ExecutionError> {
        self.run_with(Duration::from_secs(60)).await
    }

    /// Runs what is ours, with so much patience.
    pub(crate) async fn run_with(&self, patience: Duration) -> Result<RunReport, ExecutionError> {
        let mut pipeline = self.pipeline();
        pipeline.patience(patience);
        let run = pipeline.execute();
        tokio::time::timeout(DEADLINE, run)
            .await
            .unwrap_or_else(|_| panic!("{}: the Rust part did not end", self.name))
    }

    /// What runs all replicas of one operator of ours, with so much patience.
    pub(crate) fn run_only(
        &self,
        operator: &'static str,
        patience: Duration,
    ) -> impl Future<Output = Result<RunReport, ExecutionError>> + Send + use<> {
        let (mut pipeline, name) = (self.pipeline(), self.name.clone());
        pipeline.patience(patience);
        async move {
            let run = pipeline.execute_only([operator]);
            tokio::time::timeout(DEADLINE, run)
                .await
                .unwrap_or_else(|_| panic!("{name}: {operator} did not end"))
        }
    }

    /// Starts one replica in Python: `w`, or `w_0` for the first copy.
    pub(crate) fn python(&self, operator: &str, environment: &[(&str, &str)]) -> Running {
        let code = python_code();
        let path = format!("{}:{}", code.display(), self.folder.path().display());
        let mut command = Command::new(python::interpreter());
        command
            .arg(code.join("run.py"))
            .arg(self.file())
            .arg(operator)
            .env("PYTHONPATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MIXED_TRANSPORT", self.transport())
            .envs(environment.iter().copied());
        Running::start(&mut command)
    }

    /// Runs `channel.py` on the channel of `r`, which `w` writes to, and returns what it printed.
    pub(crate) async fn channel(&self, command: &str) -> String {
        self.channel_between("w", "r", command).await
    }

    /// The same on the channel between two operators.
    pub(crate) async fn channel_between(&self, writer: &str, reader: &str, command: &str) -> String {
        let code = python_code().join("channel.py");
        let mut running = Command::new(python::interpreter());
        running
            .arg(code)
            .args([command, self.transport(), &self.address()])
            .args([
                format!("{}.{reader}.input", self.name),
                format!("{}.{writer}.output", self.name),
            ]);
        let ended = ended(Running::start(&mut running)).await;
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.stderr);
        ended.stdout
    }

    const fn transport(&self) -> &'static str {
        match self.carrier {
            Carrier::Kafka => "kafka",
            Carrier::RabbitMq => "amqp",
        }
    }

    /// Waits until a file of the folder has at least so many lines.
    pub(crate) async fn lines(&self, file: &str, count: usize) {
        let path = self.folder.path().join(file);
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let found = async {
            while std::fs::read_to_string(&path).unwrap_or_default().lines().count() < count {
                looks.tick().await;
            }
        };
        tokio::time::timeout(DEADLINE, found)
            .await
            .unwrap_or_else(|_| panic!("{}: {file} has no {count} lines", self.name));
    }

    /// All replicas that run in Python, by their simple names.
    pub(crate) fn in_python(&self) -> Vec<String> {
        let python = self.nodes.iter().filter(|node| node.language == Language::Python);
        python
            .flat_map(|node| {
                let copies = (0..node.replicas - 1).map(|copy| format!("{}_{copy}", node.name));
                std::iter::once(node.name.to_owned()).chain(copies)
            })
            .collect()
    }

    /// What the sinks have written, sorted; what was not right is in there as -1.
    pub(crate) fn ledger(&self) -> Vec<i64> {
        let mut numbers: Vec<i64> = (0..8)
            .filter_map(|replica| {
                std::fs::read_to_string(self.folder.path().join(format!("ledger.{replica}"))).ok()
            })
            .flat_map(|text| {
                let number = |line: &str| line.parse().unwrap_or(-1);
                text.lines().map(number).collect::<Vec<i64>>()
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// The folder of the Python side, from whichever package of the workspace.
pub(crate) fn python_code() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = package
        .ancestors()
        .map(|folder| folder.join("tests/mixed/python"));
    folders.find(|folder| folder.exists()).unwrap()
}

/// Waits for a process without holding up the runtime.
pub(crate) async fn ended(running: Running) -> Ended {
    ended_within(running, DEADLINE).await
}

/// Waits so long for a process, without holding up the runtime.
pub(crate) async fn ended_within(running: Running, deadline: Duration) -> Ended {
    tokio::task::spawn_blocking(move || running.wait(deadline))
        .await
        .unwrap()
}
