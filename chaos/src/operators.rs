//! The system under test: a source, a relay and a sink, as a user would write them.

use std::path::Path;
use std::time::Duration;

use pypz::prelude::*;

use crate::form::Formed;
use crate::item::Item;
use crate::ledger::Page;
use crate::marks;

/// The words of a source that fails.
pub(crate) const FAILURE: &str = "this source has had enough";

/// How many batches a source sends before it waits until they are acknowledged.
const BATCHES_IN_FLIGHT: u64 = 4;

/// Makes records, says where it is with each batch, and notes what was acknowledged.
#[derive(OperatorSpec, Default)]
pub(crate) struct Source {
    output: OutputPort<Item, Formed>,
    #[parameter(required)]
    folder: String,
    #[parameter(required)]
    incarnation: u64,
    /// Records of this replica.
    #[parameter(required)]
    records: i64,
    /// Records that are sent at a time.
    #[parameter(required)]
    batch: i64,
    /// Records a second of this replica; 0 for as fast as it goes.
    #[parameter]
    rate: u64,
    /// Bytes of a payload.
    #[parameter(name = "recordBytes")]
    record_bytes: usize,
    /// Fails before this record, in the principal.
    #[parameter(name = "failAt")]
    fail_at: Option<i64>,
    /// The next record.
    next: i64,
    /// The first record that is not noted as acknowledged.
    unnoted: i64,
    page: Option<Page>,
    pace: Option<tokio::time::Interval>,
}

impl Source {
    async fn note(&mut self, cx: &Context) -> Result<()> {
        self.output.flush().await?;
        if let Some(page) = self.page.as_mut().filter(|_| self.unnoted < self.next) {
            page.acknowledge(self.unnoted, self.next)?;
            marks::progress(Path::new(&self.folder), &name(cx), self.incarnation)?;
        }
        self.unnoted = self.next;
        Ok(())
    }
}

impl Operator for Source {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.next = cx.position().unwrap_or("0").parse()?;
        self.unnoted = self.next;
        let mut page = Page::acknowledged(Path::new(&self.folder), &name(cx), self.incarnation)?;
        // A position is told only when everything before it is held.
        if self.next > 0 {
            page.acknowledge(0, self.next)?;
        }
        self.page = Some(page);
        let batches = self.rate as f64 / self.batch as f64;
        self.pace = (self.rate > 0).then(|| {
            let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / batches));
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            pace
        });
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        if let Some(pace) = &mut self.pace {
            tokio::select! {
                _ = pace.tick() => {}
                () = cx.draining() => {}
            }
        }
        let fails = cx.replica_index() == 0;
        let stops = [
            Some(self.records),
            self.fail_at.filter(|at| fails && *at >= self.next),
        ];
        let stop = stops.into_iter().flatten().min().unwrap_or(self.records);
        let end = stop.min(self.next + self.batch);
        let writer = name(cx);
        let item = |sequence| {
            Item::new(
                cx.pipeline(),
                &writer,
                self.incarnation as i64,
                sequence,
                self.record_bytes,
            )
        };
        let batch: Vec<_> = (self.next..end).map(item).collect();
        self.output.send_all(batch).await?;
        self.next = end;
        cx.advance(end.to_string());
        if end == stop
            || (end / self.batch)
                .unsigned_abs()
                .is_multiple_of(BATCHES_IN_FLIGHT)
        {
            self.note(cx).await?;
        }
        if fails && self.fail_at == Some(end) {
            anyhow::bail!("{FAILURE}");
        }
        Ok(if end == self.records {
            Progress::Done
        } else {
            Progress::Again
        })
    }
}

/// Hands records on and says by which way.
#[derive(OperatorSpec, Default)]
pub(crate) struct Relay {
    input: InputPort<Item, Formed>,
    output: OutputPort<Item, Formed>,
    #[parameter(required)]
    folder: String,
    #[parameter(required)]
    incarnation: u64,
}

impl Operator for Relay {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let stamped = |item: Item| Item {
            via: cx.replica_index() as i32,
            via_epoch: self.incarnation as i64,
            ..item
        };
        let batch: Vec<_> = self.input.retrieve().await?.into_iter().map(stamped).collect();
        if !batch.is_empty() {
            self.output.send_all(batch).await?;
            marks::progress(Path::new(&self.folder), &name(cx), self.incarnation)?;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Notes every record before it counts as processed.
#[derive(OperatorSpec, Default)]
pub(crate) struct Sink {
    input: InputPort<Item, Formed>,
    #[parameter(required)]
    folder: String,
    #[parameter(required)]
    incarnation: u64,
    /// Milliseconds that each batch takes.
    #[parameter]
    pause: u64,
    page: Option<Page>,
}

impl Operator for Sink {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.page = Some(Page::arrivals(
            Path::new(&self.folder),
            &name(cx),
            self.incarnation,
        )?);
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let records = self.input.retrieve_records().await?;
        if self.pause > 0 && !records.is_empty() {
            tokio::time::sleep(Duration::from_millis(self.pause)).await;
        }
        let places = records.iter().map(|record| {
            let at = record.position.map_or((0, 0), |at| (at.partition, at.offset));
            (at.0, at.1, &record.value)
        });
        if let Some(page) = self.page.as_mut().filter(|_| !records.is_empty()) {
            page.arrived(cx.pipeline(), places)?;
            marks::progress(Path::new(&self.folder), &name(cx), self.incarnation)?;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// The replica as it stands in the ledger: `sink@0`.
fn name(cx: &Context) -> String {
    format!("{}@{}", cx.operator(), cx.replica_index())
}
