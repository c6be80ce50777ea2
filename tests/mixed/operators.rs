//! The Rust twins of the operators in `mixed_python.py`.

use std::fs::OpenOptions;
use std::io::Write;

use pypz::prelude::*;

use crate::records::{Listed, Made, Nested};

/// How many records a source sends at a time.
const BATCH: i64 = 50;

/// A line of a sink's ledger: the record's number, if all of it is right.
fn line<T: Made>(record: &T) -> String {
    let number = record.number();
    match *record == T::made(number) {
        true => format!("{number}\n"),
        false => format!("wrong {record:?}\n"),
    }
}

macro_rules! twins {
    ($kind:ident, $record:ty, $source:literal, $pass:literal, $sink:literal) => {
        mod $kind {
            use super::*;

            /// Sends so many records, numbered by its replica. It fails when all are sent, if it is told to.
            #[derive(OperatorSpec, Default)]
            #[operator(spec = $source)]
            struct Source {
                output: OutputPort<$record>,
                #[parameter(name = "recordCount")]
                record_count: i64,
                #[parameter]
                fails: bool,
                sent: i64,
            }

            impl Operator for Source {
                async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
                    let first = i64::from(cx.replica_index()) * 1_000_000;
                    let until = self.record_count.min(self.sent + BATCH);
                    let batch: Vec<_> = (self.sent..until)
                        .map(|n| <$record>::made(first + n))
                        .collect();
                    self.output.send_all(batch).await?;
                    self.sent = until;
                    anyhow::ensure!(
                        until < self.record_count || !self.fails,
                        "the source is broken"
                    );
                    Ok(match until < self.record_count {
                        true => Progress::Again,
                        false => Progress::Done,
                    })
                }
            }

            /// Sends on what it gets, after a look at every byte of it.
            #[derive(OperatorSpec, Default)]
            #[operator(spec = $pass)]
            struct Pass {
                input: InputPort<$record>,
                output: OutputPort<$record>,
            }

            impl Operator for Pass {
                async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
                    let batch: Vec<$record> = self.input.retrieve().await?.into_iter().collect();
                    for record in &batch {
                        anyhow::ensure!(*record == <$record>::made(record.number()), "{record:?}");
                    }
                    self.output.send_all(batch).await?;
                    Ok(Progress::UntilInputsEnd)
                }
            }

            /// Writes the number of each record to a file of its own, after a look at every byte of it.
            #[derive(OperatorSpec, Default)]
            #[operator(spec = $sink)]
            struct Sink {
                input: InputPort<$record>,
                #[parameter]
                ledger: String,
            }

            impl Operator for Sink {
                async fn on_init(&mut self, cx: &Context) -> Result<()> {
                    // By this a test knows that the run is open.
                    let path = format!("{}.{}.open", self.ledger, cx.replica_index());
                    Ok(std::fs::write(path, "open\n")?)
                }

                async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
                    let path = format!("{}.{}", self.ledger, cx.replica_index());
                    let lines: String = self.input.retrieve().await?.iter().map(line).collect();
                    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                    file.write_all(lines.as_bytes())?;
                    Ok(Progress::UntilInputsEnd)
                }
            }
        }
    };
}

twins!(
    text,
    String,
    "mixed_rust:SourceText",
    "mixed_rust:PassText",
    "mixed_rust:SinkText"
);
twins!(
    nested,
    Nested,
    "mixed_rust:SourceNested",
    "mixed_rust:PassNested",
    "mixed_rust:SinkNested"
);
twins!(
    listed,
    Listed,
    "mixed_rust:SourceListed",
    "mixed_rust:PassListed",
    "mixed_rust:SinkListed"
);

/// The records of a ledger, those of all replicas of its sink.
fn arrived(ledger: &str) -> usize {
    let lines = |replica: u32| {
        let text = std::fs::read_to_string(format!("{ledger}.{replica}"));
        text.map_or(0, |text| text.lines().count())
    };
    (0..8).map(lines).sum()
}

/// Sends its texts part by part, each when the readers have acknowledged the one before, and looks whether they have it.
#[derive(OperatorSpec, Default)]
#[operator(spec = "mixed_rust:StepText")]
struct StepText {
    output: OutputPort<String>,
    #[parameter(name = "recordCount")]
    record_count: i64,
    #[parameter]
    part: i64,
    #[parameter]
    ledger: String,
}

impl Operator for StepText {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for first in (0..self.record_count).step_by(usize::try_from(self.part)?) {
            let end = self.record_count.min(first + self.part);
            let part: Vec<String> = (first..end).map(String::made).collect();
            self.output.send_all(part).await?;
            self.output.acknowledged().await?;
            let arrived = arrived(&self.ledger);
            anyhow::ensure!(
                i64::try_from(arrived)? == end,
                "{end} texts are acknowledged, {arrived} are written"
            );
        }
        Ok(Progress::Done)
    }
}

/// Writes what it gets, and acknowledges it.
#[derive(OperatorSpec, Default)]
#[operator(spec = "mixed_rust:ConfirmText")]
struct ConfirmText {
    input: InputPort<String>,
    #[parameter]
    ledger: String,
}

impl Operator for ConfirmText {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let path = format!("{}.{}", self.ledger, cx.replica_index());
        let lines: String = self.input.retrieve().await?.iter().map(line).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(lines.as_bytes())?;
        self.input.acknowledge()?;
        Ok(Progress::UntilInputsEnd)
    }
}
