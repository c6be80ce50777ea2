//! Channels with members that are plain pypz-python.

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

#[test]
fn an_input_ends_when_every_plain_writer_has_stopped_and_counts_what_they_say() {
    let mut wire = Wire::new(1, 2, &[WRITER, OTHER_WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    for writer in [WRITER, OTHER_WRITER] {
        wire.say(writer, &[Opened, Started]);
        wire.beat(writer, 5);
        wire.say(writer, &[Stopped]);
        let all = writer == OTHER_WRITER;
        assert_eq!(wire.machine(reader).upstream() != Upstream::Sending, all);
    }
    wire.tell(reader, PRINCIPAL, received(9));
    wire.tell(reader, PRINCIPAL, LocalEvent::Stopped(vec![]));
    let counts = wire.machine(reader).counts().unwrap();
    assert_eq!((counts.sent(), counts.received), (10, vec![9]));
}

#[test]
fn ours_say_their_words_in_order_and_once_each() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.pass(10.0);
    wire.tell(reader, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(reader, PRINCIPAL, LocalEvent::Closed);
    assert_eq!(wire.words_of(PRINCIPAL), [Opened, Started, Stopped, Closed]);
    assert!(wire.machine(reader).is_settled());
}

#[test]
fn a_word_that_does_not_come_back_is_said_again_and_waited_for() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.machine(reader)
        .on_local(PRINCIPAL, LocalEvent::Stopped(vec![]));
    let reports = wire.machine(reader).take_reports();
    let lost = wire.machine(reader).take_words();
    assert!(lost.iter().any(|word| word.status == Stopped));
    wire.log.extend(
        reports
            .into_iter()
            .map(|(side, report)| Said::Report(side, report)),
    );
    wire.flow();
    assert!(
        !wire.machine(reader).has_settled(PRINCIPAL),
        "its report came back, its word did not"
    );
    wire.pass(3.0);
    assert!(wire.words_of(PRINCIPAL).contains(&Stopped));
    assert!(wire.machine(reader).has_settled(PRINCIPAL));
}

#[test]
fn a_plain_writer_is_lost_after_the_patience_and_its_last_count_is_told() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 60);
    wire.pass(59.0);
    assert_eq!(wire.machine(reader).upstream(), Upstream::Sending);
    wire.pass(5.0);
    match wire.machine(reader).upstream() {
        Upstream::Lost { cause, seen: true } => assert!(cause.contains("it had sent 60 records"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_writer_that_failed_fails_the_input_whatever_it_says_after() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Error, Stopped, Closed]);
    assert!(matches!(wire.machine(reader).upstream(), Upstream::Failed { .. }));
}

