//! When the first and the last record of the run under measurement arrived.

use std::sync::Mutex;
use std::time::{Duration, Instant};

static ARRIVALS: Mutex<Option<(Instant, Instant)>> = Mutex::new(None);

/// Notes that records have arrived.
pub fn note() {
    let now = Instant::now();
    ARRIVALS.lock().unwrap().get_or_insert((now, now)).1 = now;
}

/// The first and the last arrival since the last question.
pub fn take() -> Option<(Instant, Instant)> {
    ARRIVALS.lock().unwrap().take()
}

/// From the first arrival to the last.
pub fn span() -> Duration {
    take().map_or(Duration::ZERO, |(first, last)| last - first)
}
