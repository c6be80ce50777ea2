//! SIGTERM and SIGINT: the first drains, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Phase, Shutdown};
use crate::error::ExitStatus;

/// Listens until the run ends; runs on the control thread, so that user code which blocks cannot keep a signal off.
pub(super) async fn listen(shutdown: Shutdown) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be heard: the process will not drain");
        return;
    };
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("draining; a second signal stops at once");
    shutdown.advance(Phase::Draining);
    next(&mut terminate, &mut interrupt).await;
    tracing::warn!("stopped without drain");
    std::process::exit(i32::from(ExitStatus::Drained.code()));
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
