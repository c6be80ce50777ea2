//! The fan-out job: numbered records to many sinks, which check that none is lost, doubled, disordered or damaged.
//!
//! ```text
//! source ── records, as --partitioning says ──► sink x N
//! ```
//!
//! Duplicates, disorder and damage are seen in every process. Loss is seen where all sinks run in one process, and with
//! `broadcast` at each sink; what a sink had read in a former life, before it was started again, counts as lost.

mod ledger;
mod stamp;

use clap::ValueEnum;
use pypz::prelude::*;

pub(crate) use self::ledger::verdict;
use self::ledger::{Ledger, ledger};
use self::stamp::Stamper;
use crate::metrics::METRICS;
use crate::options::Common;
use crate::pace::Pace;

/// What `fanout` understands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How records find their sink
    #[arg(long, value_enum, default_value_t = Choice::RoundRobin)]
    partitioning: Choice,
    /// How many records the source sends
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) records: u64,
    /// How long each record is
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(stamp::BYTES as i64..))]
    record_bytes: u32,
}

/// A partitioning by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Records go in turn
    RoundRobin,
    /// Records go by key, which is their number
    Key,
    /// Every sink gets every record
    Broadcast,
}

impl From<Choice> for Partitioning {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::RoundRobin => Self::RoundRobin,
            Choice::Key => Self::ByKey,
            Choice::Broadcast => Self::Broadcast,
        }
    }
}

/// Sends numbered records with a checksum.
#[derive(OperatorSpec, Default)]
struct Source {
    /// The records, as they are.
    output: OutputPort<Vec<u8>, Raw>,
    /// How many records to send.
    #[parameter(required)]
    records: u64,
    /// How long each of them is.
    #[parameter(required, name = "recordBytes")]
    record_bytes: u32,
    /// Whether they get their number as key.
    #[parameter]
    keyed: bool,
    /// Records per second; 0 for as fast as it goes.
    #[parameter]
    rate: u64,
    /// The next record.
    next: u64,
    sending: Option<(Stamper, Pace)>,
}

impl Operator for Source {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        if let Some(position) = cx.position() {
            self.next = position.parse()?;
        }
        self.sending = Some((Stamper::new(self.record_bytes as usize), Pace::new(self.rate)));
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let Some((stamper, pace)) = &mut self.sending else {
            return Ok(Progress::Done);
        };
        let end = self.records.min(self.next + pace.turn().await as u64);
        let record = |sequence: u64| {
            let record = Record::new(stamper.stamp(sequence));
            match self.keyed {
                true => record.with_key(sequence.to_be_bytes()),
                false => record,
            }
        };
        let records: Vec<_> = (self.next..end).map(record).collect();
        let count = records.len();
        cx.advance(end.to_string());
        self.output.send_all(records).await?;
        METRICS.sent(count);
        self.next = end;
        Ok(if end < self.records {
            Progress::Again
        } else {
            Progress::Done
        })
    }
}

/// Checks what it gets.
#[derive(OperatorSpec, Default)]
struct Sink {
    /// The records, as they are.
    input: InputPort<Vec<u8>, Raw>,
    /// The next number, at the least.
    next: u64,
}

impl Operator for Sink {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        ledger().open(cx.replicas());
        Ok(())
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let records = self.input.retrieve().await?;
        METRICS.received(records.len());
        for record in &records {
            ledger().note(stamp::verify(record), &mut self.next);
        }
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        ledger().close(self.next);
        Ok(())
    }
}

/// `source` → `sink` x N.
pub(crate) fn pipeline(options: &Options, common: &Common) -> Pipeline {
    Ledger::install(options.records, options.partitioning.into());
    let mut fanout = Pipeline::new(common.pipeline_name("fanout"));
    let source = fanout.operator::<Source>("source");
    let sink = fanout.operator::<Sink>("sink").replicas(common.replicas);
    fanout
        .connect(source.output(), sink.input())
        .partitioned(options.partitioning.into());
    source
        .records(options.records)
        .record_bytes(options.record_bytes)
        .keyed(options.partitioning == Choice::Key)
        .rate(common.rate);
    fanout
}
