//! Operators in three builds, whose records have another form each.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use apache_avro::AvroSchema;
use pypz::{Context, InputPort, Operator, OutputPort, Progress, Result};
use pypz_derive::OperatorSpec;
use serde::{Deserialize, Serialize};

/// How many records a source sends in all.
pub(super) const COUNT: i32 = 100;

/// Makes a source and a sink of one form, which is made from a number and told by a text.
macro_rules! build {
    ($(#[$doc:meta])* $build:ident: $form:ty, $of:expr, $told:expr) => {
        $(#[$doc])*
        pub(super) mod $build {
            use super::*;

            /// Sends all numbers, ten at a time.
            #[derive(OperatorSpec, Default)]
            pub(crate) struct Source {
                output: OutputPort<$form>,
                next: i32,
            }

            impl Operator for Source {
                async fn on_init(&mut self, cx: &Context) -> Result<()> {
                    self.next = cx.position().unwrap_or("0").parse()?;
                    Ok(())
                }

                async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
                    if self.next == COUNT {
                        return Ok(Progress::Done);
                    }
                    let end = self.next + 10;
                    self.output.send_all((self.next..end).map($of).collect::<Vec<_>>()).await?;
                    cx.advance(end.to_string());
                    self.next = end;
                    Ok(Progress::Again)
                }
            }

            /// Notes what comes; may fail once it has noted something.
            #[derive(OperatorSpec, Default)]
            pub(crate) struct Sink {
                input: InputPort<$form>,
                #[parameter(required)]
                folder: PathBuf,
                #[parameter]
                fails: bool,
            }

            impl Operator for Sink {
                async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
                    let told: String = self.input.retrieve().await?.into_iter().map($told).collect();
                    if self.fails && !told.is_empty() {
                        anyhow::bail!("this sink has had enough");
                    }
                    let noted = self.folder.join("noted");
                    OpenOptions::new().create(true).append(true).open(noted)?.write_all(told.as_bytes())?;
                    Ok(Progress::UntilInputsEnd)
                }
            }
        }
    };
}

/// The first form.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Item")]
pub(super) struct Item {
    number: i32,
}

/// With a field that older records do not have.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Item")]
pub(super) struct Longer {
    number: i32,
    #[serde(default)]
    #[avro(default = "\"none\"")]
    note: String,
}

/// With a text for the number.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Item")]
pub(super) struct Other {
    number: String,
}

build! {
    /// The build that a run begins with.
    first: Item, |number| Item { number }, |item: Item| format!("{}\n", item.number)
}

build! {
    /// A later one, whose records can be read as the first ones, and the other way round.
    longer: Longer,
    |number| Longer { number, note: "new".to_owned() },
    |item: Longer| format!("{} {}\n", item.number, item.note)
}

build! {
    /// One whose records are something else.
    other: Other, |number| Other { number: number.to_string() }, |item: Other| format!("{}\n", item.number)
}

/// What was noted, line by line.
pub(super) fn noted(folder: &Path) -> Vec<String> {
    let noted = std::fs::read_to_string(folder.join("noted")).unwrap_or_default();
    noted.lines().map(str::to_owned).collect()
}
