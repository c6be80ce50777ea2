//! What our members say to plain ones: each speaks for itself, in the order of its life.

use std::time::Duration;

use super::word::{PlainStatus, PlainWord};
use crate::protocol::acknowledged::Acknowledgements;
use crate::protocol::claim::Stage;
use crate::protocol::identity::{MemberId, Side};
use crate::protocol::local::Local;
use crate::protocol::machine::Machine;
use crate::protocol::report::{MemberState, Report};

/// The words of a life without failure, in their order.
const LIFE: [PlainStatus; 4] = [
    PlainStatus::Opened,
    PlainStatus::Started,
    PlainStatus::Stopped,
    PlainStatus::Closed,
];

impl Machine {
    /// What is to be said to plain members now, in this order, and before the reports that [`Machine::take_reports`] gave.
    pub fn take_words(&mut self) -> Vec<PlainWord> {
        std::mem::take(&mut self.words)
    }

    /// Collects the words of a side's members: what is new of each, what did not come back, and a sign of life.
    pub(in crate::protocol) fn speak(&mut self, side: Side) {
        if self.layout.foreign.is_empty() {
            return;
        }
        let (now, heartbeat, process) = (self.clock.now(), self.timing.heartbeat, self.process.id);
        let sent = self
            .all_that_plain_writers_sent()
            .filter(|_| side == Side::Readers);
        for (member, local) in self.local.iter_mut().filter(|(member, _)| member.side == side) {
            if !matches!(local.stage, Stage::Established { .. }) {
                continue;
            }
            let beat = PlainWord {
                sent: local.count.filter(|_| side == Side::Writers),
                received: local.count.filter(|_| side == Side::Readers),
                process: Some(process),
                metrics: local.cycles.metrics(now),
                ..PlainWord::bare(*member, PlainStatus::HealthCheck)
            };
            let news = local.news(now, heartbeat);
            let ends = news.contains(&PlainStatus::Stopped);
            for status in news {
                if status == PlainStatus::Stopped {
                    // The last count comes before the end.
                    self.words.push(beat.clone());
                }
                self.words.push(PlainWord::bare(*member, status));
            }
            if !ends && local.said.is_some() && local.state.holds() {
                self.words.push(beat);
            }
            self.words
                .extend(local.acknowledgement(*member, sent, now, heartbeat));
        }
    }

    /// The mark of a run that a principal of ours has opened, for plain writers' words behind it to count.
    pub(in crate::protocol) fn mark(&self) -> Option<Report> {
        let local = self.local.get(&MemberId::PRINCIPAL)?;
        let run = local.run.filter(|run| !self.plain.is_marked(*run))?;
        let has_plain = self
            .layout
            .foreign
            .iter()
            .any(|member| member.side == Side::Writers);
        let is_there = matches!(local.stage, Stage::Established { .. })
            && local.state >= MemberState::Opened
            && local.state.holds();
        (has_plain && is_there).then(|| Report {
            run,
            process: self.process.clone(),
            members: Vec::new(),
            ends: Vec::new(),
            positions: Vec::new(),
            sources: Vec::new(),
            received: self.plain.early(),
            acknowledged: Acknowledgements::default(),
            schema: None,
        })
    }
}

impl Local {
    /// The words that were not said yet. What does not come back within a heartbeat is said again.
    fn news(&mut self, now: Duration, heartbeat: Duration) -> Vec<PlainStatus> {
        let Some(status) = PlainStatus::of(self.state) else {
            return Vec::new();
        };
        let place = |status: PlainStatus| LIFE.iter().position(|word| *word == status);
        let overdue = !self.word_heard && now.saturating_sub(self.said_at) >= heartbeat;
        let from = match self.said {
            None => 0,
            Some(said) if said == status && !overdue => return Vec::new(),
            Some(said) if overdue => place(said).unwrap_or(0),
            Some(said) => place(said).map_or(0, |place| place + 1),
        };
        (self.said, self.said_at, self.word_heard) = (Some(status), now, false);
        match place(status) {
            Some(to) => LIFE.get(from..=to).unwrap_or(&[status]).to_vec(),
            None => vec![status],
        }
    }

    /// Whether the newest word for plain members has come back from the log.
    pub(in crate::protocol) fn is_word_heard(&self) -> bool {
        PlainStatus::of(self.state).is_none_or(|status| self.said == Some(status) && self.word_heard)
    }
}
