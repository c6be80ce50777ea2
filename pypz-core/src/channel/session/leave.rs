//! The leave of a member whose port never opened.

use super::ChannelSession;
use crate::protocol::{LocalEvent, MemberId};

/// Takes a member's leave if its port is given up while it opens, so that nobody waits for it.
#[derive(Debug)]
pub(crate) struct Leave {
    session: ChannelSession,
    member: MemberId,
    event: Option<LocalEvent>,
}

impl Leave {
    /// From now on the member says `event` when this is dropped.
    pub(crate) const fn with(session: ChannelSession, member: MemberId, event: LocalEvent) -> Self {
        Self {
            session,
            member,
            event: Some(event),
        }
    }

    /// The port is open: it says itself how it goes.
    pub(crate) fn cancel(mut self) {
        self.event = None;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.session.tell(self.member, event);
        }
    }
}
