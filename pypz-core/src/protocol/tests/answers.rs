//! What a machine answers about its peers.

use super::*;
use crate::protocol::Heard;

#[test]
fn a_writer_is_ready_when_every_reader_is_positioned() {
    let mut bench = Bench::new(2, 1);
    let readers = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.flow();
    bench.tell(readers, PRINCIPAL, LocalEvent::Opened);
    let writer = bench.started(&[WRITER]);
    let missing = |bench: &mut Bench| match bench.machine(writer).readiness() {
        Readiness::Waiting { missing } => missing,
        Readiness::Ready => vec![],
    };
    assert_eq!(
        missing(&mut bench),
        ["pl.in_0.in (Opened)", "pl.in_1.in (never seen)"]
    );
    bench.tell(readers, PRINCIPAL, LocalEvent::Started);
    assert_eq!(missing(&mut bench), ["pl.in_1.in (never seen)"]);
    bench.started(&[REPLICA]);
    assert_eq!(bench.machine(writer).readiness(), Readiness::Ready);
}

#[test]
fn the_end_needs_the_word_of_every_writer_and_sums_what_they_wrote() {
    let mut bench = Bench::new(1, 2);
    let reader = bench.started(&[PRINCIPAL]);
    let (one, two) = (bench.started(&[WRITER]), bench.started(&[OTHER_WRITER]));
    let end = |partition, offset, records| End {
        partition,
        offset,
        records,
    };
    bench.tell(
        one,
        WRITER,
        LocalEvent::Stopped(vec![end(0, 10, 6), end(1, 3, 3)]),
    );
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.tell(two, OTHER_WRITER, LocalEvent::Stopped(vec![end(0, 9, 4)]));
    let Upstream::Stopped { ends } = bench.machine(reader).upstream() else {
        panic!("not stopped")
    };
    assert_eq!(
        ends.into_values().collect::<Vec<_>>(),
        [end(0, 10, 10), end(1, 3, 3)]
    );
}

#[test]
fn what_a_writer_has_finished_stays_finished_whoever_takes_it_up_again() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    bench.tell(
        writer,
        WRITER,
        LocalEvent::Stopped(vec![End {
            partition: 0,
            offset: 4,
            records: 4,
        }]),
    );
    let expected = bench.machine(reader).upstream();
    assert!(matches!(expected, Upstream::Stopped { .. }));
    bench.tell(writer, WRITER, LocalEvent::Closed);
    let again = bench.started(&[WRITER]);
    assert_eq!(bench.machine(reader).upstream(), expected);
    let unfinished = vec!["pl.out_0.out".to_owned()];
    assert_eq!(
        bench.machine(reader).siblings(),
        Siblings::Reading { unfinished },
        "closed under a member at work"
    );
    bench.tell(again, WRITER, LocalEvent::Failed("too late".into(), vec![]));
    assert_eq!(bench.machine(reader).upstream(), expected);
    assert_eq!(bench.machine(reader).siblings(), Siblings::Finished);
}

#[test]
fn a_writer_is_lost_after_the_patience_and_not_before() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    bench.pass(100.0);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.stopped.push(writer);
    bench.pass(20.0);
    assert_eq!(bench.machine(reader).suspects().len(), 1);
    bench.pass(38.0);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.pass(8.0);
    let Upstream::Lost { cause, seen } = bench.machine(reader).upstream() else {
        panic!("still waits")
    };
    assert!(
        cause.contains("pl.out_0.out was lost") && cause.contains("host-101 pid 7"),
        "{cause}"
    );
    assert!(seen);
}

#[test]
fn whoever_takes_a_lost_writer_over_has_the_patience_to_come() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let dead = bench.started(&[WRITER]);
    bench.stopped.push(dead);
    bench.pass(59.0);
    let killed_while_it_claims = bench.start(RunPolicy::Resume, &[WRITER]);
    bench.flow();
    bench.stopped.push(killed_while_it_claims);
    bench.pass(59.0);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.pass(3.0);
    assert!(
        matches!(bench.machine(reader).upstream(), Upstream::Lost { .. }),
        "a claim holds a member for ever"
    );
}

#[test]
fn a_writer_that_never_came_is_lost_too() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    bench.pass(58.0);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.pass(8.0);
    assert!(matches!(
        bench.machine(reader).upstream(),
        Upstream::Lost { seen: false, .. }
    ));
}

#[test]
fn nobody_is_lost_while_the_own_reports_do_not_come_back() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    bench.started(&[WRITER]);
    bench.pass_unheard(reader, 100.0);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.pass(50.0);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
}

