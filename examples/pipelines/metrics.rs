//! The figures of `--json` and of the progress bar.
//!
//! Operators are made by `Default`, each replica a value of its own, so they meet in a static.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pypz::ExitStatus;
use pypz::channel::Location;
use serde::Serialize;

use crate::options::{Common, Job};

/// The figures of this process.
pub(crate) static METRICS: Metrics = Metrics {
    started: OnceLock::new(),
    stopped: OnceLock::new(),
    sent: AtomicU64::new(0),
    received: AtomicU64::new(0),
    first: AtomicU64::new(u64::MAX),
    last: AtomicU64::new(0),
    threads: AtomicU64::new(0),
    rss_kib: AtomicU64::new(0),
};

/// What the sources of this process sent, and what the operators next to them received.
pub(crate) struct Metrics {
    started: OnceLock<Instant>,
    stopped: OnceLock<Duration>,
    sent: AtomicU64,
    received: AtomicU64,
    /// When the first and the last record came, in nanoseconds since the start.
    first: AtomicU64,
    last: AtomicU64,
    threads: AtomicU64,
    rss_kib: AtomicU64,
}

/// What `--json` prints. A figure is `null` if nothing was received in this process.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    job: &'static str,
    location: String,
    replicas: u32,
    sent: u64,
    received: u64,
    start_to_first_ms: Option<f64>,
    records_per_s: Option<f64>,
    last_to_exit_ms: Option<f64>,
    threads: u64,
    rss_mib: f64,
    exit: u8,
}

impl Metrics {
    /// Notes that the run starts.
    pub(crate) fn start(&self) {
        self.started.get_or_init(Instant::now);
    }

    /// Notes that the run has returned.
    pub(crate) fn stop(&self) {
        self.stopped.get_or_init(|| self.now());
    }

    /// Counts records that a source sent.
    pub(crate) fn sent(&self, records: usize) {
        self.sent.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Counts records that an operator next to a source received.
    pub(crate) fn received(&self, records: usize) {
        if records > 0 {
            let now = self.now().as_nanos() as u64;
            self.first.fetch_min(now, Ordering::Relaxed);
            self.last.fetch_max(now, Ordering::Relaxed);
            self.received.fetch_add(records as u64, Ordering::Relaxed);
        }
    }

    /// How many records were sent and received so far.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        (
            self.sent.load(Ordering::Relaxed),
            self.received.load(Ordering::Relaxed),
        )
    }

    /// The line of `--json`.
    pub(crate) fn line(&self, job: &Job, common: &Common, status: ExitStatus) -> Line {
        let (sent, received) = self.so_far();
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e5).round() / 100.0;
        let [first, last] =
            [&self.first, &self.last].map(|time| Duration::from_nanos(time.load(Ordering::Relaxed)));
        let stopped = self.stopped.get().copied().unwrap_or_default();
        let some = received > 0;
        self.look();
        Line {
            job: job.name(),
            location: Location::parse(common.location())
                .map_or_else(|_| String::new(), |location| location.to_string()),
            replicas: common.replicas,
            sent,
            received,
            start_to_first_ms: some.then(|| milliseconds(first)),
            records_per_s: (last > first).then(|| (received as f64 / (last - first).as_secs_f64()).round()),
            last_to_exit_ms: some.then(|| milliseconds(stopped.saturating_sub(last))),
            threads: self.threads.load(Ordering::Relaxed),
            rss_mib: (self.rss_kib.load(Ordering::Relaxed) as f64 / 102.4).round() / 10.0,
            exit: status.code(),
        }
    }

    fn now(&self) -> Duration {
        self.started.get_or_init(Instant::now).elapsed()
    }

    /// Looks how many threads and how much memory the process has; the largest figures are kept.
    fn look(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let figure = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default();
            line.split_whitespace()
                .next()
                .and_then(|figure| figure.parse().ok())
                .unwrap_or(0)
        };
        self.threads.fetch_max(figure("Threads:"), Ordering::Relaxed);
        self.rss_kib.fetch_max(figure("VmRSS:"), Ordering::Relaxed);
    }
}

/// Looks at threads and memory, again and again.
pub(crate) async fn sample() {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        METRICS.look();
    }
}
