//! Sums up each carrier's flights.

use std::collections::BTreeMap;

use pypz::prelude::*;

use super::{CarrierSummary, Flight};

/// Keeps a sum for each carrier; flights come by carrier, so that a carrier's are all at one replica.
#[derive(OperatorSpec, Default)]
#[operator(spec = "flights.operators:Carriers")]
pub(super) struct Carriers {
    /// Flights, keyed by carrier.
    flights: InputPort<Flight>,
    /// One summary a carrier, at the end.
    summaries: OutputPort<CarrierSummary>,
    sums: BTreeMap<String, Sums>,
}

#[derive(Default)]
struct Sums {
    flights: i64,
    cancelled: i64,
    departures: Delays,
    arrivals: Delays,
}

#[derive(Default)]
struct Delays {
    flights: i64,
    minutes: i64,
    longest: Option<i32>,
}

impl Operator for Carriers {
    /// Nothing is committed before the summaries are sent, so a replica that dies reads its flights again.
    const COMMIT: Commit = Commit::Manual;

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for flight in self.flights.retrieve().await? {
            let sums = self.sums.entry(flight.carrier).or_default();
            sums.flights += 1;
            sums.cancelled += i64::from(flight.cancelled);
            sums.departures.add(flight.departure_delay);
            sums.arrivals.add(flight.arrival_delay);
        }
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        let summary = |(carrier, sums): (String, Sums)| CarrierSummary {
            carrier,
            flights: sums.flights,
            cancelled: sums.cancelled,
            departure_delay_mean: sums.departures.mean(),
            arrival_delay_mean: sums.arrivals.mean(),
            arrival_delay_max: sums.arrivals.longest,
        };
        let summaries: Vec<_> = std::mem::take(&mut self.sums).into_iter().map(summary).collect();
        self.summaries.send_all(summaries).await?;
        Ok(())
    }
}

impl Delays {
    fn add(&mut self, delay: Option<i32>) {
        if let Some(minutes) = delay {
            self.flights += 1;
            self.minutes += i64::from(minutes);
            self.longest = self.longest.max(delay);
        }
    }

    /// The mean over the flights that have a delay, if any.
    fn mean(&self) -> Option<f64> {
        (self.flights > 0).then(|| self.minutes as f64 / self.flights as f64)
    }
}
