//! Channels with members that are plain pypz-python.

mod acknowledged;
mod ends;
mod runs;

use std::collections::BTreeSet;

use super::*;
use crate::protocol::{PlainStatus, PlainWord};

use PlainStatus::{Closed, Error, HealthCheck, Opened, Started, Stopped};

#[derive(Debug, Clone)]
enum Said {
    Report(Side, Report),
    Word(PlainWord),
}

/// Machines around a log with reports and words, some of whose members are plain.
struct Wire {
    layout: Arc<Layout>,
    log: Vec<Said>,
    machines: Vec<(Machine, usize)>,
    seconds: f64,
}

impl Wire {
    fn new(readers: usize, writers: usize, foreign: &[MemberId]) -> Self {
        let layout = Layout {
            foreign: foreign.iter().copied().collect::<BTreeSet<_>>(),
            ..(*layout(readers, writers)).clone()
        };
        Self {
            layout: Arc::new(layout),
            log: Vec::new(),
            machines: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Starts a process of ours that has read the history and joins with its members.
    fn start(&mut self, members: &[MemberId]) -> usize {
        let id = process(100 + self.machines.len() as u64);
        let mut machine = Machine::new(Arc::clone(&self.layout), id, TIMING, RunPolicy::Resume);
        machine.on_tick(Duration::from_secs_f64(self.seconds));
        for said in &self.log {
            hear(&mut machine, said);
        }
        machine.on_history_read();
        for member in members {
            machine.on_local(*member, LocalEvent::Join);
        }
        self.machines.push((machine, self.log.len()));
        self.flow();
        self.machines.len() - 1
    }

    /// Starts a process whose members are at work.
    fn started(&mut self, members: &[MemberId]) -> usize {
        let index = self.start(members);
        for member in members {
            self.tell(index, *member, LocalEvent::Opened);
            self.tell(index, *member, LocalEvent::Started);
        }
        index
    }

    fn machine(&mut self, index: usize) -> &mut Machine {
        &mut self.machines[index].0
    }

    fn tell(&mut self, index: usize, member: MemberId, event: LocalEvent) {
        self.machine(index).on_local(member, event);
        self.flow();
    }

    /// A plain member says these words.
    fn say(&mut self, member: MemberId, words: &[PlainStatus]) {
        let said = words
            .iter()
            .map(|status| Said::Word(PlainWord::bare(member, *status)));
        self.log.extend(said);
        self.flow();
    }

    /// A plain writer gives a sign of life.
    fn beat(&mut self, member: MemberId, sent: u64) {
        let sent = Some(sent);
        self.log.push(Said::Word(PlainWord {
            sent,
            ..PlainWord::bare(member, HealthCheck)
        }));
        self.flow();
    }

    fn flow(&mut self) {
        loop {
            let before = self.log.len();
            for (machine, read) in &mut self.machines {
                for said in &self.log[*read..] {
                    hear(machine, said);
                }
                *read = self.log.len();
                let reports = machine.take_reports();
                self.log.extend(machine.take_words().into_iter().map(Said::Word));
                self.log.extend(
                    reports
                        .into_iter()
                        .map(|(side, report)| Said::Report(side, report)),
                );
            }
            if self.log.len() == before && self.machines.iter().all(|(_, read)| *read == before) {
                return;
            }
        }
    }

    fn pass(&mut self, seconds: f64) {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds += 0.5;
            for (machine, _) in &mut self.machines {
                machine.on_tick(Duration::from_secs_f64(self.seconds));
            }
            self.flow();
        }
    }

    /// What one of our members has said in pypz-python's words, without signs of life.
    fn words_of(&self, member: MemberId) -> Vec<PlainStatus> {
        let words = self.log.iter().filter_map(|said| match said {
            Said::Word(word) if word.member == member && word.status != HealthCheck => Some(word.status),
            _ => None,
        });
        words.collect()
    }
}

fn hear(machine: &mut Machine, said: &Said) {
    match said {
        Said::Report(side, report) => machine.on_report(*side, report),
        Said::Word(word) => machine.on_plain(word),
    }
}

fn received(count: u64) -> LocalEvent {
    LocalEvent::Received {
        count,
        position: count,
    }
}
