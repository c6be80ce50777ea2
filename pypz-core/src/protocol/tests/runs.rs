//! Runs: opened, joined, resumed, closed, given up.

use super::*;

#[test]
fn nothing_is_decided_before_the_history_is_read() {
    let mut machine = Machine::new(layout(1, 1), process(1), TIMING, RunPolicy::Resume);
    machine.on_local(PRINCIPAL, LocalEvent::Join);
    machine.on_local(WRITER, LocalEvent::Join);
    let (side, report) = word(process(2), run(4), PRINCIPAL, 3, MemberState::Left);
    machine.on_report(side, &report);
    machine.on_tick(Duration::from_secs(100));
    assert_eq!(machine.take_reports(), vec![]);
    assert_eq!(
        machine.membership(PRINCIPAL),
        Membership::Waiting("the status history")
    );
    machine.on_history_read();
    let claims = machine.take_reports();
    assert_eq!(claims.len(), 1, "one claim, for the first member of the process");
    assert_eq!((claims[0].1.run, claims[0].1.members[0].epoch), (run(4), 4));
}

#[test]
fn the_principal_opens_the_first_run_and_the_others_wait_for_it() {
    let mut bench = Bench::new(1, 1);
    let writer = bench.start(RunPolicy::Resume, &[WRITER]);
    bench.pass(10.0);
    assert_eq!(bench.log, vec![]);
    assert_eq!(
        bench.membership(writer, WRITER),
        Membership::Waiting("the principal reader to open the run")
    );
    bench.started(&[PRINCIPAL]);
    assert_eq!(bench.epoch(writer, WRITER), Some((1, 1)));
}

#[test]
fn a_closed_run_is_not_joined_and_the_next_one_has_the_next_number() {
    let mut bench = Bench::new(1, 1);
    bench.say(word(process(1), run(5), WRITER, 1, MemberState::Started));
    bench.say(word(process(1), run(5), PRINCIPAL, 2, MemberState::Closed));
    let writer = bench.start(RunPolicy::Resume, &[WRITER]);
    bench.pass(10.0);
    let Membership::Waiting(cause) = bench.membership(writer, WRITER) else {
        panic!("joined a closed run")
    };
    assert!(cause.contains("the last one is closed"), "{cause}");
    let reader = bench.started(&[PRINCIPAL]);
    assert_eq!(bench.epoch(reader, PRINCIPAL), Some((6, 1)));
    assert_eq!(bench.epoch(writer, WRITER), Some((6, 1)));
}

#[test]
fn a_run_that_was_not_closed_goes_on_with_the_next_epoch() {
    let mut bench = Bench::new(1, 1);
    bench.say(word(process(1), run(5), PRINCIPAL, 2, MemberState::Started));
    let reader = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.pass(4.0);
    let Membership::Established {
        run: resumed, epoch, ..
    } = bench.membership(reader, PRINCIPAL)
    else {
        panic!()
    };
    assert_eq!((resumed, epoch), (run(5), 3));
}

#[test]
fn a_fresh_run_has_the_next_number_and_stops_who_is_in_the_one_given_up() {
    let mut bench = Bench::new(1, 2);
    bench.say(word(process(1), run(5), PRINCIPAL, 2, MemberState::Left));
    let old = bench.started(&[WRITER]);
    assert_eq!(bench.epoch(old, WRITER), Some((5, 1)));
    let patient = bench.start(RunPolicy::Fresh, &[OTHER_WRITER]);
    bench.pass(10.0);
    assert_eq!(
        bench.epoch(patient, OTHER_WRITER),
        None,
        "joined the run that is about to be given up"
    );
    let fresh = bench.start(RunPolicy::Fresh, &[PRINCIPAL]);
    bench.flow();
    bench.tell(fresh, PRINCIPAL, LocalEvent::Opened);
    assert_eq!(bench.epoch(fresh, PRINCIPAL), Some((6, 1)));
    assert_eq!(bench.epoch(patient, OTHER_WRITER), Some((6, 1)));
    assert!(matches!(
        bench.membership(old, WRITER),
        Membership::Refused(Refusal::GivenUp { .. })
    ));
}

