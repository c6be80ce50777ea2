//! Operators that agree: a writer goes on when its readers have acknowledged what it sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pypz::{Context, InputPort, Operator, OutputPort, Progress, Record, Result};
use pypz_derive::OperatorSpec;

use super::items::Item;
use super::ledger::Ledger;
use super::operators::{Notes, gate, lines};

/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Sends items part by part, each when the one before is acknowledged, and looks in the ledger whether that is true.
#[derive(OperatorSpec, Default)]
pub(super) struct Stepper {
    output: OutputPort<Item>,
    #[parameter(required)]
    folder: PathBuf,
    #[parameter(required)]
    count: u64,
    #[parameter(required)]
    batch: u64,
    /// Over how many keys records go; 0 for none.
    #[parameter]
    keys: u64,
    /// How many replicas get each item.
    #[parameter(required)]
    copies: usize,
    /// Waits until some is in the ledger, looks that it is not acknowledged all the same, and opens the gate `acknowledge`.
    #[parameter]
    watches: bool,
    sent: u64,
}

impl Stepper {
    fn arrived(&self, writer: &str) -> usize {
        Ledger::read(&self.folder).count_of("sink", writer)
    }

    /// Sees to it that nothing is acknowledged that was only read.
    async fn watch(&mut self, writer: &str) -> Result<()> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while self.arrived(writer) == 0 {
            looks.tick().await;
        }
        anyhow::ensure!(
            !self.output.is_acknowledged()?,
            "what is only read was acknowledged"
        );
        std::fs::write(self.folder.join("acknowledge"), "")?;
        Ok(())
    }
}

impl Operator for Stepper {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        anyhow::ensure!(
            self.output.is_acknowledged()?,
            "nothing was sent, and that was not acknowledged"
        );
        let writer = format!("{}@{}", cx.operator(), cx.replica_index());
        while self.sent < self.count {
            let end = self.count.min(self.sent + self.batch);
            let item = |sequence| {
                let record = Record::new(Item::new(&writer, sequence, 0));
                match self.keys {
                    0 => record,
                    keys => record.with_key((sequence % keys).to_string()),
                }
            };
            let batch: Vec<_> = (self.sent..end).map(item).collect();
            self.output.send_all(batch).await?;
            self.sent = end;
            std::fs::write(self.folder.join(format!("{writer}.sent")), end.to_string())?;
            let expected = usize::try_from(self.sent)? * self.copies;
            if self.watches && !self.folder.join("acknowledge").exists() {
                self.watch(&writer).await?;
            }
            self.output.acknowledged().await?;
            anyhow::ensure!(
                self.output.is_acknowledged()?,
                "what was acknowledged is not any more"
            );
            let arrived = self.arrived(&writer);
            anyhow::ensure!(
                arrived >= expected,
                "{expected} items are acknowledged and {arrived} were processed"
            );
        }
        Ok(Progress::Done)
    }
}

/// Notes every item and acknowledges it.
#[derive(OperatorSpec, Default)]
pub(super) struct Confirmer {
    input: InputPort<Item>,
    #[parameter(required)]
    folder: String,
    /// Acknowledges nothing before the gate `acknowledge` is open.
    #[parameter]
    waits: bool,
    /// Never acknowledges anything.
    #[parameter]
    keeps: bool,
    notes: Notes,
}

impl Operator for Confirmer {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.notes.open(&self.folder, cx)
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let items = self.input.retrieve().await?;
        self.notes.note(&lines(&items))?;
        if self.waits && !Path::new(&self.folder).join("acknowledge").exists() {
            gate(&self.folder, "acknowledge").await;
        }
        if !self.keeps {
            self.input.acknowledge()?;
        }
        Ok(Progress::UntilInputsEnd)
    }
}
