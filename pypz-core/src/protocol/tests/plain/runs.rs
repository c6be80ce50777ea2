//! Which words of plain members are of a run, and whose the run is.

use super::*;

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
fn a_sign_of_life_behind_the_mark_is_not_of_the_incarnation_that_closed_before_it() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let first = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Stopped, Closed]);
    wire.tell(first, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(first, PRINCIPAL, LocalEvent::Closed);
    let second = wire.started(&[PRINCIPAL]);
    // `Opened` and `Started` were lost.
    wire.beat(WRITER, 3);
    assert_eq!(wire.machine(second).upstream(), Upstream::Sending);
    wire.say(WRITER, &[Stopped]);
    assert_eq!(wire.machine(second).counts().unwrap().sent(), 3);
}

#[test]
fn a_writer_that_only_closes_behind_the_mark_is_of_the_run_before() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let first = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Stopped]);
    wire.tell(first, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(first, PRINCIPAL, LocalEvent::Closed);
    let second = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Closed]);
    assert_eq!(wire.machine(second).upstream(), Upstream::Sending);
}

#[test]
fn the_channel_is_not_left_by_a_writer_that_closed_in_the_run_before() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let first = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Stopped, Closed]);
    wire.tell(first, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(first, PRINCIPAL, LocalEvent::Closed);
    let second = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Stopped]);
    assert!(!wire.machine(second).plain_writers_left());
    wire.say(WRITER, &[Closed]);
    assert!(wire.machine(second).plain_writers_left());
}