#[test]
fn a_fresh_start_does_not_disturb_a_pipeline_that_runs() {
    let mut bench = Bench::new(1, 1);
    let running = bench.started(&[PRINCIPAL, WRITER]);
    let fresh = bench.start(RunPolicy::Fresh, &[PRINCIPAL, WRITER]);
    bench.pass(10.0);
    assert!(matches!(
        bench.membership(fresh, PRINCIPAL),
        Membership::Refused(Refusal::Held { .. })
    ));
    assert_eq!(bench.epoch(running, PRINCIPAL), Some((1, 1)));
    assert_eq!(bench.epoch(running, WRITER), Some((1, 1)));
}

#[test]
fn words_of_an_older_run_end_nothing() {
    let mut bench = Bench::new(1, 1);
    for number in 1..=500 {
        bench.log.push(word(
            process(number),
            run(number),
            WRITER,
            9,
            MemberState::Stopped,
        ));
        bench.log.push(word(
            process(number),
            run(number),
            PRINCIPAL,
            9,
            MemberState::Closed,
        ));
    }
    let reader = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    let (side, claim) = bench.machine(reader).take_reports().remove(0);
    bench.machine(reader).on_report(side, &claim);
    assert_eq!(bench.epoch(reader, PRINCIPAL), Some((501, 1)));
    // The word that opens the run is not back yet: the log still ends with the run before, in which all had stopped.
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.tell(reader, PRINCIPAL, LocalEvent::Opened);
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
}

#[test]
fn a_run_that_was_closed_stays_closed_whoever_took_it_over_at_that_moment() {
    let mut bench = Bench::new(1, 1);
    bench.say(word(process(1), run(5), PRINCIPAL, 1, MemberState::Closed));
    bench.say(word(process(2), run(5), PRINCIPAL, 2, MemberState::Opened));
    let reader = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.pass(5.0);
    assert_eq!(bench.epoch(reader, PRINCIPAL), Some((6, 1)));
}

#[test]
fn who_is_still_at_work_when_the_run_is_closed_is_stopped() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    bench.tell(reader, PRINCIPAL, LocalEvent::Closed);
    let Membership::Refused(refusal) = bench.membership(writer, WRITER) else {
        panic!("works for a closed run")
    };
    assert!(
        refusal.to_string().contains("is complete and was closed"),
        "{refusal}"
    );
}

