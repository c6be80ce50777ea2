//! Time as a machine may judge by it.

use std::time::Duration;

/// The local monotonic time, and how much of it the status log has confirmed.
///
/// Peers are judged in *observed* time, which passes only when our own reports come back from the log: what comes back
/// proves that the log was heard up to there. A broker that is away, or a process that was stopped, makes it stand.
#[derive(Debug)]
pub(super) struct Clock {
    heartbeat: Duration,
    now: Duration,
    observed: Duration,
    /// When the last own report came back, or the first was published. `None` while nothing is said.
    heard: Option<Duration>,
    /// Time since then, without the time in which this process did not run.
    waited: Duration,
}

impl Clock {
    pub(super) const fn new(heartbeat: Duration) -> Self {
        Self {
            heartbeat,
            now: Duration::ZERO,
            observed: Duration::ZERO,
            heard: None,
            waited: Duration::ZERO,
        }
    }

    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    pub(super) const fn observed(&self) -> Duration {
        self.observed
    }

    /// Takes in the time since the start, which never runs backwards.
    pub(super) fn tick(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        if self.heard.is_some() {
            self.waited += passed.min(self.heartbeat);
        }
    }

    /// A report was published: from now on the log is expected to give it back.
    pub(super) const fn spoke(&mut self) {
        if self.heard.is_none() {
            self.heard = Some(self.now);
        }
    }

    /// There is nothing more to say.
    pub(super) const fn fell_silent(&mut self) {
        self.heard = None;
        self.waited = Duration::ZERO;
    }

    /// An own report came back. After a gap at most a heartbeat is confirmed: the peers had the same gap.
    pub(super) fn echoed(&mut self) {
        if let Some(heard) = self.heard {
            self.observed += self.now.saturating_sub(heard).min(self.heartbeat);
            self.heard = Some(self.now);
        }
        self.waited = Duration::ZERO;
    }

    /// For how long nothing has come back.
    pub(super) fn silence(&self) -> Duration {
        self.heard
            .map_or(Duration::ZERO, |heard| self.now.saturating_sub(heard))
    }

    /// The same, without the time in which this process did not run: a process that was stopped gets the time to
    /// read what it missed.
    pub(super) const fn waited(&self) -> Duration {
        self.waited
    }
}
