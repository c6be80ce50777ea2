//! Reads the signal.

use std::path::PathBuf;

use anyhow::Context as _;
use pypz::prelude::*;

use super::Measurement;
use crate::metrics::METRICS;
use crate::pace::Pace;

/// Sends the measurements of a CSV file with a header, the date in the first column and the value in the second.
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
}

impl Operator for Source {
    /// Reading a file blocks the thread.
    const THREADING: Threading = Threading::Dedicated;

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let file = self.input.display();
        let mut csv = csv::Reader::from_path(&self.input).with_context(|| format!("cannot open {file}"))?;
        let mut rows = csv.records().zip(2_u64..);
        let mut pace = Pace::new(self.rate);
        loop {
            let turn = pace.turn().await;
            let measurements = rows.by_ref().take(turn).map(|(row, line)| {
                let measurement = row.map_err(anyhow::Error::new).and_then(|row| measurement(&row));
                measurement.with_context(|| format!("{file}:{line}: malformed line"))
            });
            let measurements = measurements.collect::<Result<Vec<_>>>()?;
            if measurements.is_empty() {
                return Ok(Progress::Done);
            }
            let count = measurements.len();
            self.measurements.send_all(measurements).await?;
            METRICS.sent(count);
        }
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
