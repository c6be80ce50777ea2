//! Whether something may be sent, and whether it was acknowledged.

use std::time::Duration;

use tokio::time::Instant;

use crate::channel::{ChannelSession, ChannelWriter, Pace, WriteProgress};
use crate::error::ChannelError;
use crate::executor::{Phase, RoundMember, Shutdown};
use crate::protocol::MemberId;

/// How long a paused writer waits before it looks again whether its heartbeats come through.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether one writer may send.
pub(super) struct Gate {
    pub(super) name: String,
    pub(super) member: MemberId,
    pub(super) session: ChannelSession,
    pub(super) source: bool,
    pub(super) shutdown: Shutdown,
    pub(super) round: Option<RoundMember>,
}

impl Gate {
    /// Waits for the round that what is written next belongs to.
    pub(super) async fn enter(&self) -> Result<(), ChannelError> {
        match &self.round {
            Some(round) => round.enter().await,
            None => Ok(()),
        }
    }

    /// Sees to it that nobody overlooks a transaction that came to nothing.
    pub(super) fn note(&self, error: &ChannelError) {
        if let (Some(round), ChannelError::Aborted { reason, .. }) = (&self.round, error) {
            round.abort(reason);
        }
    }

    /// Waits while heartbeats do not come through; refuses when the writer must not send.
    pub(super) async fn may_send(&self) -> Result<(), ChannelError> {
        let refused = match self.shutdown.phase() {
            Phase::Running => false,
            Phase::Draining => self.source,
            Phase::Stopping => true,
        };
        if refused {
            return Err(ChannelError::Draining {
                port: self.name.clone(),
            });
        }
        while self.session.is_alarmed() {
            match self.session.check(self.member)? {
                Pace::Normal => break,
                Pace::Suspended => {
                    let mut view = self.session.watch();
                    let _ = tokio::time::timeout(PAUSE, view.changed()).await;
                }
            }
        }
        Ok(())
    }

    /// Waits until the writer may have room, or the pipeline drains.
    pub(super) async fn wait_for_room(&mut self, writer: &mut dyn ChannelWriter) -> Result<(), ChannelError> {
        tokio::select! {
            () = writer.writable() => {}
            () = self.shutdown.changed() => {}
        }
        self.may_send().await
    }

    /// Waits until all that was written is acknowledged.
    pub(super) async fn flush(&self, progress: &dyn WriteProgress) -> Result<(), ChannelError> {
        let patience = self.session.spec().timing.patience * 2;
        let mut last = (0, Instant::now());
        loop {
            let changed = progress.changed();
            let (written, acknowledged) = (progress.written(), progress.acknowledged()?);
            if acknowledged >= written {
                return Ok(());
            }
            self.session.check(self.member)?;
            if acknowledged > last.0 {
                last = (acknowledged, Instant::now());
            }
            if last.1.elapsed() > patience {
                let waited_for = format!("the broker to acknowledge {} records", written - acknowledged);
                return Err(ChannelError::Deadline {
                    port: self.name.clone(),
                    waited_for,
                    seconds: patience.as_secs(),
                });
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), changed).await;
        }
    }
}
