//! Operators that send and retrieve bytes as they are.

use std::path::PathBuf;

use pypz::{Avro, ChannelError, Codec, Context, InputPort, Operator, OutputPort, Progress, Raw, Result};
use pypz_derive::OperatorSpec;

use super::items::Item;
use super::operators::Notes;

/// Sends a record that is empty, one as long as the limit, and tries one that is a byte longer.
#[derive(OperatorSpec, Default)]
pub(super) struct LongRecords {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    limit: usize,
}

impl Operator for LongRecords {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.output.send(Vec::new()).await?;
        self.output.send(bytes(self.limit)).await?;
        let refused = self.output.send_all(vec![bytes(7), bytes(self.limit + 1)]).await;
        let is_right = matches!(
            refused,
            Err(ChannelError::RecordTooLong { index: 1, bytes, limit, .. })
                if bytes == self.limit + 1 && limit == self.limit
        );
        anyhow::ensure!(
            is_right,
            "a record that is a byte too long was answered by {refused:?}"
        );
        self.output.send(bytes(1)).await?;
        Ok(Progress::Done)
    }
}

/// Notes the length of each record in place of its number.
#[derive(OperatorSpec, Default)]
pub(super) struct Lengths {
    input: InputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    folder: PathBuf,
    notes: Notes,
}

impl Operator for Lengths {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.notes.open(&self.folder.display().to_string(), cx)
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for record in self.input.retrieve().await? {
            let whole = record == bytes(record.len());
            self.notes.note(&format!("source@0 {} {whole}\n", record.len()))?;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Sends items as a source does, as bytes, and among them bytes that are no item.
#[derive(OperatorSpec, Default)]
pub(super) struct Poisoned {
    output: OutputPort<Vec<u8>, Raw>,
    /// How many items come before, and how many after.
    #[parameter(required)]
    items: u64,
}

impl Operator for Poisoned {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let mut codec = <Avro as Codec<Item>>::new()?;
        let mut records = Vec::new();
        for sequence in 0..2 * self.items {
            if sequence == self.items {
                records.push(vec![0xff; 3]);
            }
            let mut record = Vec::new();
            codec.encode(&Item::new("source@0", sequence, 0), &mut record)?;
            records.push(record);
        }
        self.output.send_all(records).await?;
        Ok(Progress::Done)
    }
}

/// Never runs: it stands for the sink whose records are bytes to whoever sends them.
#[derive(OperatorSpec, Default)]
pub(super) struct Elsewhere {
    input: InputPort<Vec<u8>, Raw>,
}

impl Operator for Elsewhere {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        anyhow::bail!("this operator runs in another execution, as another one")
    }
}

/// Bytes from which a part that is missing can be told.
fn bytes(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}
