//! When the first and the last record of the run under measurement arrived.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static ARRIVALS: Mutex<Option<(Instant, Instant)>> = Mutex::new(None);

/// How long records may take to arrive.
const DEADLINE: Duration = Duration::from_secs(60);

/// How many records have arrived since the last question.
static RECORDS: AtomicUsize = AtomicUsize::new(0);

/// Notes that records have arrived.
pub fn note(records: usize) {
    let now = Instant::now();
    RECORDS.fetch_add(records, Ordering::Relaxed);
    ARRIVALS.lock().unwrap().get_or_insert((now, now)).1 = now;
}

/// The first and the last arrival since the last question.
pub fn take() -> Option<(Instant, Instant)> {
    RECORDS.store(0, Ordering::Relaxed);
    ARRIVALS.lock().unwrap().take()
}

/// The first and the last arrival until now.
pub fn look() -> Option<(Instant, Instant)> {
    *ARRIVALS.lock().unwrap()
}

/// Waits until so many records have arrived, and forgets them.
pub async fn wait_for(records: usize) {
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    let start = Instant::now();
    while RECORDS.load(Ordering::Relaxed) < records {
        looks.tick().await;
        assert!(start.elapsed() < DEADLINE, "{records} records did not arrive");
    }
    take();
}

/// From the first arrival to the last.
pub fn span() -> Duration {
    take().map_or(Duration::ZERO, |(first, last)| last - first)
}
