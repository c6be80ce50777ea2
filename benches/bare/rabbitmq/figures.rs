//! Times as rates, ratios and percentiles.

use std::time::Duration;

/// What one side did, run by run.
pub(crate) struct Side {
    what: &'static str,
    records: usize,
    times: Vec<Duration>,
}

impl Side {
    pub(crate) const fn new(what: &'static str, records: usize) -> Self {
        Self {
            what,
            records,
            times: Vec::new(),
        }
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.times.push(time);
    }

    fn rate(&self, time: Duration) -> f64 {
        self.records as f64 / time.as_secs_f64()
    }

    /// The median of the rates.
    fn median(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).map_or(0.0, |time| self.rate(*time))
    }

    /// Prints the rates, and the ratio of the medians with its range over the pairs.
    pub(crate) fn report_beside(&self, other: &Self) {
        if self.times.is_empty() || other.times.is_empty() {
            return;
        }
        let pairs = self.times.iter().zip(&other.times);
        let mut ratios: Vec<f64> = pairs
            .map(|(ours, other_time)| self.rate(*ours) / other.rate(*other_time))
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (least, most) = (
            ratios.first().copied().unwrap_or(0.0),
            ratios.last().copied().unwrap_or(0.0),
        );
        let (ours, theirs) = (self.median(), other.median());
        println!(
            "{}: {ours:.0} records/s; {}: {theirs:.0}; ratio {:.2} ({least:.2} to {most:.2})",
            self.what,
            other.what,
            ours / theirs,
        );
    }
}

/// The middle and the tail of what was measured.
pub(crate) fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
            .map_or(0, Duration::as_micros)
    };
    format!(
        "p50 {} µs, p90 {} µs, p99 {} µs of {} records",
        at(50),
        at(90),
        at(99),
        times.len()
    )
}
