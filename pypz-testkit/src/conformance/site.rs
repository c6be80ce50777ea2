//! The transport under test.

use std::time::Duration;

/// What becomes of records when the process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// They are gone, too: all members of a channel live in one execution.
    Volatile,
    /// They are there, and members may live in other processes.
    Durable,
}

/// How the replicas of a reader share the records of a round robin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Each has a partition of its own and gets its turn; positions are offsets, counted from 0.
    InTurn,
    /// They compete: shares are uneven, and positions say nothing about what was sent before.
    Competing,
}

/// The transport under test: where its channels live and what kind it is of.
///
/// ```
/// use pypz_testkit::conformance::Site;
///
/// let memory = Site::volatile("memory://");
/// let queues = Site::durable("amqp://localhost:5672").competing();
/// ```
#[derive(Debug, Clone)]
pub struct Site {
    location: String,
    lifetime: Lifetime,
    sharing: Sharing,
    patience: Duration,
    test: String,
}

impl Site {
    fn new(location: impl Into<String>, lifetime: Lifetime) -> Self {
        Self {
            location: location.into(),
            lifetime,
            sharing: Sharing::InTurn,
            patience: Duration::from_secs(8),
            test: String::new(),
        }
    }

    /// A transport whose records are lost when the process goes.
    #[must_use]
    pub fn volatile(location: impl Into<String>) -> Self {
        Self::new(location, Lifetime::Volatile)
    }

    /// A transport whose records outlive processes.
    #[must_use]
    pub fn durable(location: impl Into<String>) -> Self {
        Self::new(location, Lifetime::Durable)
    }

    /// Its replicas compete for the records of a round robin.
    #[must_use]
    pub const fn competing(mut self) -> Self {
        self.sharing = Sharing::Competing;
        self
    }

    /// How long a peer may be silent; default 8 s. Cases in which a peer is lost take that long.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn called(mut self, test: String) -> Self {
        self.test = test;
        self
    }

    pub(super) fn location(&self) -> &str {
        &self.location
    }

    pub(super) fn is_volatile(&self) -> bool {
        self.lifetime == Lifetime::Volatile
    }

    pub(super) fn shares_in_turn(&self) -> bool {
        self.sharing == Sharing::InTurn
    }

    pub(super) const fn silence(&self) -> Duration {
        self.patience
    }

    /// The running test, as the test program knows it.
    pub(super) fn test(&self) -> &str {
        &self.test
    }
}
