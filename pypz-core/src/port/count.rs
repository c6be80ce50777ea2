//! How many records of a run a reader was given, through all its incarnations.

use crate::channel::ChannelSession;
use crate::error::ChannelError;
use crate::protocol::{LocalEvent, MemberId};

/// Says that a reader is positioned. Where plain peers are on its channel, the log knows where its count begins before anything is
/// given out: whoever goes on from there counts on.
pub(super) async fn positioned(
    session: &ChannelSession,
    member: MemberId,
    position: u64,
) -> Result<Option<Count>, ChannelError> {
    if !session.counts_records() {
        session.tell(member, LocalEvent::Started);
        return Ok(None);
    }
    let before = session.received_before(member.index);
    let count = Count::after(before, position, session.spec().is_log());
    let event = LocalEvent::Received {
        count: count.records(),
        position,
    };
    session.tell(member, event);
    session.tell(member, LocalEvent::Started);
    session.settle(member).await?;
    Ok(Some(count))
}

/// Counts the records that one reader is given, where plain peers only tell how many they sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(u64);

impl Count {
    /// The count of a reader that goes on at `position`. `before` is what an incarnation before it was given, and where that
    /// was then. A position that the broker keeps tells what of it comes again; another one tells nothing.
    pub(super) const fn after(before: Option<(u64, u64)>, position: u64, is_kept: bool) -> Self {
        match before {
            Some((count, at)) if is_kept => Self(count.saturating_add(position).saturating_sub(at)),
            Some((count, _)) => Self(count),
            None => Self(0),
        }
    }

    /// Adds records and returns how many they are now.
    pub(super) const fn add(&mut self, records: u64) -> u64 {
        self.0 = self.0.saturating_add(records);
        self.0
    }

    pub(super) const fn records(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_counted_once_where_positions_are_kept() {
        for (before, position, is_kept, expected) in [
            (None, 70, true, 0),
            (Some((0, 70)), 70, true, 0),
            (Some((30, 100)), 90, true, 20),
            (Some((30, 100)), 100, true, 30),
            (Some((30, 30)), 0, false, 30),
        ] {
            let count = Count::after(before, position, is_kept);
            assert_eq!(count.records(), expected, "{before:?} at {position}");
        }
    }
}
