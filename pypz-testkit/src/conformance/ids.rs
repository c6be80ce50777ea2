//! A sink that is given everything twice, and notes under which ids.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use pypz::{Context, InputPort, Operator, Progress, Result};
use pypz_derive::OperatorSpec;

use super::items::Item;
use super::operators::FAILURE;

/// Notes the id of each record, all in one call; fails once it has so many, if it is told to.
#[derive(OperatorSpec, Default)]
pub(super) struct Ids {
    input: InputPort<Item>,
    #[parameter(required)]
    folder: PathBuf,
    #[parameter(name = "failsAt")]
    fails_at: Option<usize>,
}

impl Operator for Ids {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let mut noted = 0;
        loop {
            let batch = self.input.retrieve_records().await?;
            if batch.is_empty() {
                return Ok(Progress::UntilInputsEnd);
            }
            noted += batch.len();
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(file(&self.folder))?;
            for record in batch {
                let id = record.id.map_or_else(String::new, |id| id.to_string());
                writeln!(file, "{}\t{id}", record.value.sequence)?;
            }
            if self.fails_at.is_some_and(|at| noted >= at) {
                anyhow::bail!("{FAILURE}");
            }
        }
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("ids")
}

/// What was noted: the number of a record, and its id.
pub(super) fn noted(folder: &Path) -> Vec<(u64, String)> {
    let noted = std::fs::read_to_string(file(folder)).unwrap_or_default();
    let line = |line: &str| {
        let (number, id) = line.split_once('\t')?;
        Some((number.parse().ok()?, id.to_owned()))
    };
    noted.lines().filter_map(line).collect()
}
