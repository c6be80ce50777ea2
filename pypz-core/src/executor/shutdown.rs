//! How a run is asked to end early.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Nobody asked.
    Running,
    /// Sources stop, what is in hand is finished.
    Draining,
    /// Everything stops where it is.
    Stopping,
}

/// Asks everything in a run to drain or to stop, and tells who looks.
///
/// Phases only advance. A look is one load of an atomic.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: Arc<AtomicU8>,
    sender: Arc<watch::Sender<Phase>>,
    receiver: watch::Receiver<Phase>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let (sender, receiver) = watch::channel(Phase::Running);
        Self {
            phase: Arc::default(),
            sender: Arc::new(sender),
            receiver,
        }
    }
}

impl Shutdown {
    /// Advances to a phase. Going back has no effect.
    pub fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.sender.send_if_modified(|current| {
            let later = phase > *current;
            if later {
                *current = phase;
            }
            later
        });
    }

    /// The phase as it is now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Waits until the phase advances from what this clone saw last. Cancel-safe.
    pub async fn changed(&mut self) {
        // The sender lives as long as any clone, so there is always a change to wait for.
        let _ = self.receiver.changed().await;
    }

    /// Waits until a phase is reached. Cancel-safe.
    pub async fn reached(&mut self, phase: Phase) {
        let _ = self.receiver.wait_for(|current| *current >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_advance_and_reach_every_clone() {
        let shutdown = Shutdown::default();
        let mut other = shutdown.clone();
        shutdown.advance(Phase::Stopping);
        shutdown.advance(Phase::Draining);
        other.reached(Phase::Draining).await;
        assert_eq!(
            (shutdown.phase(), other.phase()),
            (Phase::Stopping, Phase::Stopping)
        );
    }
}
