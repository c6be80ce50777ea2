//! An input whose operator begins when all writers have finished: pypz-python's sequential mode.

use std::time::Duration;

use super::retrieval::Retrieval;
use crate::codec::Codec;
use crate::error::ChannelError;
use crate::executor::Phase;
use crate::protocol::Upstream;

/// How often the log says what is waited for.
const LOG_EVERY: Duration = Duration::from_secs(10);

impl<T: Send + 'static, C: Codec<T>> Retrieval<T, C> {
    /// Waits until no writer sends any more. It waits as long as they are alive: one that is lost ends it, as it ends an input.
    /// A drain ends it, too, and nothing is handed out then. Cancel-safe.
    pub(super) async fn writers_finished(&mut self) -> Result<(), ChannelError> {
        let (mut view, mut shutdown) = (self.session.watch(), self.shutdown.clone());
        while self.sequential && shutdown.phase() == Phase::Running {
            self.session.check(self.member)?;
            if view.borrow_and_update().upstream != Upstream::Sending {
                self.sequential = false;
                break;
            }
            tokio::select! {
                changed = tokio::time::timeout(LOG_EVERY, view.changed()) => if changed.is_err() {
                    tracing::info!(port = self.name, "waiting for all writers to finish (sequentialModeEnabled)");
                },
                () = shutdown.changed() => {}
            }
        }
        Ok(())
    }
}
