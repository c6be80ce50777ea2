//! The state machine of one channel in one process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::acknowledged::Acknowledged;
use super::claim::Claims;
use super::clock::Clock;
use super::identity::{Layout, MemberId, Process, ProcessId, RunId, Side};
use super::local::Local;
use super::peers::Peers;
use super::plain::{PlainPeers, PlainWord};
use super::report::{MemberState, Report};
use super::schema::Schema;

/// The times of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two reports of a process; default 2 s.
    pub heartbeat: Duration,
    /// How long a peer may be silent or absent; default 60 s.
    pub patience: Duration,
    /// How long the holder of a member has to answer a claim; default 2.5 s. Longer than a heartbeat.
    pub challenge: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            patience: Duration::from_secs(60),
            challenge: Duration::from_millis(2500),
        }
    }
}

/// What the principal reader does with a run that was never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunPolicy {
    /// Goes on with it.
    #[default]
    Resume,
    /// Gives it up and opens a new one. Members elsewhere that are told the same do not join the one given up.
    Fresh,
}

/// The run that the principal reader spoke of last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    pub(super) run: RunId,
    pub(super) closed: bool,
    /// Whether it was closed after this process had read the history.
    pub(super) live: bool,
}

/// The protocol of one channel, for all its members in one process.
///
/// Feed it with [`Machine::on_report`] in the order of the status log (one's own reports included: they count only
/// when they come back), [`Machine::on_history_read`] once, [`Machine::on_tick`] and [`Machine::on_local`]; after each,
/// publish what [`Machine::take_reports`] gives and ask again what has changed ([`Machine::revision`]).
#[derive(Debug)]
pub struct Machine {
    pub(super) layout: Arc<Layout>,
    pub(super) timing: Timing,
    pub(super) process: Process,
    pub(super) policy: RunPolicy,
    pub(super) clock: Clock,
    pub(super) history_read: bool,
    pub(super) announced: Option<Announced>,
    pub(super) local: BTreeMap<MemberId, Local>,
    pub(super) peers: Peers,
    pub(super) claims: HashMap<MemberId, Claims>,
    /// Processes that did not defend a member against us.
    pub(super) replaced: BTreeSet<ProcessId>,
    /// When the next report of a side is to be published.
    pub(super) due: BTreeMap<Side, Duration>,
    /// What plain members have said, and what is to be said to them.
    pub(super) plain: PlainPeers,
    pub(super) words: Vec<PlainWord>,
    pub(super) acknowledged: Acknowledged,
    /// What the records of the run look like.
    pub(super) schema: Schema,
    revision: u64,
}

impl Machine {
    /// A machine at time zero that knows nobody.
    #[must_use]
    pub fn new(layout: Arc<Layout>, process: Process, timing: Timing, policy: RunPolicy) -> Self {
        Self {
            layout,
            timing,
            process,
            policy,
            clock: Clock::new(timing.heartbeat),
            history_read: false,
            announced: None,
            local: BTreeMap::new(),
            peers: Peers::default(),
            claims: HashMap::new(),
            replaced: BTreeSet::new(),
            due: BTreeMap::new(),
            plain: PlainPeers::default(),
            words: Vec::new(),
            acknowledged: Acknowledged::default(),
            schema: Schema::default(),
            revision: 0,
        }
    }

    /// Grows whenever an answer of the machine may have changed.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The members of the channel.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Says that both logs have been read to the ends they had at the start. Nothing is decided before.
    pub fn on_history_read(&mut self) {
        self.history_read = true;
        self.advance();
        self.changed();
    }

    /// Takes in the time since the start, which never runs backwards.
    pub fn on_tick(&mut self, now: Duration) {
        self.clock.tick(now);
        self.changed();
    }

    /// Takes in a report from the log.
    pub fn on_report(&mut self, side: Side, report: &Report) {
        if report.process.id == self.process.id {
            self.clock.echoed();
        }
        let (observed, expected) = (self.clock.observed(), self.layout.len(side));
        self.peers.sign(side, report, observed, &self.layout);
        self.plain.reported(side);
        if side == Side::Readers {
            self.acknowledged.hear(report, expected);
        }
        if side == Side::Writers && report.members.is_empty() {
            self.plain
                .mark(report.run, report.received.iter().map(|(writer, ..)| *writer));
        }
        for (index, word) in report
            .expanded()
            .take_while(|(index, _)| (*index as usize) < expected)
        {
            let member = MemberId { side, index };
            self.plain.is_extended(member, &self.layout);
            if word.state == MemberState::Claimed {
                self.on_claim(member, report, word);
            } else if self.peers.hear(member, report, word, observed, self.history_read) {
                if member == self.keeper() {
                    self.schema
                        .hear(report, report.process.id == self.process.id, observed);
                    // Closed once is closed for good, whoever took the principal over at that moment.
                    let was_closed = self
                        .announced
                        .is_some_and(|known| known.run == report.run && known.closed);
                    let closes = member == MemberId::PRINCIPAL && word.state == MemberState::Closed;
                    let closed = was_closed || closes;
                    if closed && !was_closed {
                        self.plain.closed();
                    }
                    let was_live = was_closed && self.announced.is_some_and(|known| known.live);
                    self.announced = Some(Announced {
                        run: report.run,
                        closed,
                        live: was_live || (closed && !was_closed && self.history_read),
                    });
                }
                self.on_word(member, report, word);
            }
        }
        if report.process.id == self.process.id {
            self.rest(side);
        }
        self.close_by_all();
        self.advance();
        self.changed();
    }

    /// Closes the run of a plain principal, when that and all of ours are done.
    pub(super) fn close_by_all(&mut self) {
        let is_over = |announced: &Announced| {
            self.keeper() != MemberId::PRINCIPAL && self.is_closed_by_all(announced.run)
        };
        if self.announced.as_ref().is_some_and(is_over)
            && let Some(announced) = &mut self.announced
        {
            (announced.closed, announced.live) = (true, self.history_read);
        }
    }

    pub(super) fn changed(&mut self) {
        self.revision += 1;
    }
}
