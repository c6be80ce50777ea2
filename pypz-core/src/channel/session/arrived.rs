//! The end of a queue with plain readers.

use tokio::time::Instant;

use super::{ChannelSession, LOG_EVERY};
use crate::channel::Delivery;
use crate::executor::{Phase, Shutdown};
use crate::protocol::MemberId;

impl ChannelSession {
    /// Waits, before a writer says that it has stopped, until the plain readers of a queue say that they were given all of it.
    ///
    /// A reader of pypz-python ends when the queue is empty and its writers have stopped; what it was sent and has not given out by
    /// then is in neither count, and lost. It tells its own count every two seconds. If that does not grow for the patience, a reader
    /// was started again, say, and counts anew, the wait is over, as it is when the pipeline drains. Sequential readers begin when the
    /// writers have stopped.
    pub async fn arrived(&self, writer: MemberId, shutdown: &Shutdown) {
        let spec = &self.shared.spec;
        if !self.counts_records() || spec.is_log() || spec.sequential {
            return;
        }
        let (to_all, patience) = (spec.delivery == Delivery::Broadcast, spec.timing.patience);
        let (mut view, mut shutdown) = (self.watch(), shutdown.clone());
        let mut last = (0, Instant::now());
        while shutdown.phase() == Phase::Running && view.borrow_and_update().trouble.is_none() {
            let Some((received, sent)) = self.shared.lock().arrived_at_plain_readers(to_all) else {
                return;
            };
            let port = self.name(writer);
            if received > last.0 {
                last = (received, Instant::now());
            }
            if last.1.elapsed() >= patience {
                tracing::warn!(
                    port,
                    "pypz-python says that it received {received} of {sent} records, and no more for {} s",
                    patience.as_secs()
                );
                return;
            }
            let log_at = (Instant::now() + LOG_EVERY).min(last.1 + patience);
            tokio::select! {
                changed = tokio::time::timeout_at(log_at, view.changed()) => if changed.is_err() {
                    tracing::info!(port, "waiting for pypz-python to receive its records: {received} of {sent}");
                },
                () = shutdown.changed() => {}
            }
        }
    }
}
