//! Acknowledgements to and from plain pypz-python, which have no numbers: `Acknowledged` is said once, and counts until more is sent.

use std::time::Duration;

use super::word::{PlainStatus, PlainWord};
use crate::protocol::acknowledged::SentRecords;
use crate::protocol::identity::{MemberId, Side};
use crate::protocol::local::Local;
use crate::protocol::machine::Machine;

impl Machine {
    /// Notes that a writer here is about to send more: what plain readers have acknowledged is not all any more.
    pub fn sends(&mut self) {
        for (_, peer) in self
            .plain
            .peers
            .iter_mut()
            .filter(|(member, _)| member.side == Side::Readers)
        {
            peer.acknowledged = false;
        }
    }

    /// The plain readers that have not said `Acknowledged` since the last record was sent, or have not received as many as were.
    pub(in crate::protocol) fn unacknowledged_by_plain(
        &self,
        readers: &[MemberId],
        sent: SentRecords<'_>,
    ) -> Vec<String> {
        let peer = |member: &MemberId| self.plain.peers.get(member);
        let received: u64 = readers.iter().filter_map(peer).map(|peer| peer.received).sum();
        let is_short = |member: &MemberId| {
            let of_partition = sent.ends.iter().find(|end| end.partition == member.index);
            let (has, wants) = match (sent.to_all, sent.counter, of_partition) {
                (false, None, of_partition) => (None, of_partition.map_or(0, |end| end.records)),
                (false, Some(_), _) => (Some(received), sent.records),
                (true, ..) => (None, sent.records),
            };
            let known = peer(member)?;
            let has = has.unwrap_or(known.received);
            let is_idle = wants == 0;
            let is_done = is_idle || (known.acknowledged && has >= wants);
            let said = if known.acknowledged { "said" } else { "not said" };
            (!is_done).then(|| {
                let name = self.layout.name(*member);
                format!("{name} (pypz-python: {has} of {wants} records, Acknowledged {said})")
            })
        };
        readers.iter().filter_map(is_short).collect()
    }
}

impl Machine {
    /// How many records plain writers have sent, if all of them have come and some reader acknowledges at all.
    ///
    /// A reader is given a part in several batches, and plain writers do not say where a part ends: only how many records they
    /// have sent, every two seconds. As many have come, or more where some came again: then it has to be said twice since.
    pub(super) fn all_that_plain_writers_sent(&self) -> Option<u64> {
        let to_all = self.acknowledged.to_all()?;
        let counts = self.counts()?;
        let sent = counts.sent();
        let received = match to_all {
            true => counts.received.iter().copied().min().unwrap_or(0),
            false => counts.received.iter().sum(),
        };
        let writers = self
            .plain
            .peers
            .iter()
            .filter(|(member, _)| member.side == Side::Writers);
        let is_certain = received == sent || writers.into_iter().all(|(_, peer)| peer.beats >= 2);
        (received >= sent && is_certain).then_some(sent)
    }

    /// Notes that a reader here was given more: what plain writers have said may be too old to tell where a part ends.
    pub(in crate::protocol) fn plain_writers_said_less(&mut self) {
        for peer in self.plain.peers.values_mut() {
            peer.beats = 0;
        }
    }
}

impl Local {
    /// The word that all is processed that plain writers have sent, if it is to be said now: once, and repeated until it comes back.
    pub(super) fn acknowledgement(
        &mut self,
        member: MemberId,
        sent: Option<u64>,
        now: Duration,
        heartbeat: Duration,
    ) -> Option<PlainWord> {
        let sent = sent.filter(|sent| *sent > 0 && self.processed == self.count)?;
        let is_due = match self.told_processed {
            Told::Never => true,
            Told::Said { of, .. } | Told::Heard { of } if of < sent => true,
            Told::Said { at, .. } => now.saturating_sub(at) >= heartbeat,
            Told::Heard { .. } => false,
        };
        is_due.then(|| {
            self.told_processed = Told::Said { of: sent, at: now };
            PlainWord::bare(member, PlainStatus::Acknowledged)
        })
    }

    /// An `Acknowledged` of this reader came back.
    pub(super) fn acknowledgement_heard(&mut self) {
        if let Told::Said { of, .. } = self.told_processed {
            self.told_processed = Told::Heard { of };
        }
    }
}

/// Up to how many records plain writers were told that all is processed.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::protocol) enum Told {
    #[default]
    Never,
    Said {
        of: u64,
        at: Duration,
    },
    Heard {
        of: u64,
    },
}
