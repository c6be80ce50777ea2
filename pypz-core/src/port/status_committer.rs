//! Positions where the transport keeps none for a reader.

use async_trait::async_trait;

use crate::channel::{ChannelSession, Committer};
use crate::error::ChannelError;
use crate::protocol::{LocalEvent, MemberId};

/// Keeps the position of a broadcast reader in the status log: each replica has its own, and the broker only one group.
pub(super) struct StatusCommitter {
    session: ChannelSession,
    member: MemberId,
}

impl StatusCommitter {
    pub(super) const fn new(session: ChannelSession, member: MemberId) -> Self {
        Self { session, member }
    }
}

#[async_trait]
impl Committer for StatusCommitter {
    fn commit(&self, offset: u64) {
        self.session.tell(self.member, LocalEvent::Position(offset));
    }

    async fn flush(&self) -> Result<(), ChannelError> {
        // It travels with the last word, which `close` waits for.
        Ok(())
    }
}
