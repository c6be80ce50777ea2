//! Records without a single byte: a source that sends them and a sink that numbers what it is given.

use std::path::Path;

use pypz::prelude::*;

use crate::item::Item;
use crate::ledger::Page;

/// Sends empty records. They are as good as each other, so the ledger has only their numbers.
#[derive(OperatorSpec, Default)]
pub(crate) struct BlankSource {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    folder: String,
    #[parameter(required)]
    incarnation: u64,
    #[parameter(required)]
    records: i64,
    #[parameter(required)]
    batch: usize,
    sent: i64,
}

impl Operator for BlankSource {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let folder = Path::new(&self.folder);
        let mut page = Page::acknowledged(folder, &name(cx), self.incarnation)?;
        while self.sent < self.records {
            let left = usize::try_from(self.records - self.sent)?;
            let batch = vec![Vec::new(); self.batch.min(left)];
            let end = self.sent + i64::try_from(batch.len())?;
            self.output.send_all(batch).await?;
            self.output.flush().await?;
            page.acknowledge(self.sent, end)?;
            self.sent = end;
        }
        Ok(Progress::Done)
    }
}

/// Notes each record as the next one of the only source there is; one that has bytes is broken.
#[derive(OperatorSpec, Default)]
pub(crate) struct BlankSink {
    input: InputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    folder: String,
    #[parameter(required)]
    incarnation: u64,
    arrived: i64,
}

impl Operator for BlankSink {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let records = self.input.retrieve_records().await?;
        let mut noted = Vec::new();
        for record in records {
            let mut item = Item::new(cx.pipeline(), "a@0", 1, self.arrived, 0);
            self.arrived += 1;
            item.crc += i64::from(!record.value.is_empty());
            let at = record.position.map_or((0, 0), |at| (at.partition, at.offset));
            noted.push((at, item));
        }
        if !noted.is_empty() {
            let mut page = Page::arrivals(Path::new(&self.folder), &name(cx), self.incarnation)?;
            page.arrived(cx.pipeline(), noted.iter().map(|(at, item)| (at.0, at.1, item)))?;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

fn name(cx: &Context) -> String {
    format!("{}@{}", cx.operator(), cx.replica_index())
}
