//! The operators of the suite. What they saw is in files of the case's folder, where it outlives them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pypz::plugin::{Plugin, Service};
use pypz::{Context, InputPort, Operator, OutputPort, Progress, Record, Result};
use pypz_derive::{OperatorSpec, PluginSpec};

use super::items::Item;

/// How often a file is looked for that another process may make.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The words of a source that fails.
pub(super) const FAILURE: &str = "this source has had enough";

/// Waits until a gate of the case is opened.
pub(super) async fn gate(folder: &str, name: &str) {
    let gate = Path::new(folder).join(name);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while !gate.exists() {
        looks.tick().await;
    }
}

/// Sends `count` items; may pause, wait at a gate, or fail.
#[derive(OperatorSpec, Default)]
pub(super) struct Source {
    output: OutputPort<Item>,
    #[parameter(required)]
    folder: String,
    #[parameter(required)]
    count: u64,
    /// How many records are sent at a time.
    #[parameter(required)]
    batch: u64,
    /// Over how many keys records go; 0 for none.
    #[parameter]
    keys: u64,
    /// The least length of a payload.
    #[parameter]
    padding: usize,
    /// Waits for the gate `go` before this record.
    #[parameter(name = "holdAt")]
    hold_at: Option<u64>,
    /// Fails before this record.
    #[parameter(name = "failAt")]
    fail_at: Option<u64>,
    /// Milliseconds between two batches.
    #[parameter]
    pause: u64,
    next: u64,
}

impl Operator for Source {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.next = cx.position().unwrap_or("0").parse()?;
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        if self.next == self.count {
            return Ok(Progress::Done);
        }
        if self.fail_at == Some(self.next) {
            anyhow::bail!("{FAILURE}");
        }
        if self.hold_at == Some(self.next) {
            self.output.flush().await?;
            tokio::select! {
                () = gate(&self.folder, "go") => {}
                () = cx.draining() => {}
            }
        }
        if self.pause > 0 && self.next > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(self.pause)) => {}
                () = cx.draining() => {}
            }
        }
        let stops = [self.hold_at, self.fail_at, Some(self.count)];
        let stops = stops.into_iter().flatten().filter(|stop| *stop > self.next);
        let end = stops.chain([self.next + self.batch]).min().unwrap_or(self.count);
        let writer = format!("{}@{}", cx.operator(), cx.replica_index());
        let item = |sequence| {
            let record = Record::new(Item::new(&writer, sequence, self.padding));
            match self.keys {
                0 => record,
                keys => record.with_key((sequence % keys).to_string()),
            }
        };
        let batch: Vec<_> = (self.next..end).map(item).collect();
        self.output.send_all(batch).await?;
        cx.advance(end.to_string());
        self.next = end;
        std::fs::write(
            Path::new(&self.folder).join(format!("{writer}.sent")),
            end.to_string(),
        )?;
        Ok(Progress::Again)
    }
}

/// Hands items on. May fail, or stand still for some seconds, in the middle of its work.
#[derive(OperatorSpec, Default)]
pub(super) struct Relay {
    input: InputPort<Item>,
    output: OutputPort<Item>,
    #[parameter(required)]
    folder: String,
    /// Fails with so many records handed on, unless the gate `mended` is open.
    #[parameter(name = "failsAt")]
    fails_at: Option<usize>,
    /// Stands still for ever with this record sent, the first time that it comes.
    #[parameter(name = "stillAt")]
    still_at: Option<i64>,
    relayed: usize,
}

impl Operator for Relay {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        self.relayed += batch.len();
        let stands = self
            .still_at
            .filter(|at| batch.iter().any(|item| item.sequence == *at));
        self.output.send_all(batch).await?;
        if let Some(at) = stands
            && File::create_new(Path::new(&self.folder).join(format!("still.{at}"))).is_ok()
        {
            std::future::pending::<()>().await;
        }
        if self.fails_at.is_some_and(|at| self.relayed >= at)
            && !Path::new(&self.folder).join("mended").exists()
        {
            anyhow::bail!("{FAILURE}");
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// The file in which one replica, in one process, notes what arrives. It is there once the replica is ready.
#[derive(Default)]
pub(super) struct Notes(Option<File>);

impl Notes {
    pub(super) fn open(&mut self, folder: &str, cx: &Context) -> Result<()> {
        let name = format!(
            "{}@{}.{}.arrived",
            cx.operator(),
            cx.replica_index(),
            std::process::id()
        );
        let path = Path::new(folder).join(name);
        self.0 = Some(OpenOptions::new().create(true).append(true).open(path)?);
        Ok(())
    }

    /// One write, so that a process which is killed leaves whole lines.
    pub(super) fn note(&mut self, lines: &str) -> Result<()> {
        if let Some(file) = self.0.as_mut().filter(|_| !lines.is_empty()) {
            file.write_all(lines.as_bytes())?;
        }
        Ok(())
    }
}

/// A line of each item, as the ledger reads it.
pub(super) fn lines(items: &[Item]) -> String {
    let line = |item: &Item| format!("{} {} {}\n", item.writer, item.sequence, item.is_whole());
    items.iter().map(line).collect()
}

/// Notes every item that arrives, before it returns and so before anything is committed.
#[derive(OperatorSpec, Default)]
pub(super) struct Sink {
    input: InputPort<Item>,
    #[parameter(required)]
    folder: String,
    /// Reads nothing before the gate `read` is open.
    #[parameter]
    waits: bool,
    /// Stalls with a batch in hand once so many records are noted.
    #[parameter(name = "stallAt")]
    stall_at: Option<usize>,
    noted: usize,
    notes: Notes,
}

impl Operator for Sink {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.notes.open(&self.folder, cx)
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        if self.waits {
            gate(&self.folder, "read").await;
        }
        let items = self.input.retrieve().await?;
        if !items.is_empty() && self.stall_at.is_some_and(|at| self.noted >= at) {
            let stalled = format!("{}@{}.stalled", cx.operator(), cx.replica_index());
            std::fs::write(Path::new(&self.folder).join(stalled), "")?;
            std::future::pending::<()>().await;
        }
        self.noted += items.len();
        self.notes.note(&lines(&items))?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// A service that does not start before the gate `late` is open, in one replica: whichever starts it first.
#[derive(PluginSpec, Default)]
pub(super) struct Slow {
    #[parameter(required)]
    folder: String,
}

#[async_trait::async_trait]
impl Service for Slow {
    async fn start(&mut self) -> Result<()> {
        if File::create_new(Path::new(&self.folder).join("slow")).is_ok() {
            gate(&self.folder, "late").await;
        }
        Ok(())
    }

    async fn shut_down(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Plugin for Slow {
    fn as_service(&mut self) -> Option<&mut dyn Service> {
        Some(self)
    }
}

/// A sink of which one replica starts its service late, and so opens its port late.
#[derive(OperatorSpec, Default)]
pub(super) struct LateSink {
    input: InputPort<Item>,
    #[parameter(required)]
    folder: String,
    #[plugin]
    slow: Slow,
    notes: Notes,
}

impl Operator for LateSink {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.notes.open(&self.folder, cx)
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let items = self.input.retrieve().await?;
        self.notes.note(&lines(&items))?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// The folder as a parameter.
pub(super) fn text(folder: &Path) -> String {
    PathBuf::from(folder).display().to_string()
}
