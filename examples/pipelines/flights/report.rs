//! Prints the table and writes the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pypz::prelude::*;

use super::{AirportSummary, CarrierSummary};
use crate::output;

/// Collects the summaries of both sides, by code.
///
/// A replica that was started again may send its summary once more: the last one counts.
#[derive(OperatorSpec, Default)]
#[operator(spec = "flights.operators:Report")]
pub(super) struct Report {
    /// One summary a carrier.
    carriers: InputPort<CarrierSummary>,
    /// One summary an airport.
    airports: InputPort<AirportSummary>,
    /// Where to write the report as JSON.
    #[parameter]
    output: Option<PathBuf>,
    by_carrier: BTreeMap<String, CarrierSummary>,
    by_origin: BTreeMap<String, AirportSummary>,
}

/// The file.
#[derive(Serialize)]
struct File<'a> {
    carriers: Vec<&'a CarrierSummary>,
    airports: Vec<&'a AirportSummary>,
}

impl Operator for Report {
    /// As in `carriers`.
    const COMMIT: Commit = Commit::Manual;

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        // `retrieve` is cancel-safe: the port that had nothing yet loses nothing.
        tokio::select! {
            carriers = self.carriers.retrieve(), if !self.carriers.is_ended() => {
                self.by_carrier.extend(carriers?.into_iter().map(|summary| (summary.carrier.clone(), summary)));
            }
            airports = self.airports.retrieve(), if !self.airports.is_ended() => {
                self.by_origin.extend(airports?.into_iter().map(|summary| (summary.origin.clone(), summary)));
            }
            else => {}
        }
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        self.print();
        if let Some(path) = &self.output {
            let file = File {
                carriers: self.by_carrier.values().collect(),
                airports: self.by_origin.values().collect(),
            };
            output::write_json(path, &file)?;
        }
        Ok(())
    }
}

impl Report {
    fn print(&self) {
        output::line("carrier  flights  cancelled  departure delay  arrival delay  longest");
        for summary in self.by_carrier.values() {
            output::line(&format!(
                "{:<7}  {:>7}  {:>9}  {:>15}  {:>13}  {:>7}",
                summary.carrier,
                summary.flights,
                summary.cancelled,
                output::cell(summary.departure_delay_mean, 1),
                output::cell(summary.arrival_delay_mean, 1),
                output::cell(summary.arrival_delay_max.map(f64::from), 0),
            ));
        }
        output::line("\nairport  flights  busiest day  flights then");
        for summary in self.by_origin.values() {
            output::line(&format!(
                "{:<7}  {:>7}  {:>11}  {:>12}",
                summary.origin, summary.flights, summary.busiest_day, summary.busiest_day_flights,
            ));
        }
    }
}
