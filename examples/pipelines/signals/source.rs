//! Reads the signal.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context as _;
use pypz::prelude::*;

use super::Measurement;
use crate::metrics::METRICS;
use crate::pace::Pace;

/// Sends the measurements of a CSV file with a header, the date in the first column and the value in the second. Started again, it
/// goes on behind the last line that counts.
#[derive(OperatorSpec, Default)]
pub(super) struct Source {
    /// The measurements, in the file's order.
    measurements: OutputPort<Measurement>,
    /// The file.
    #[parameter(required)]
    input: PathBuf,
    /// Measurements per second; 0 for as fast as it goes.
    #[parameter]
    rate: u64,
    reading: Option<Reading>,
}

/// A file that is being read.
struct Reading {
    rows: csv::StringRecordsIntoIter<File>,
    /// The line that was read last.
    line: u64,
    pace: Pace,
}

impl Operator for Source {
    /// Reading a file blocks the thread.
    const THREADING: Threading = Threading::Dedicated;

    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        let csv = csv::Reader::from_path(&self.input)
            .with_context(|| format!("cannot open {}", self.input.display()))?;
        let mut reading = Reading {
            rows: csv.into_records(),
            line: 1,
            pace: Pace::new(self.rate),
        };
        if let Some(position) = cx.position() {
            let line: u64 = position.parse().context("the position is no line number")?;
            while reading.line < line && reading.rows.next().transpose()?.is_some() {
                reading.line += 1;
            }
        }
        self.reading = Some(reading);
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let file = self.input.display();
        let Some(Reading { rows, line, pace }) = &mut self.reading else {
            return Ok(Progress::Done);
        };
        let turn = pace.turn().await;
        let measurements = rows.take(turn).map(|row| {
            *line += 1;
            let measurement = row.map_err(anyhow::Error::new).and_then(|row| measurement(&row));
            measurement.with_context(|| format!("{file}:{line}: malformed line"))
        });
        let measurements = measurements.collect::<Result<Vec<_>>>()?;
        if measurements.is_empty() {
            return Ok(Progress::Done);
        }
        let count = measurements.len();
        cx.advance(line.to_string());
        self.measurements.send_all(measurements).await?;
        METRICS.sent(count);
        Ok(Progress::Again)
    }
}

/// A row's measurement, without a value if there is none or `NA`.
fn measurement(row: &csv::StringRecord) -> Result<Measurement> {
    let date = row.get(0).unwrap_or_default().to_owned();
    let value = match row.get(1).context("there is no second column")? {
        "" | "NA" => None,
        text => {
            let value: f64 = text
                .parse()
                .with_context(|| format!("'{}'", text.escape_debug()))?;
            anyhow::ensure!(value.is_finite(), "{value} is not finite");
            Some(value)
        }
    };
    Ok(Measurement { date, value })
}
