//! Taking a member.

use super::*;

#[test]
fn the_first_claim_wins_and_the_second_is_refused_by_name() {
    let mut bench = Bench::new(1, 1);
    let first = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    let second = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.pass(5.0);
    assert_eq!(bench.epoch(first, PRINCIPAL), Some((1, 1)));
    let Membership::Refused(refusal) = bench.membership(second, PRINCIPAL) else {
        panic!("two hold one member")
    };
    let said = refusal.to_string();
    assert!(
        said.starts_with("pl.in_0.in is run by host host-100 pid 7"),
        "{said}"
    );
}

#[test]
fn of_two_processes_with_the_same_members_one_gets_them_all() {
    let members = [PRINCIPAL, REPLICA, WRITER];
    let mut bench = Bench::new(2, 1);
    let both = [
        bench.start(RunPolicy::Resume, &members),
        bench.start(RunPolicy::Resume, &members),
    ];
    bench.tell(both[0], PRINCIPAL, LocalEvent::Opened);
    bench.pass(5.0);
    for member in members {
        assert_eq!(
            both.map(|process| bench.epoch(process, member).is_some()),
            [true, false],
            "{member:?}"
        );
    }
}

#[test]
fn a_holder_that_is_alive_answers_and_the_claimant_withdraws() {
    let mut bench = Bench::new(1, 1);
    let holder = bench.started(&[PRINCIPAL]);
    bench.pass(100.0);
    let claimant = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.flow();
    assert!(matches!(
        bench.membership(claimant, PRINCIPAL),
        Membership::Refused(Refusal::Held { .. })
    ));
    assert_eq!(bench.epoch(holder, PRINCIPAL), Some((1, 1)));
}

#[test]
fn a_principal_that_waits_for_its_replicas_still_holds_its_port() {
    let mut bench = Bench::new(2, 1);
    let holder = bench.started(&[PRINCIPAL]);
    bench.tell(holder, PRINCIPAL, LocalEvent::Stopped(vec![]));
    bench.pass(10.0);
    let claimant = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.flow();
    assert!(matches!(
        bench.membership(claimant, PRINCIPAL),
        Membership::Refused(Refusal::Held { .. })
    ));
}

#[test]
fn a_silent_holder_is_replaced_after_the_challenge_and_fenced_when_it_wakes_up() {
    let mut bench = Bench::new(1, 1);
    let zombie = bench.started(&[PRINCIPAL]);
    bench.stopped.push(zombie);
    bench.pass(1.0);
    let next = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.pass(2.4);
    assert!(
        matches!(bench.membership(next, PRINCIPAL), Membership::Waiting(_)),
        "took over before the challenge"
    );
    bench.pass(1.0);
    assert_eq!(bench.epoch(next, PRINCIPAL), Some((1, 2)));
    bench.tell(next, PRINCIPAL, LocalEvent::Opened);
    bench.pass(180.0);
    bench.stopped.clear();
    let now = Duration::from_secs_f64(bench.seconds);
    bench.machine(zombie).on_tick(now);
    assert!(
        bench.machine(zombie).is_suspended(),
        "a process that wakes up must not write on"
    );
    assert_eq!(
        bench.machine(zombie).trouble(),
        None,
        "a process that wakes up gets the time to read why"
    );
    bench.flow();
    let Membership::Refused(refusal) = bench.membership(zombie, PRINCIPAL) else {
        panic!("the zombie lives on")
    };
    let said = refusal.to_string();
    assert_eq!(
        said,
        "pl.in_0.in was fenced by a newer instance, host host-101 pid 7 (epoch 2 after 1)"
    );
    assert_eq!(bench.epoch(next, PRINCIPAL), Some((1, 2)));
}

#[test]
fn a_claimant_that_was_stopped_takes_nothing_over_before_it_has_read_the_answer() {
    let mut bench = Bench::new(1, 1);
    let holder = bench.started(&[PRINCIPAL]);
    let claimant = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    let claim = bench.machine(claimant).take_reports().remove(0);
    bench.machine(claimant).on_report(claim.0, &claim.1);
    bench.log.push(claim);
    bench.machines[claimant].1 = bench.log.len();
    bench.stopped.push(claimant);
    bench.pass(100.0);
    let now = Duration::from_secs_f64(bench.seconds);
    bench.machine(claimant).on_tick(now);
    assert!(matches!(
        bench.membership(claimant, PRINCIPAL),
        Membership::Waiting(_)
    ));
    bench.stopped.clear();
    bench.flow();
    assert!(matches!(
        bench.membership(claimant, PRINCIPAL),
        Membership::Refused(Refusal::Held { .. })
    ));
    assert_eq!(bench.epoch(holder, PRINCIPAL), Some((1, 1)));
}

#[test]
fn whoever_replaces_a_process_in_one_member_does_not_wait_for_it_in_the_next() {
    let members = [PRINCIPAL, REPLICA, WRITER];
    let mut bench = Bench::new(2, 1);
    let dead = bench.started(&members);
    bench.stopped.push(dead);
    let next = bench.start(RunPolicy::Resume, &members);
    bench.pass(3.5);
    assert_eq!(members.map(|member| bench.epoch(next, member)), [Some((1, 2)); 3]);
}

#[test]
fn who_left_is_replaced_at_once() {
    let mut bench = Bench::new(1, 1);
    let leaver = bench.started(&[PRINCIPAL]);
    bench.tell(leaver, PRINCIPAL, LocalEvent::Left(vec![]));
    let next = bench.start(RunPolicy::Resume, &[PRINCIPAL]);
    bench.flow();
    assert_eq!(bench.epoch(next, PRINCIPAL), Some((1, 2)));
}

#[test]
fn an_older_epoch_of_a_member_is_not_heard() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let Membership::Established { run, .. } = bench.membership(reader, PRINCIPAL) else {
        panic!()
    };
    bench.say(word(process(2), run, WRITER, 2, MemberState::Started));
    bench.say(word(process(1), run, WRITER, 1, MemberState::Stopped));
    assert_eq!(bench.machine(reader).upstream(), Upstream::Sending);
    bench.say(word(process(2), run, WRITER, 2, MemberState::Stopped));
    assert!(matches!(
        bench.machine(reader).upstream(),
        Upstream::Stopped { .. }
    ));
}

#[test]
fn a_claimant_that_fails_says_so_only_when_the_member_is_its_own() {
    let mut bench = Bench::new(1, 1);
    bench.started(&[PRINCIPAL]);
    let holder = bench.started(&[WRITER]);
    let claimant = bench.start(RunPolicy::Resume, &[WRITER]);
    bench.tell(claimant, WRITER, LocalEvent::Failed("no disk".into(), vec![]));
    bench.pass(5.0);
    assert_eq!(bench.epoch(holder, WRITER), Some((1, 1)));
    let failed = |(_, report): &(Side, Report)| {
        report
            .members
            .iter()
            .any(|word| word.state == MemberState::Failed)
    };
    assert!(
        !bench.log.iter().any(failed),
        "somebody else's member was said to have failed"
    );
}
