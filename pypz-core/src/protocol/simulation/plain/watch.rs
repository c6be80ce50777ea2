//! What is known of plain members by those who know everything.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::super::super::{MemberId, PlainStatus, RunId, Side};
use super::super::broker::{Record, Spoken};

/// A record of a plain writer. It has no run: all that is known of it is who sent it, and in which life.
pub(super) const fn record(life: usize, writer: u32, number: u32) -> Record {
    let run = RunId {
        number: 0,
        id: Uuid::from_u64_pair(0, life as u64),
    };
    Record { run, writer, number }
}

/// One process of a plain member, from its start to its end.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) member: MemberId,
    pub(super) until: Option<u64>,
    /// From which run on it is of an earlier one; 0 if it was over before all that is looked at.
    old_in: Option<u64>,
    /// Whether it has said its last word, and when that was in the log.
    has_stopped: bool,
    /// How many records it has sent by then.
    pub(super) sent: u32,
    pub(super) stopped: Option<u64>,
    pub(super) closed: bool,
    /// When `Opened` was in the log.
    opened: Option<u64>,
    /// Whether it opened while a run was being opened and what it had sent by then was passed over: its counts tell, unless others
    /// that were killed have sent more than they could tell.
    pub(super) is_early: bool,
    /// When its last word reached the log.
    spoke: u64,
}

/// Watches plain members.
#[derive(Debug, Default)]
pub(in super::super) struct Watch {
    pub(super) lives: Vec<Life>,
    /// Since when members speak in each run.
    runs: BTreeMap<RunId, u64>,
    /// Those that were opened: whoever fails on the way there passes over nothing, and others may follow it.
    marked: BTreeSet<RunId>,
    /// Whether words and records of an earlier run of pypz-python are on the channel.
    pub(super) leftovers: bool,
    /// Writers of ours that told plain readers that they had stopped.
    pub(super) told: BTreeSet<MemberId>,
    /// Whether something happened for which nobody can be blamed who does not finish.
    pub(super) excused: bool,
}

impl Watch {
    pub(in super::super) const fn excuse(&mut self) {
        self.excused = true;
    }

    pub(super) fn on_start(&mut self, member: MemberId) -> usize {
        // Whoever is started again when its work is done repeats it all, and nobody waits for that.
        let again = self
            .lives
            .iter()
            .any(|life| life.member == member && life.has_stopped && life.old_in != Some(0));
        self.excused |= again;
        self.lives.push(Life {
            member,
            until: None,
            old_in: None,
            has_stopped: false,
            sent: 0,
            stopped: None,
            closed: false,
            opened: None,
            is_early: false,
            spoke: 0,
        });
        self.lives.len() - 1
    }

    pub(super) fn on_end(&mut self, life: usize, now: u64) {
        self.lives[life].until = Some(now);
    }

    pub(super) fn on_last_word(&mut self, life: usize, sent: u32) {
        let life = &mut self.lives[life];
        (life.has_stopped, life.sent) = (true, sent);
    }

    /// A life that was over before the world began, or belongs to a channel that is gone.
    pub(super) fn make_old(&mut self, life: usize) {
        let life = &mut self.lives[life];
        (life.old_in, life.until) = (Some(0), life.until.or(Some(0)));
    }

    pub(super) fn is_marked(&self, run: RunId) -> bool {
        self.marked.contains(&run)
    }

    /// Whether a life is of an earlier run than this one.
    pub(super) fn is_old(&self, life: usize, run: u64) -> bool {
        self.lives[life].old_in.is_some_and(|old| old <= run)
    }

    /// Hears a word that is in the log.
    pub(super) fn on_word(&mut self, now: u64, spoken: &Spoken) {
        let Some(life) = spoken.life.and_then(|life| self.lives.get_mut(life)) else {
            return;
        };
        life.spoke = now;
        match spoken.word.status {
            PlainStatus::Stopped => life.stopped = Some(now),
            PlainStatus::Closed => life.closed = true,
            PlainStatus::Opened => life.opened = Some(now),
            _ => {}
        }
    }