#[test]
fn what_was_said_before_the_mark_of_a_run_neither_ends_nor_counts_in_it() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    // A run of pypz-python on both sides.
    wire.say(PRINCIPAL, &[Opened, Started, Stopped, Closed]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 100);
    wire.say(WRITER, &[Stopped, Closed]);
    let reader = wire.started(&[PRINCIPAL]);
    assert!(wire.machine(reader).has_leftovers());
    assert_eq!(wire.machine(reader).upstream(), Upstream::Sending);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 7);
    assert_eq!(wire.machine(reader).upstream(), Upstream::Sending);
    wire.say(WRITER, &[Stopped, Closed]);
    assert!(matches!(
        wire.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
    assert_eq!(wire.machine(reader).counts().unwrap().sent(), 7);
}

#[test]
fn a_writer_that_ended_before_the_run_on_leftovers_is_missed_by_name() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    wire.say(PRINCIPAL, &[Opened, Started]);
    wire.say(WRITER, &[Opened, Started, Stopped, Closed]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.pass(65.0);
    match wire.machine(reader).upstream() {
        Upstream::Lost { cause, seen: false } => assert!(cause.contains("is of before the run"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_writer_that_was_faster_than_the_first_run_of_a_log_counts_in_it() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.start(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 1);
    wire.say(WRITER, &[Stopped, Closed]);
    wire.tell(reader, PRINCIPAL, LocalEvent::Opened);
    wire.tell(reader, PRINCIPAL, LocalEvent::Started);
    assert!(matches!(
        wire.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
    assert_eq!(wire.machine(reader).counts().unwrap().sent(), 1);
}

#[test]
fn a_reader_that_comes_back_knows_who_stopped_while_it_was_away() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    // The second run of its log, so that only the mark tells what is of it.
    let first = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Stopped, Closed]);
    wire.tell(first, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(first, PRINCIPAL, LocalEvent::Closed);
    wire.machines.clear();
    let second = wire.started(&[PRINCIPAL]);
    assert_eq!(wire.machine(second).upstream(), Upstream::Sending);
    wire.say(WRITER, &[Opened, Started]);
    wire.machines.clear();
    wire.beat(WRITER, 3);
    wire.say(WRITER, &[Stopped, Closed]);
    let again = wire.start(&[PRINCIPAL]);
    wire.pass(5.0);
    wire.tell(again, PRINCIPAL, LocalEvent::Opened);
    wire.tell(again, PRINCIPAL, LocalEvent::Started);
    assert!(matches!(wire.machine(again).upstream(), Upstream::Stopped { .. }));
    assert_eq!(wire.machine(again).counts().unwrap().sent(), 3);
}

#[test]
fn what_a_killed_writer_had_sent_counts_beside_what_its_next_process_sends() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 4);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 10);
    wire.say(WRITER, &[Stopped, Closed]);
    assert_eq!(wire.machine(reader).counts().unwrap().sent(), 14);
}

#[test]
fn the_first_writer_of_ours_opens_the_run_of_a_plain_principal_that_is_there() {
    let mut wire = Wire::new(2, 2, &[PRINCIPAL, REPLICA]);
    let other = wire.start(&[OTHER_WRITER]);
    let first = wire.start(&[WRITER]);
    wire.pass(2.0);
    assert!(matches!(
        wire.machine(first).membership(WRITER),
        Membership::Waiting(_)
    ));
    wire.say(PRINCIPAL, &[Opened]);
    wire.tell(first, WRITER, LocalEvent::Opened);
    for (index, member) in [(first, WRITER), (other, OTHER_WRITER)] {
        let membership = wire.machine(index).membership(member);
        assert!(
            matches!(membership, Membership::Established { .. }),
            "{membership:?}"
        );
    }
    wire.say(PRINCIPAL, &[Started]);
    let missing = match wire.machine(first).readiness() {
        Readiness::Waiting { missing } => missing,
        Readiness::Ready => vec![],
    };
    assert_eq!(missing, ["pl.in_1.in (never seen)"]);
    wire.say(REPLICA, &[Opened, Started]);
    assert_eq!(wire.machine(first).readiness(), Readiness::Ready);
}

#[test]
fn a_plain_reader_of_an_earlier_run_makes_no_writer_ready() {
    let mut wire = Wire::new(1, 1, &[PRINCIPAL]);
    wire.say(PRINCIPAL, &[Opened, Started]);
    let writer = wire.start(&[WRITER]);
    wire.pass(10.0);
    assert!(matches!(
        wire.machine(writer).membership(WRITER),
        Membership::Waiting(_)
    ));
    assert!(matches!(
        wire.machine(writer).readiness(),
        Readiness::Waiting { .. }
    ));
    wire.say(PRINCIPAL, &[Opened, Started]);
    assert_eq!(wire.machine(writer).readiness(), Readiness::Ready);
}

#[test]
fn a_writer_of_ours_repeats_nothing_while_the_plain_principal_is_still_at_work() {
    let mut wire = Wire::new(1, 1, &[PRINCIPAL]);
    wire.say(PRINCIPAL, &[Opened]);
    let writer = wire.start(&[WRITER]);
    wire.say(PRINCIPAL, &[Started]);
    wire.tell(writer, WRITER, LocalEvent::Opened);
    wire.tell(writer, WRITER, LocalEvent::Started);
    wire.tell(writer, WRITER, LocalEvent::Stopped(vec![]));
    wire.tell(writer, WRITER, LocalEvent::Closed);
    wire.machines.clear();
    let again = wire.start(&[WRITER]);
    wire.say(PRINCIPAL, &[HealthCheck]);
    wire.pass(5.0);
    match wire.machine(again).membership(WRITER) {
        Membership::Established { finished, .. } => assert!(finished),
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_of_others_that_show_the_extension_are_treated_as_ours() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    let run = match wire.machine(reader).membership(PRINCIPAL) {
        Membership::Established { run, .. } => run,
        other => panic!("{other:?}"),
    };
    let (side, report) = word(process(7), run, WRITER, 1, MemberState::Stopped);
    wire.log.push(Said::Report(side, report));
    wire.say(WRITER, &[Opened]);
    assert!(!wire.machine(reader).is_plain(WRITER));
    assert!(matches!(
        wire.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
    assert_eq!(wire.machine(reader).counts(), None);
}

#[test]
fn a_writer_that_opens_while_the_run_is_being_opened_on_leftovers_is_of_the_run() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    wire.say(PRINCIPAL, &[Opened, Started, Closed]);
    wire.say(WRITER, &[Opened, Started, Closed]);
    let reader = wire.start(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 2);
    wire.say(WRITER, &[Stopped, Closed]);
    wire.tell(reader, PRINCIPAL, LocalEvent::Opened);
    wire.tell(reader, PRINCIPAL, LocalEvent::Started);
    assert!(matches!(
        wire.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
    assert_eq!(wire.machine(reader).counts().unwrap().sent(), 2);
    // Whoever comes later reads the same in the log.
    let later = wire.start(&[]);
    assert!(
        wire.machine(later).plain_members().is_empty(),
        "it is in no run yet"
    );
}

#[test]
fn a_plain_replica_of_an_operator_of_ours_is_named_when_it_is_missed() {
    let mut wire = Wire::new(2, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    for _ in 0..33 {
        wire.say(WRITER, &[HealthCheck]);
        wire.say(REPLICA, &[HealthCheck]);
        wire.pass(2.0);
    }
    wire.tell(reader, PRINCIPAL, LocalEvent::Stopped(vec![]));
    match wire.machine(reader).siblings() {
        Siblings::Failed { cause } => assert!(cause.contains("all of one kind"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_of_a_queue_are_waited_for_until_the_patience_is_over() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 10);
    assert_eq!(wire.machine(reader).on_the_way(), None);
    wire.say(WRITER, &[Stopped, Closed]);
    wire.tell(reader, PRINCIPAL, received(7));
    assert_eq!(wire.machine(reader).on_the_way(), Some((3, 10)));
    wire.tell(reader, PRINCIPAL, received(10));
    assert_eq!(wire.machine(reader).on_the_way(), None);
    wire.tell(reader, PRINCIPAL, received(9));
    wire.pass(65.0);
    assert_eq!(wire.machine(reader).on_the_way(), None);
}
