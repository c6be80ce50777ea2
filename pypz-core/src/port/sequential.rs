//! An input whose operator begins when all writers have finished: pypz-python's sequential mode.

use std::time::Duration;

use crate::channel::ChannelSession;
use crate::error::ChannelError;
use crate::executor::{Phase, Shutdown};
use crate::protocol::MemberId;

/// How often the log says what is waited for.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Waits until no writer sends to a reader any more, if its channel is sequential. It waits as long as they are alive: one that is
/// lost ends it, as it ends an input. A drain ends it, too, and nothing is handed out then. Cancel-safe.
pub(super) async fn writers_finished(
    session: &ChannelSession,
    reader: MemberId,
    shutdown: &Shutdown,
) -> Result<(), ChannelError> {
    if !session.spec().sequential {
        return Ok(());
    }
    let (mut view, mut shutdown) = (session.watch(), shutdown.clone());
    while shutdown.phase() == Phase::Running {
        session.check(reader)?;
        if view.borrow_and_update().writers_stopped {
            break;
        }
        tokio::select! {
            changed = tokio::time::timeout(LOG_EVERY, view.changed()) => if changed.is_err() {
                let port = session.name(reader);
                tracing::info!(port, "waiting for all writers to finish (sequentialModeEnabled)");
            },
            () = shutdown.changed() => {}
        }
    }
    Ok(())
}
