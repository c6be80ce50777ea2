//! Where one case plays: a pipeline, a folder for what its operators see, executions and processes with deadlines.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pypz::channel::ChannelSpec;
use pypz::executor::{Phase, Shutdown};
use pypz::{ExecutionError, Pipeline, RunReport};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::play::{PART, Part};
use super::setup::{Purpose, Setup};
use super::site::Site;
use crate::bare;
use crate::processes::Running;

/// How long anything may take that a case waits for.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// After this a position is committed that was to be (at most 1 s, by the contract of a committer).
const COMMITTED_AFTER: Duration = Duration::from_millis(1_200);

/// How often the thing is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One case.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) setup: Setup,
    folder: TempDir,
    test: String,
}

impl Stage {
    /// A stage for a pipeline whose name begins with `stem`.
    pub(super) fn new(site: &Site, stem: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder for a case: {error}"));
        let mut setup = Setup::new(site, stem, folder.path().to_owned());
        change(&mut setup);
        Self {
            setup,
            folder,
            test: site.test().to_owned(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The channel from `source` to `sink`, as somebody knows it who is no member.
    pub(super) fn channel(&self) -> ChannelSpec {
        let name = &self.setup.name;
        let (writer, reader) = (format!("{name}.source.output"), format!("{name}.sink.input"));
        let mut spec = bare::channel(&writer, &reader, &self.setup.location);
        spec.timing.patience = self.setup.patience;
        spec
    }

    /// Runs the pipeline in this process.
    pub(super) fn run(&self) -> Execution {
        Execution::start(self.setup.pipeline(), "all parts".to_owned(), None)
    }

    /// Runs parts of the pipeline in this process, as if it were one of their own.
    pub(super) fn run_only(&self, parts: &[&str]) -> Execution {
        Self::run_only_of(self.setup.pipeline(), parts)
    }

    /// Runs parts of another pipeline.
    pub(super) fn run_only_of(pipeline: Pipeline, parts: &[&str]) -> Execution {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        Execution::start(pipeline, parts.join(", "), Some(parts))
    }

    /// Runs parts of the pipeline in a process that can be killed.
    pub(super) fn process(&self, parts: &[&str]) -> PartProcess {
        self.process_of(self.setup.clone(), parts)
    }

    /// Runs parts of the pipeline, set up in another way, in a process that can be killed.
    pub(super) fn process_of(&self, setup: Setup, parts: &[&str]) -> PartProcess {
        let part = Part {
            setup,
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        };
        let part = serde_json::to_string(&part).unwrap_or_else(|error| panic!("{error}"));
        let program = std::env::current_exe().unwrap_or_else(|error| panic!("no program: {error}"));
        let running = Running::start(
            Command::new(program)
                .args([&self.test, "--exact", "--nocapture"])
                .env(PART, part),
        );
        PartProcess {
            running,
            what: format!("the process of {}", parts.join(", ")),
        }
    }

    /// Opens a gate that an operator waits at.
    pub(super) fn open(&self, gate: &str) {
        std::fs::write(self.folder().join(gate), "").unwrap_or_else(|error| panic!("gate {gate}: {error}"));
    }

    /// What has arrived until now.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger::read(self.folder())
    }

    /// How many records a replica of a source has sent, if any.
    pub(super) fn sent(&self, writer: &str) -> Option<u64> {
        let sent = std::fs::read_to_string(self.folder().join(format!("{writer}.sent")));
        sent.ok()?.parse().ok()
    }

    /// Waits until something is true.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool + Send + Sync) {
        let looks = async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            while !is_so(self) {
                looks.tick().await;
            }
        };
        if tokio::time::timeout(DEADLINE, looks).await.is_err() {
            panic!(
                "{} s passed before {what}: {:?}",
                DEADLINE.as_secs(),
                self.ledger()
            );
        }
    }

    /// Waits until so many records have arrived.
    pub(super) async fn until_arrived(&self, operator: &str, records: usize) {
        let what = format!("{records} records arrived at {operator}");
        self.until(&what, |stage| stage.ledger().count(operator) >= records)
            .await;
    }

