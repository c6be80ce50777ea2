//! Whether plain readers were given all that writers here have sent.

use super::word::PlainStatus;
use crate::protocol::identity::Side;
use crate::protocol::machine::Machine;

impl Machine {
    /// How many records plain readers say that they were given, of how many that the writers here have sent, if those are more;
    /// where every reader gets everything, by the one that has the fewest. `None` as well if no plain reader reads any more.
    #[must_use]
    pub fn arrived_at_plain_readers(&self, to_all: bool) -> Option<(u64, u64)> {
        let run = self.current_run();
        let members = self.layout.members(Side::Readers);
        let readers: Vec<_> = members
            .filter_map(|member| self.plain.in_run(member, run))
            .collect();
        let reads = |status| {
            matches!(
                status,
                PlainStatus::Opened | PlainStatus::Started | PlainStatus::HealthCheck
            )
        };
        if !readers.iter().any(|peer| reads(peer.state)) {
            return None;
        }
        let received = readers.iter().map(|peer| peer.received);
        let received: u64 = match to_all {
            true => received.min().unwrap_or(0),
            false => received.sum(),
        };
        let writers = self
            .local
            .iter()
            .filter(|(member, _)| member.side == Side::Writers);
        let sent = writers.filter_map(|(_, local)| local.count).sum();
        (received < sent).then_some((received, sent))
    }
}
