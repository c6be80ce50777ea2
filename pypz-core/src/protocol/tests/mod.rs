//! Tables and properties of the machine, each about one rule. What many machines do together is in `simulation`.

mod acknowledged;
mod answers;
mod claims;
mod last_words;
mod plain;
mod properties;
mod runs;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::*;

const TIMING: Timing = Timing {
    heartbeat: Duration::from_secs(2),
    patience: Duration::from_secs(60),
    challenge: Duration::from_millis(2500),
};
const PRINCIPAL: MemberId = MemberId::PRINCIPAL;
const REPLICA: MemberId = MemberId::reader(1);
const WRITER: MemberId = MemberId::writer(0);
const OTHER_WRITER: MemberId = MemberId::writer(1);

fn layout(readers: usize, writers: usize) -> Arc<Layout> {
    let names = |port: &str, count: usize| (0..count).map(|n| format!("pl.{port}_{n}.{port}")).collect();
    Arc::new(Layout {
        channel: "pl.in_0.in".into(),
        readers: names("in", readers),
        writers: names("out", writers),
        ..Layout::default()
    })
}

fn process(number: u64) -> Process {
    Process {
        id: Uuid::from_u64_pair(1, number),
        host: format!("host-{number}"),
        pid: 7,
    }
}

fn run(number: u64) -> RunId {
    RunId {
        number,
        id: Uuid::from_u64_pair(2, number),
    }
}

/// A report of one member, as another process would make it.
fn word(process: Process, run: RunId, member: MemberId, epoch: u32, state: MemberState) -> (Side, Report) {
    let members = vec![MemberRange {
        first: member.index,
        last: member.index,
        epoch,
        state,
        cause: None,
    }];
    (
        member.side,
        Report {
            run,
            process,
            members,
            ends: vec![],
            positions: vec![],
            sources: vec![],
            received: vec![],
            acknowledged: Acknowledgements::default(),
            schema: None,
        },
    )
}

/// Machines around a status log that carries each report to all of them at once.
struct Bench {
    layout: Arc<Layout>,
    log: Vec<(Side, Report)>,
    /// Each with how much of the log it has read.
    machines: Vec<(Machine, usize)>,
    /// Stopped by the system: neither reads nor speaks.
    stopped: Vec<usize>,
    seconds: f64,
}

impl Bench {
    fn new(readers: usize, writers: usize) -> Self {
        let layout = layout(readers, writers);
        Self {
            layout,
            log: Vec::new(),
            machines: Vec::new(),
            stopped: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Starts a process that reads the history and joins with these members.
    fn start(&mut self, policy: RunPolicy, members: &[MemberId]) -> usize {
        let id = process(100 + self.machines.len() as u64);
        let mut machine = Machine::new(Arc::clone(&self.layout), id, TIMING, policy);
        for (side, report) in &self.log {
            machine.on_report(*side, report);
        }
        machine.on_history_read();
        for member in members {
            machine.on_local(*member, LocalEvent::Join);
        }
        self.machines.push((machine, self.log.len()));
        self.machines.len() - 1
    }

    /// Starts a process and lets its members take part as far as they can.
    fn started(&mut self, members: &[MemberId]) -> usize {
        let index = self.start(RunPolicy::Resume, members);
        self.flow();
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

    fn membership(&mut self, index: usize, member: MemberId) -> Membership {
        self.machine(index).membership(member)
    }

    fn epoch(&mut self, index: usize, member: MemberId) -> Option<(u64, u32)> {
        match self.membership(index, member) {
            Membership::Established { run, epoch, .. } => Some((run.number, epoch)),
            Membership::Waiting(_) | Membership::Over(_) | Membership::Refused(_) => None,
        }
    }

    /// Puts a report of somebody else into the log.
    fn say(&mut self, (side, report): (Side, Report)) {
        self.log.push((side, report));
        self.flow();
    }

    /// Publishes and delivers until nobody has anything more to say.
    fn flow(&mut self) {
        loop {
            let before = self.log.len();
            for (index, (machine, read)) in self.machines.iter_mut().enumerate() {
                if !self.stopped.contains(&index) {
                    for (side, report) in &self.log[*read..] {
                        machine.on_report(*side, report);
                    }
                    *read = self.log.len();
                    self.log.extend(machine.take_reports());
                }
            }
            if self.log.len() == before
                && self
                    .machines
                    .iter()
                    .enumerate()
                    .all(|(index, (_, read))| *read == before || self.stopped.contains(&index))
            {
                return;
            }
        }
    }

    /// Lets time pass for all, tick by tick.
    fn pass(&mut self, seconds: f64) {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds = (self.seconds + 0.5).min(end);
            for (index, (machine, _)) in self.machines.iter_mut().enumerate() {
                if !self.stopped.contains(&index) {
                    machine.on_tick(Duration::from_secs_f64(self.seconds));
                }
            }
            self.flow();
        }
    }

    /// Lets time pass for one machine that hears nothing.
    fn pass_unheard(&mut self, index: usize, seconds: f64) {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds += 0.5;
            let now = Duration::from_secs_f64(self.seconds);
            self.machine(index).on_tick(now);
            let _lost = self.machine(index).take_reports();
        }
    }
}