    /// Waits until a replica is there that has opened its port.
    pub(super) async fn until_ready(&self, operator: &str) {
        let what = format!("{operator} was ready");
        self.until(&what, |stage| stage.ledger().is_ready(operator)).await;
    }

    /// Waits until a replica of a sink has stalled with records in hand, and longer than a commit may take.
    pub(super) async fn until_stalled(&self, replica: &str) {
        let stalled = self.folder().join(format!("{replica}.stalled"));
        let what = format!("{replica} stalled");
        self.until(&what, |_| stalled.exists()).await;
        tokio::time::sleep(COMMITTED_AFTER).await;
    }

    /// Gives up the run that a case left unfinished and deletes what is there.
    pub(super) async fn clean_up(&self) {
        self.with(Purpose::CleanUp).ends(0).await;
    }

    /// Deletes what a case left, all of which is read.
    pub(super) async fn delete(&self) {
        self.with(Purpose::Delete).ends(0).await;
    }

    fn with(&self, purpose: Purpose) -> Execution {
        let setup = Setup {
            purpose,
            ..self.setup.clone()
        };
        Execution::start(setup.pipeline(), format!("{purpose:?}"), None)
    }
}

/// An execution in this process.
#[derive(Debug)]
pub(super) struct Execution {
    what: String,
    shutdown: Shutdown,
    task: JoinHandle<Result<RunReport, ExecutionError>>,
}

impl Execution {
    pub(super) fn start(mut pipeline: Pipeline, what: String, parts: Option<Vec<String>>) -> Self {
        let what = format!("{what} of {}", pipeline.name());
        let shutdown = pipeline.shutdown();
        let task = tokio::spawn(async move {
            match parts {
                None => pipeline.execute().await,
                Some(parts) => pipeline.execute_only(parts.iter().map(String::as_str)).await,
            }
        });
        Self { what, shutdown, task }
    }

    /// Asks it to drain, as SIGTERM does.
    pub(super) fn drain(&self) {
        self.shutdown.advance(Phase::Draining);
    }

    /// Waits for the end with this exit code; returns the words of a failure.
    pub(super) async fn ends(self, code: u8) -> String {
        let what = self.what.clone();
        let (ended, words) = self.ended().await;
        assert_eq!(ended, code, "the exit code of {what}: {words}");
        words
    }

    /// Waits for the end: the exit code, and the words of a failure.
    pub(super) async fn ended(self) -> (u8, String) {
        let what = self.what;
        let Ok(ended) = tokio::time::timeout(DEADLINE, self.task).await else {
            panic!("{what} did not end within {} s", DEADLINE.as_secs());
        };
        let ended = ended.unwrap_or_else(|error| panic!("{what}: {error}"));
        match ended {
            Ok(report) => (report.status.code(), String::new()),
            Err(error) => (error.status.code(), error.to_string()),
        }
    }
}

/// A part of a pipeline in a process of its own. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct PartProcess {
    running: Running,
    what: String,
}

impl PartProcess {
    /// Kills it, which cannot be noticed by it.
    pub(super) fn kill(&mut self) {
        self.running.kill();
    }

    /// Stops it where it is, as SIGSTOP does, or lets it go on.
    pub(super) fn freeze(&self, freezes: bool) {
        self.running.signal(if freezes { "STOP" } else { "CONT" });
    }

    /// How many bytes of memory it has now.
    pub(super) fn resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.running.id());
        let status = std::fs::read_to_string(&status).unwrap_or_else(|error| panic!("{status}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.unwrap_or_else(|| panic!("no VmRSS in:\n{status}")) * 1024
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&self) {
        self.running.terminate();
    }

    /// Waits for the end with this exit code; returns what the process said.
    pub(super) async fn ends(self, code: i32) -> String {
        let Self { running, what } = self;
        let ended = tokio::task::spawn_blocking(move || running.wait(DEADLINE)).await;
        let ended = ended.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            ended.code,
            Some(code),
            "the exit code of {what}:\n{}",
            ended.stderr
        );
        ended.stderr
    }
}
