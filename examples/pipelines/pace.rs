//! The pace of a source.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// The most records that a source sends at once.
const BATCH: u64 = 1_000;

/// How often a paced source sends, unless it sends less than one record in that time.
const TICK: Duration = Duration::from_millis(10);

/// Keeps a source to a number of records per second; 0 for as fast as it goes.
pub(crate) struct Pace {
    rate: u64,
    started: Instant,
    granted: u64,
    tick: Interval,
}

impl Pace {
    /// The pace begins now.
    pub(crate) fn new(rate: u64) -> Self {
        let mut tick =
            interval(TICK.max(Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            rate,
            started: Instant::now(),
            granted: 0,
            tick,
        }
    }

    /// Waits for the next batch's turn, and says how many records it may have.
    pub(crate) async fn turn(&mut self) -> usize {
        let mut turn = match self.rate {
            0 => BATCH,
            _ => 0,
        };
        while turn == 0 {
            self.tick.tick().await;
            let due = (self.started.elapsed().as_secs_f64() * self.rate as f64) as u64 + 1;
            turn = due.saturating_sub(self.granted).min(BATCH.max(self.rate / 100));
        }
        self.granted += turn;
        turn as usize
    }
}