#[test]
fn a_run_gets_a_number_that_counts_for_all_when_a_log_has_lost_its_head() {
    // The readers' log has forgotten that run 5 was closed; the writers' log still tells of it.
    let mut bench = Bench::new(1, 1);
    bench.say(word(process(1), run(5), WRITER, 3, MemberState::Closed));
    let writer = bench.start(RunPolicy::Resume, &[WRITER]);
    let reader = bench.started(&[PRINCIPAL]);
    assert_eq!(bench.epoch(reader, PRINCIPAL), Some((6, 1)));
    assert_eq!(bench.epoch(writer, WRITER), Some((6, 1)));
    bench.tell(writer, WRITER, LocalEvent::Started);
    bench.tell(writer, WRITER, LocalEvent::Stopped(vec![]));
    assert!(matches!(
        bench.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
}

#[test]
fn a_claim_tells_of_a_run_that_the_readers_log_has_forgotten() {
    // Found by seed 189279 of the simulation: a new run got the number of one in which a writer had only claimed. Its epochs
    // hid those of the new run, and two incarnations had the same.
    let mut bench = Bench::new(1, 1);
    bench.say(word(process(1), run(1), PRINCIPAL, 9, MemberState::Closed));
    bench.say(word(process(2), run(3), WRITER, 8, MemberState::Claimed));
    let all = bench.started(&[PRINCIPAL, WRITER]);
    bench.pass(4.0);
    assert_eq!(bench.epoch(all, PRINCIPAL), Some((4, 1)));
    assert_eq!(bench.epoch(all, WRITER), Some((4, 1)));
    bench.stopped.push(all);
    let again = bench.start(RunPolicy::Resume, &[PRINCIPAL, WRITER]);
    bench.pass(8.0);
    assert_eq!(bench.epoch(again, WRITER), Some((4, 2)));
}

#[test]
fn an_old_run_that_a_zombie_speaks_of_is_not_resumed_when_a_newer_one_is_known() {
    // The readers' log has forgotten run 6; what it holds of run 5 came late.
    let mut bench = Bench::new(1, 1);
    bench.say(word(process(1), run(5), PRINCIPAL, 1, MemberState::Opened));
    bench.say(word(process(2), run(6), WRITER, 1, MemberState::Closed));
    let reader = bench.start(RunPolicy::Resume, &[PRINCIPAL, WRITER]);
    bench.pass(4.0);
    assert_eq!(bench.epoch(reader, PRINCIPAL), Some((7, 1)));
}

#[test]
fn a_run_keeps_the_schema_that_it_was_opened_with() {
    let mut bench = Bench::new(1, 1);
    let said = |bench: &mut Bench, process, run| bench.machine(process).schema(run);
    let first = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.machine(first).describe("old");
    bench.flow();
    bench.tell(first, PRINCIPAL, LocalEvent::Opened);
    let run = bench.log[0].1.run;
    let writer = bench.started(&[WRITER]);
    assert_eq!(said(&mut bench, writer, run).as_deref(), Some("old"));
    // It is said until it was heard, and not with every sign of life.
    bench.pass(60.0);
    let times = |bench: &Bench| {
        bench
            .log
            .iter()
            .filter(|(_, report)| report.schema.is_some())
            .count()
    };
    assert_eq!(times(&bench), 1);

    bench.tell(first, PRINCIPAL, LocalEvent::Left(Vec::new()));
    let second = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.machine(second).describe("new");
    bench.flow();
    bench.tell(second, PRINCIPAL, LocalEvent::Opened);
    for process in [second, writer] {
        assert_eq!(
            said(&mut bench, process, run).as_deref(),
            Some("old"),
            "{process}"
        );
    }
    assert_eq!(times(&bench), 2, "whoever goes on with a run says it again");
    bench.tell(second, PRINCIPAL, LocalEvent::Stopped(Vec::new()));
    bench.tell(second, PRINCIPAL, LocalEvent::Closed);

    let third = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.machine(third).describe("new");
    bench.flow();
    bench.tell(third, PRINCIPAL, LocalEvent::Opened);
    let next = bench.log.last().unwrap().1.run;
    assert_eq!(next.number, run.number + 1);
    assert_eq!(said(&mut bench, third, next).as_deref(), Some("new"));
    assert_eq!(said(&mut bench, third, run), None);
}

#[test]
fn a_schema_is_said_again_within_hours() {
    let mut bench = Bench::new(1, 1);
    let principal = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.machine(principal).describe("long lived");
    bench.flow();
    bench.tell(principal, PRINCIPAL, LocalEvent::Opened);
    bench.pass(3.0 * 3600.0);
    let said = bench.log.iter().filter(|(_, report)| report.schema.is_some());
    assert!((3..=4).contains(&said.count()));
}

#[test]
fn a_run_that_was_opened_without_a_schema_gets_none_from_whoever_goes_on_with_it() {
    let mut bench = Bench::new(1, 1);
    let first = bench.started(&[PRINCIPAL]);
    let run = bench.log[0].1.run;
    bench.tell(first, PRINCIPAL, LocalEvent::Left(Vec::new()));
    let second = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.machine(second).describe("new");
    bench.flow();
    bench.tell(second, PRINCIPAL, LocalEvent::Opened);
    bench.pass(60.0);
    assert_eq!(bench.epoch(second, PRINCIPAL), Some((1, 2)));
    assert!(bench.log.iter().all(|(_, report)| report.schema.is_none()));
    assert_eq!(bench.machine(second).schema(run), None);
}