    /// A principal of ours that came at this moment has opened a run, or goes on with it.
    pub(in super::super) fn on_open(&mut self, run: RunId, since: u64) {
        let is_whole = run.number == 1 && !self.leftovers;
        let is_new = !self.runs.contains_key(&run);
        self.runs.entry(run).or_insert(if is_whole { 0 } else { since });
        // Whoever was there before is missed, or what it had sent is.
        let lives = self.lives.iter().filter(|life| life.member.side == Side::Writers);
        self.excused |= is_new && !is_whole && lives.into_iter().any(|life| life.old_in != Some(0));
    }

    /// Who was gone when the principal came that opened a run, and passed over what was there, is not of it.
    pub(in super::super) fn on_passed_over(&mut self, run: RunId, since: u64) {
        let is_gone = |life: &Life| life.until.is_some_and(|until| until.max(life.spoke) < since);
        // What others had sent by then is passed over, too.
        self.excused |= self
            .lives
            .iter()
            .any(|life| life.old_in.is_none() && !is_gone(life));
        for life in &mut self.lives {
            if is_gone(life) {
                life.old_in.get_or_insert(run.number);
            }
            life.is_early |= life.opened.is_some_and(|opened| opened >= since);
        }
    }

    /// The mark of a run is in the log, from a process of ours that came at this moment.
    pub(super) fn on_mark(&mut self, run: RunId, since: u64, named: &[u32]) {
        self.marked.insert(run);
        let opened = self.runs.get(&run).copied();
        let is_resumed = opened.is_some_and(|opened| opened > 0 && opened != since);
        let lives = self
            .lives
            .iter()
            .filter(|life| life.old_in != Some(0) && life.until.is_some());
        // Who came and went between the two of them is named by neither.
        self.excused |= is_resumed && lives.into_iter().any(|life| life.member.side == Side::Writers);
        // Whoever opened a moment before, so that the mark does not name it, is missed if it is over, or something was passed over.
        let is_unnamed = |life: &Life| {
            let is_there =
                life.member.side == Side::Writers && life.old_in != Some(0) && life.opened.is_some();
            is_there && !named.contains(&life.member.index) && (self.leftovers || life.stopped.is_some())
        };
        let is_whole = run.number == 1 && !self.leftovers;
        self.excused |= !is_whole && self.lives.iter().any(is_unnamed);
    }

    /// Whether what a life says and sends may belong to a run.
    pub(super) fn is_of_run(&self, life: &Life, run: RunId) -> bool {
        let since = self.runs.get(&run).copied().unwrap_or(0);
        let is_old = life.old_in.is_some_and(|old| old <= run.number);
        !is_old && life.until.is_none_or(|until| until.max(life.spoke) >= since)
    }

    /// Whether a life was over a while ago, so that nothing of it is on its way any more.
    pub(super) fn is_long_gone(&self, life: usize, now: u64) -> bool {
        self.lives[life].until.is_some_and(|until| until + 100 < now)
    }

    pub(super) fn is_newest(&self, run: RunId) -> bool {
        self.runs.keys().all(|known| known.number <= run.number)
    }

    /// The lives of a plain writer that may belong to a run.
    pub(super) fn lives_of(&self, writer: MemberId, run: RunId) -> impl Iterator<Item = (usize, &Life)> {
        let lives = self.lives.iter().enumerate();
        lives.filter(move |(_, life)| life.member == writer && self.is_of_run(life, run))
    }

    /// The channel is gone, with all that was said and sent there.
    pub(super) fn on_wipe(&mut self) {
        for life in 0..self.lives.len() {
            self.make_old(life);
        }
        (self.leftovers, self.runs) = (false, BTreeMap::new());
        self.told.clear();
    }
}
