//! Makes flights of lines.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail, ensure};
use pypz::ExitStatus;
use pypz::prelude::*;

use super::source::HEADER;
use super::{Flight, Line};
use crate::metrics::METRICS;

/// How many malformed lines the replicas in this process skipped.
static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Parses lines and sends the flights with their carrier as key.
#[derive(OperatorSpec, Default)]
#[operator(spec = "flights.operators:Clean")]
pub(super) struct Clean {
    /// Lines of the file.
    lines: InputPort<Line>,
    /// Flights, keyed by carrier.
    flights: OutputPort<Flight>,
    /// Counts malformed lines instead of failing at the first.
    #[parameter(name = "skipMalformed")]
    skip_malformed: bool,
}

impl Operator for Clean {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let lines = self.lines.retrieve().await?;
        METRICS.received(lines.len());
        let mut flights = Vec::with_capacity(lines.len());
        for Line { file, number, text } in lines {
            match Flight::parse(&text) {
                Ok(flight) => {
                    let carrier = flight.carrier.clone();
                    flights.push(Record::new(flight).with_key(carrier));
                }
                Err(error) if self.skip_malformed => {
                    tracing::info!("{file}:{number}: skipped: {error:#}");
                    SKIPPED.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error.context(format!("{file}:{number}: malformed line"))),
            }
        }
        self.flights.send_all(flights).await?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// Says on stderr how many malformed lines were skipped in this process.
pub(crate) fn report_skipped(status: ExitStatus) -> ExitStatus {
    match SKIPPED.load(Ordering::Relaxed) {
        0 => {}
        1 => eprintln!("skipped 1 malformed line"),
        skipped => eprintln!("skipped {skipped} malformed lines"),
    }
    status
}

/// Where the columns of [`HEADER`] stand.
mod column {
    pub(super) const YEAR: usize = 0;
    pub(super) const MONTH: usize = 1;
    pub(super) const DAY: usize = 2;
    pub(super) const DEP_TIME: usize = 3;
    pub(super) const DEP_DELAY: usize = 5;
    pub(super) const ARR_DELAY: usize = 8;
    pub(super) const CARRIER: usize = 9;
    pub(super) const ORIGIN: usize = 12;
    pub(super) const COUNT: usize = 19;
}

impl Flight {
    fn parse(line: &str) -> Result<Self> {
        let row = Row::parse(line)?;
        let year: u32 = row.value(column::YEAR)?;
        let month: u32 = row.value(column::MONTH)?;
        let day: u32 = row.value(column::DAY)?;
        ensure!((1..=12).contains(&month), "month is {month}");
        ensure!((1..=31).contains(&day), "day is {day}");
        Ok(Self {
            carrier: row.value(column::CARRIER)?,
            origin: row.value(column::ORIGIN)?,
            date: format!("{year:04}-{month:02}-{day:02}"),
            cancelled: row.optional::<u32>(column::DEP_TIME)?.is_none(),
            departure_delay: row.optional(column::DEP_DELAY)?,
            arrival_delay: row.optional(column::ARR_DELAY)?,
        })
    }
}

/// The values of a line. None of them is quoted in this file; a comma inside quotes would be a column too many.
struct Row<'a>(Vec<&'a str>);

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let row: Vec<&str> = line.split(',').collect();
        ensure!(
            row.len() == column::COUNT,
            "it has {} columns, not {}",
            row.len(),
            column::COUNT
        );
        Ok(Self(row))
    }

    /// The value of a column that must have one.
    fn value<T: FromStr>(&self, column: usize) -> Result<T> {
        self.optional(column)?
            .with_context(|| format!("{} is missing", name(column)))
    }

    /// The value of a column, `None` for `NA`.
    fn optional<T: FromStr>(&self, column: usize) -> Result<Option<T>> {
        match self.0.get(column).copied().unwrap_or_default() {
            "" | "NA" => Ok(None),
            value => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => bail!("{} is '{}'", name(column), value.escape_debug()),
            },
        }
    }
}

fn name(column: usize) -> &'static str {
    HEADER.split(',').nth(column).unwrap_or_default()
}
