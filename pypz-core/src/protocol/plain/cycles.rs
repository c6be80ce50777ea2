//! How fast a member works, for pypz-python's `metricsEnabled`: its signs of life tell it then.
//!
//! A cycle begins with a batch that a writer sends or that a reader is given, and ends with the next one.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::identity::{MemberId, Side};
use crate::protocol::machine::Machine;

/// Of how many cycles the averages are at most, as in pypz-python.
const WINDOW: usize = 9;

/// The last cycles of one member.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Cycles {
    /// When the one under way began, and its records.
    current: Option<(Duration, u64)>,
    /// How long each one before it took, and its records.
    over: VecDeque<(Duration, u64)>,
}

/// What a sign of life tells of the last cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// How long the cycle under way takes already.
    pub current: Duration,
    /// How many cycles are over, 9 at most.
    pub cycles: u32,
    /// How long they took together.
    pub took: Duration,
    /// How many records they had together.
    pub records: u64,
}

impl Metrics {
    /// Milliseconds of the current cycle, milliseconds a cycle, milliseconds a record, records a cycle: the figures of pypz-python,
    /// 0 where there is nothing to divide by.
    pub(in crate::protocol) fn figures(&self) -> [f64; 4] {
        let took = self.took.as_secs_f64() * 1_000.0;
        let records = self.records as f64;
        let each = |whole: f64, parts: f64| if parts > 0.0 { whole / parts } else { 0.0 };
        let cycles = f64::from(self.cycles);
        [
            self.current.as_secs_f64() * 1_000.0,
            each(took, cycles),
            each(took, records),
            each(records, cycles),
        ]
    }
}

impl Cycles {
    pub(in crate::protocol) const fn new() -> Self {
        Self {
            current: None,
            over: VecDeque::new(),
        }
    }

    fn begin(&mut self, now: Duration, records: u64) {
        if let Some((since, records)) = self.current.replace((now, records)) {
            self.over.push_back((now.saturating_sub(since), records));
            if self.over.len() > WINDOW {
                self.over.pop_front();
            }
        }
    }

    /// What is to be told now; `None` before the first cycle.
    pub(super) fn metrics(&self, now: Duration) -> Option<Metrics> {
        let (since, _) = self.current?;
        Some(Metrics {
            current: now.saturating_sub(since),
            cycles: u32::try_from(self.over.len()).unwrap_or(u32::MAX),
            took: self.over.iter().map(|(took, _)| *took).sum(),
            records: self.over.iter().map(|(_, records)| *records).sum(),
        })
    }
}

impl Machine {
    /// Notes that a member has sent, or was given, more records: so many in all. Call it before the event that tells the same.
    pub fn measure(&mut self, member: MemberId, now: Duration, count: u64) {
        let Some(local) = self.local.get_mut(&member) else {
            return;
        };
        let before = local.count.unwrap_or(match member.side {
            // A reader's first count is that of the incarnations before it.
            Side::Readers => count,
            Side::Writers => 0,
        });
        if count > before {
            local.cycles.begin(now, count - before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_of_the_last_nine_cycles_that_are_over() {
        let mut cycles = Cycles::new();
        assert_eq!(cycles.metrics(Duration::ZERO), None);
        cycles.begin(Duration::from_millis(100), 5);
        let first = cycles.metrics(Duration::from_millis(130)).unwrap();
        assert_eq!(first.figures(), [30.0, 0.0, 0.0, 0.0]);
        for cycle in 1..=20 {
            cycles.begin(Duration::from_millis(100 + 40 * cycle), 10);
        }
        let metrics = cycles.metrics(Duration::from_millis(901)).unwrap();
        assert_eq!((metrics.cycles, metrics.records), (9, 90));
        assert_eq!(metrics.figures(), [1.0, 40.0, 4.0, 10.0]);
    }
}
