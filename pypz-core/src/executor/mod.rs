//! Runs a plan: each replica through its states, all of them to one exit status.

mod commit;
mod connections;
mod joining;
mod last_words;
mod mode;
mod ports;
mod replica;
mod round;
mod run;
mod services;
mod settlement;
mod shutdown;
mod signals;
mod state;

use std::time::Duration;

pub use mode::ExecutionMode;
pub use round::RoundMember;
pub(crate) use run::run;
pub use shutdown::{Phase, Shutdown};
pub use state::{Outcome, State, next};

use crate::protocol::Timing;

/// The times of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) patience: Duration,
    pub(crate) drain: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(60),
            drain: Duration::from_secs(25),
        }
    }
}

impl Times {
    /// Heartbeats fit several times into the patience, also when that is short.
    pub(crate) fn timing(self) -> Timing {
        let default = Timing::default();
        Timing {
            heartbeat: default.heartbeat.min(self.patience / 8),
            patience: self.patience,
            challenge: default.challenge.min(self.patience / 4),
        }
    }
}
