//! What this process says of its own members.

use std::time::Duration;

use super::acknowledged::Acknowledgements;
use super::claim::Stage;
use super::identity::{MemberId, RunId, Side};
use super::machine::{Machine, RunPolicy};
use super::peers::merge_ends;
use super::plain::{Cycles, PlainStatus, Told};
use super::report::{End, MemberRange, MemberState, Report, compact};
use super::view::Upstream;

/// The longest cause that is told to peers, in bytes, so that a report stays far below the limit of a message.
const MAX_CAUSE_BYTES: usize = 2000;
/// How many members of a report may say a cause of their own; the others only that they failed.
const MAX_CAUSES: usize = 64;

/// What happens to a member in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalEvent {
    /// It wants to take part.
    Join,
    /// It takes part; the principal opens the run by it.
    Opened,
    /// A reader is positioned; a writer is open.
    Started,
    /// The work of its replica is done on all its channels.
    Settled,
    /// A reader has read and committed all; a writer's records are all acknowledged.
    Stopped(Vec<End>),
    /// It is gone for good.
    Closed,
    /// It is gone with an error.
    Failed(String, Vec<End>),
    /// It is gone, to come back.
    Left(Vec<End>),
    /// A broadcast reader has committed up to this offset.
    Position(u64),
    /// All that a source made up to here, in its own words, is acknowledged.
    Source(String),
    /// A writer has sent so many records, for plain peers to know.
    Sent(u64),
    /// A reader has been given so many records of the run, and is at this position.
    Received {
        /// All of the run, those given to earlier incarnations included.
        count: u64,
        /// Its position then.
        position: u64,
    },
}

/// A member that lives in this process.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) stage: Stage,
    pub(super) run: Option<RunId>,
    pub(super) epoch: u32,
    pub(super) state: MemberState,
    /// Whether an earlier incarnation had done its work in the run when this one was established.
    pub(super) returned: bool,
    /// Its last word that came back from the log and counts.
    pub(super) heard: Option<MemberState>,
    cause: Option<String>,
    ends: Vec<End>,
    position: Option<u64>,
    source: Option<String>,
    /// How many records were sent or received, where there are plain peers; and a reader's position then.
    pub(super) count: Option<u64>,
    counted_at: u64,
    /// How fast it works, where its port wants that to be told.
    pub(super) cycles: Cycles,
    /// The last word for plain peers, when it was said, and whether it has come back.
    pub(super) said: Option<PlainStatus>,
    pub(super) said_at: Duration,
    pub(super) word_heard: bool,
    /// Of the records that it was given, how many are processed, and what plain writers were told of it.
    pub(super) processed: Option<u64>,
    pub(super) told_processed: Told,
}

impl Local {
    pub(super) const fn joining() -> Self {
        Self {
            stage: Stage::Joining,
            run: None,
            epoch: 0,
            state: MemberState::Claimed,
            returned: false,
            heard: None,
            cause: None,
            ends: Vec::new(),
            position: None,
            source: None,
            count: None,
            counted_at: 0,
            cycles: Cycles::new(),
            said: None,
            said_at: Duration::ZERO,
            word_heard: false,
            processed: None,
            told_processed: Told::Never,
        }
    }

    /// Whether the member has a place in the reports of its process.
    const fn has_a_word(&self) -> bool {
        matches!(self.stage, Stage::Claiming { .. } | Stage::Established { .. })
    }

    /// What is said of it. Before it is established nothing but the claim, whatever has happened to it.
    pub(super) const fn word(&self) -> MemberState {
        match self.stage {
            Stage::Established { .. } => self.state,
            _ => MemberState::Claimed,
        }
    }
}

impl Machine {
    /// Takes in what a local member does.
    pub fn on_local(&mut self, member: MemberId, event: LocalEvent) {
        if event == LocalEvent::Join {
            self.local.insert(member, Local::joining());
            self.advance();
            self.changed();
            return;
        }
        let is_keeper = member == self.keeper();
        let Some(local) = self.local.get_mut(&member) else {
            return;
        };
        let has_no_word = matches!(local.stage, Stage::Joining | Stage::Claiming { .. });
        match event {
            LocalEvent::Closed | LocalEvent::Left(_) if has_no_word => {
                self.local.remove(&member);
            }
            LocalEvent::Join => {}
            LocalEvent::Opened => {
                local.state = MemberState::Opened;
                if is_keeper {
                    // The fresh run is open: should the principal begin again, it goes on with that.
                    self.policy = RunPolicy::Resume;
                }
            }
            LocalEvent::Started => local.state = MemberState::Started,
            LocalEvent::Settled => local.state = MemberState::Settled,
            LocalEvent::Stopped(ends) => (local.state, local.ends) = (MemberState::Stopped, ends),
            LocalEvent::Closed => local.state = MemberState::Closed,
            LocalEvent::Failed(cause, ends) => {
                (local.state, local.cause, local.ends) = (MemberState::Failed, Some(shortened(cause)), ends);
            }
            LocalEvent::Left(ends) => (local.state, local.ends) = (MemberState::Left, ends),
            LocalEvent::Position(offset) => {
                // Travels with the next report: a position is not worth a report of its own.
                local.position = Some(offset);
                return;
            }
            LocalEvent::Source(text) => {
                local.source = Some(text);
                return;
            }
            LocalEvent::Sent(count) => {
                local.count = Some(count);
                return;
            }
            LocalEvent::Received { count, position } => {
                local.processed.get_or_insert(count);
                let is_more = local.count.is_some_and(|known| known < count);
                (local.count, local.counted_at) = (Some(count), position);
                if is_more {
                    self.plain_writers_said_less();
                }
                if matches!(self.upstream(), Upstream::Stopped { .. }) {
                    // Others may only wait for this.
                    self.answer(member.side);
                    self.changed();
                }
                return;
            }
        }
        self.answer(member.side);
        self.changed();
    }