#[test]
fn writers_pause_after_half_the_patience_without_an_echo_and_stop_after_twice() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    bench.pass(10.0);
    for (seconds, suspended, troubled) in [
        (29.0, false, false),
        (2.0, true, false),
        (88.0, true, false),
        (3.0, true, true),
    ] {
        bench.pass_unheard(reader, seconds);
        let machine = bench.machine(reader);
        let seen = (machine.is_suspended(), machine.trouble().is_some());
        assert_eq!(seen, (suspended, troubled), "after {seconds} s more");
    }
    bench.pass(2.0);
    assert!(!bench.machine(reader).is_suspended());
    assert_eq!(bench.machine(reader).trouble(), None);
}

#[test]
fn a_failure_comes_with_its_cause_at_once_and_an_old_one_has_the_patience_to_be_over() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    bench.tell(
        writer,
        WRITER,
        LocalEvent::Failed("disk \u{1b}[2Jfull".into(), vec![]),
    );
    let failed = Upstream::Failed {
        cause: "pl.out_0.out failed: disk \\u{1b}[2Jfull".into(),
    };
    assert_eq!(bench.machine(reader).upstream(), failed);
    bench.tell(
        reader,
        PRINCIPAL,
        LocalEvent::Failed("writer failed".into(), vec![]),
    );
    let again = bench.started(&[PRINCIPAL]);
    bench.pass(10.0);
    assert_eq!(
        bench.machine(again).upstream(),
        Upstream::Sending,
        "a writer that may be on its way back"
    );
    bench.pass(56.0);
    assert_eq!(bench.machine(again).upstream(), failed);
    bench.started(&[WRITER]);
    assert_eq!(bench.machine(again).upstream(), Upstream::Sending);
}

#[test]
fn the_principal_waits_for_its_replicas_and_hears_of_their_failures() {
    let mut bench = Bench::new(2, 1);
    let principal = bench.started(&[PRINCIPAL]);
    let replica = bench.started(&[REPLICA]);
    let unfinished = vec!["pl.in_1.in".to_owned()];
    assert_eq!(
        bench.machine(principal).siblings(),
        Siblings::Reading { unfinished }
    );
    bench.tell(replica, REPLICA, LocalEvent::Failed("poison".into(), vec![]));
    let cause = "pl.in_1.in failed: poison".to_owned();
    assert_eq!(bench.machine(principal).siblings(), Siblings::Failed { cause });
    let replica = bench.started(&[REPLICA]);
    bench.tell(replica, REPLICA, LocalEvent::Stopped(vec![]));
    assert_eq!(bench.machine(principal).siblings(), Siblings::Finished);
}

#[test]
fn a_broadcast_reader_finds_its_position_again() {
    let mut bench = Bench::new(2, 1);
    bench.started(&[PRINCIPAL]);
    let replica = bench.started(&[REPLICA]);
    bench.tell(replica, REPLICA, LocalEvent::Position(41));
    bench.tell(replica, REPLICA, LocalEvent::Left(vec![]));
    let again = bench.started(&[REPLICA]);
    assert!(matches!(
        bench.membership(again, REPLICA),
        Membership::Established {
            position: Some(41),
            ..
        }
    ));
}

#[test]
fn a_last_word_that_got_lost_is_said_again() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    bench.machine(writer).on_local(WRITER, LocalEvent::Closed);
    let _lost = bench.machine(writer).take_reports();
    assert!(!bench.machine(writer).is_settled());
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.pass(3.0);
    assert!(bench.machine(writer).is_settled());
    assert!(matches!(
        bench.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
    let said = bench.log.len();
    bench.stopped.push(reader);
    bench.pass(100.0);
    assert_eq!(bench.log.len(), said, "speaks on though all is said");
}

#[test]
fn a_thousand_members_fit_into_one_short_report() {
    let mut bench = Bench::new(1, 1000);
    let reader = bench.started(&[PRINCIPAL]);
    let members: Vec<MemberId> = (0..1000).map(MemberId::writer).collect();
    let writers = bench.start(RunPolicy::Resume, &members);
    bench.flow();
    for member in &members {
        bench
            .machine(writers)
            .on_local(*member, LocalEvent::Stopped(vec![]));
    }
    let reports = bench.machine(writers).take_reports();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].1.members.len(), 1);
    bench.machine(reader).on_report(Side::Writers, &reports[0].1);
    assert!(matches!(
        bench.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
}

#[test]
fn a_thousand_long_causes_fit_into_one_message() {
    let mut bench = Bench::new(1, 1000);
    bench.started(&[PRINCIPAL]);
    let members: Vec<MemberId> = (0..1000).map(MemberId::writer).collect();
    let writers = bench.start(RunPolicy::Resume, &members);
    bench.flow();
    for member in &members {
        let cause = format!("{}{}", member.index, "\u{1}ü".repeat(5000));
        bench
            .machine(writers)
            .on_local(*member, LocalEvent::Failed(cause, vec![]));
    }
    let (side, report) = bench.machine(writers).take_reports().remove(0);
    let bytes = encode(&bench.layout, side, report.clone(), 0).bytes;
    assert_eq!(decode(&bench.layout, side, &bytes), Ok(Heard::Report(report)));
}
