//! Watches the airports.

use std::collections::BTreeMap;

use anyhow::Context as _;
use pypz::prelude::*;

use super::{AirportSummary, Flight};

/// The airports of New York, one replica each.
pub(super) const AIRPORTS: [&str; 3] = ["EWR", "JFK", "LGA"];

/// Counts the departures of one airport by day. All replicas get all flights, and each keeps to its own airport.
#[derive(OperatorSpec, Default)]
#[operator(spec = "flights.operators:Airports")]
pub(super) struct Airports {
    /// All flights.
    flights: InputPort<Flight>,
    /// The airport's summary, at the end.
    summaries: OutputPort<AirportSummary>,
    origin: &'static str,
    by_day: BTreeMap<String, i64>,
}

impl Operator for Airports {
    /// As in `carriers`.
    const COMMIT: Commit = Commit::Manual;

    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        let airport = AIRPORTS.get(cx.replica_index() as usize);
        self.origin =
            airport.with_context(|| format!("there is no airport for replica {}", cx.replica_index()))?;
        Ok(())
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for flight in self.flights.retrieve().await? {
            if flight.origin == self.origin {
                *self.by_day.entry(flight.date).or_default() += 1;
            }
        }
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        // Of several greatest, `max_by_key` takes the last: reversed, that is the earliest day.
        if let Some((day, flights)) = self.by_day.iter().rev().max_by_key(|(_, flights)| **flights) {
            let summary = AirportSummary {
                origin: self.origin.to_owned(),
                flights: self.by_day.values().sum(),
                busiest_day: day.clone(),
                busiest_day_flights: *flights,
            };
            self.summaries.send(summary).await?;
        }
        Ok(())
    }
}