    /// What is to be published now, a report a side at most. It must reach the log in the order given here.
    pub fn take_reports(&mut self) -> Vec<(Side, Report)> {
        let now = self.clock.now();
        let due: Vec<Side> = self
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(side, _)| *side)
            .collect();
        let mut reports = Vec::new();
        for side in due {
            let report = self.report(side);
            self.speak(side);
            match self.pause(side) {
                Some(pause) if report.is_some() => self.due.insert(side, now + pause),
                _ => self.due.remove(&side),
            };
            if let Some(report) = report {
                self.clock.spoke();
                if side == Side::Readers {
                    self.acknowledgements_said();
                }
                reports.push((side, report));
            }
            if let Some(mark) = self.mark().filter(|_| side == Side::Readers) {
                reports.push((Side::Writers, mark));
            }
        }
        if self.due.is_empty() {
            self.clock.fell_silent();
        }
        reports
    }

    /// When [`Machine::on_tick`] is worth calling at the latest.
    #[must_use]
    pub fn next_tick(&self) -> Duration {
        let latest = self.clock.now() + self.timing.heartbeat;
        self.due.values().min().map_or(latest, |due| latest.min(*due))
    }

    /// Has a report of this side published at once.
    pub(super) fn answer(&mut self, side: Side) {
        self.due.insert(side, self.clock.now());
    }

    /// Has the next report of this side published at its new pace.
    pub(super) fn hurry(&mut self, side: Side) {
        if let Some(pause) = self.pause(side) {
            let at = self.clock.now() + pause;
            self.due
                .entry(side)
                .and_modify(|due| *due = at.min(*due))
                .or_insert(at);
        }
    }

    /// Has no report of this side published any more if all is said and heard.
    pub(super) fn rest(&mut self, side: Side) {
        if self.pause(side).is_none() {
            self.due.remove(&side);
        }
    }

    /// The time until the next report of a side, if it has one: somebody lives there, or a last word has not come back.
    fn pause(&self, side: Side) -> Option<Duration> {
        let mut members = self
            .local
            .iter()
            .filter(|(member, local)| member.side == side && local.has_a_word());
        let contends =
            |local: &Local| matches!(&local.stage, Stage::Claiming { rivals, .. } if !rivals.is_empty());
        if members.clone().any(|(_, local)| contends(local)) {
            // Two of them prove that the challenge was not answered.
            return Some(self.timing.heartbeat.min(self.timing.challenge * 11 / 20));
        }
        members
            .any(|(_, local)| local.word().holds() || !self.is_heard(local))
            .then_some(self.timing.heartbeat)
    }

    /// Whether the newest word of an established member has come back from the log, or nobody waits for it any more.
    pub(super) fn is_heard(&self, local: &Local) -> bool {
        let given_up = |run: RunId| {
            self.announced
                .is_some_and(|announced| announced.run.number > run.number)
        };
        let is_over = |run: RunId| {
            let closed = self
                .announced
                .is_some_and(|announced| announced.run == run && announced.closed);
            closed && local.returned
        };
        let is_worded = self.layout.foreign.is_empty() || local.is_word_heard();
        (local.heard == Some(local.state) && is_worded)
            || local.run.is_some_and(|run| given_up(run) || is_over(run))
    }

    fn report(&self, side: Side) -> Option<Report> {
        let speaking = || {
            self.local
                .iter()
                .filter(|(member, local)| member.side == side && local.has_a_word())
        };
        let run = speaking()
            .filter_map(|(_, local)| local.run)
            .max_by_key(|run| run.number)?;
        let speaking = || speaking().filter(|(_, local)| local.run == Some(run));
        let mut causes: Vec<&String> = Vec::new();
        let members = compact(speaking().map(|(member, local)| {
            let (first, epoch, state) = (member.index, local.epoch, local.word());
            let cause = local.cause.as_ref().filter(|_| state == MemberState::Failed);
            if let Some(cause) = cause.filter(|cause| causes.len() < MAX_CAUSES && !causes.contains(cause)) {
                causes.push(cause);
            }
            let cause = cause.filter(|cause| causes.contains(cause)).cloned();
            MemberRange {
                first,
                last: first,
                epoch,
                state,
                cause,
            }
        }));
        let ends = merge_ends(speaking().flat_map(|(_, local)| &local.ends))
            .into_values()
            .collect();
        let positions = speaking()
            .filter_map(|(member, local)| Some((member.index, local.position?)))
            .collect();
        let sources = speaking()
            .filter_map(|(member, local)| Some((member.index, local.source.clone()?)))
            .collect();
        let received = speaking().filter(|(member, _)| member.side == Side::Readers);
        let received = received
            .filter_map(|(member, local)| Some((member.index, local.count?, local.counted_at)))
            .collect();
        Some(Report {
            run,
            process: self.process.clone(),
            members,
            ends,
            positions,
            sources,
            received,
            acknowledged: match side {
                Side::Readers => self.acknowledgements(run),
                Side::Writers => Acknowledgements::default(),
            },
            schema: self.schema_to_say(side, run),
        })
    }
}

/// Cuts a cause at the last char that fits.
fn shortened(mut cause: String) -> String {
    if let Some(end) = (0..=MAX_CAUSE_BYTES.min(cause.len()))
        .rev()
        .find(|at| cause.is_char_boundary(*at))
    {
        cause.truncate(end);
    }
    cause
}
