//! Reads the lines of a file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use flate2::bufread::MultiGzDecoder;
use pypz::prelude::*;

use super::Line;
use crate::metrics::METRICS;
use crate::pace::Pace;

/// The columns that the file must have, in this order.
pub(super) const HEADER: &str = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,\
                                 carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour";

/// Sends the lines of a CSV file, without its header. Started again, it goes on behind the last line that counts.
#[derive(OperatorSpec, Default)]
#[operator(spec = "flights.operators:Source")]
pub(super) struct Source {
    /// What stands in the file.
    lines: OutputPort<Line>,
    /// The file, gzipped if its name ends in `.gz`.
    #[parameter(required)]
    input: PathBuf,
    /// Lines per second; 0 for as fast as it goes.
    #[parameter]
    rate: u64,
    reading: Option<(CsvLines, Pace)>,
}

impl Operator for Source {
    /// Reading a file blocks the thread.
    const THREADING: Threading = Threading::Dedicated;

    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        let mut file = CsvLines::open(&self.input)?;
        if let Some(line) = cx.position() {
            file.skip_to(line.parse().context("the position is no line number")?)?;
        }
        self.reading = Some((file, Pace::new(self.rate)));
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let Some((file, pace)) = &mut self.reading else {
            return Ok(Progress::Done);
        };
        let turn = pace.turn().await;
        let lines = file.by_ref().take(turn).collect::<Result<Vec<Line>>>()?;
        if lines.is_empty() {
            return Ok(Progress::Done);
        }
        let count = lines.len();
        cx.advance(file.number.to_string());
        self.lines.send_all(lines).await?;
        METRICS.sent(count);
        Ok(Progress::Again)
    }
}

/// The lines behind the header, numbered as an editor does.
struct CsvLines {
    file: String,
    number: i64,
    reader: Box<dyn BufRead + Send>,
}

impl CsvLines {
    fn open(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let bytes = BufReader::new(File::open(path).with_context(|| format!("cannot open {file}"))?);
        let reader: Box<dyn BufRead + Send> = match path.extension() {
            Some(extension) if extension == "gz" => Box::new(BufReader::new(MultiGzDecoder::new(bytes))),
            _ => Box::new(bytes),
        };
        let mut lines = Self {
            file,
            number: 0,
            reader,
        };
        let header = lines.next().transpose()?.map(|line| line.text);
        ensure!(
            header.as_deref() == Some(HEADER),
            "{}:1: the columns must be {HEADER}",
            lines.file
        );
        Ok(lines)
    }

    /// Passes over all lines up to this one.
    fn skip_to(&mut self, line: i64) -> Result<()> {
        while self.number < line && self.next().transpose()?.is_some() {}
        Ok(())
    }
}

impl Iterator for CsvLines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Result<Line>> {
        self.number += 1;
        let mut text = String::new();
        match self.reader.read_line(&mut text) {
            Ok(0) => None,
            Ok(_) => Some(Ok(Line {
                file: self.file.clone(),
                number: self.number,
                text: text.trim_end_matches(['\r', '\n']).to_owned(),
            })),
            Err(error) => {
                let at = format!("{}:{}: cannot be read", self.file, self.number);
                Some(Err(anyhow::Error::new(error).context(at)))
            }
        }
    }
}
