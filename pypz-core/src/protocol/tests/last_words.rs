//! What a member finds that comes back when its work was done.

use super::*;

/// Whether a member that takes part knows that its work is done, and that it had said its last word.
fn known(bench: &mut Bench, index: usize, member: MemberId) -> Option<(bool, bool)> {
    match bench.membership(index, member) {
        Membership::Established {
            settled, finished, ..
        } => Some((settled, finished)),
        _ => None,
    }
}

#[test]
fn a_member_that_has_settled_and_comes_back_knows_that_its_work_is_done() {
    let mut bench = Bench::new(2, 1);
    bench.started(&[PRINCIPAL]);
    let replica = bench.started(&[REPLICA]);
    bench.tell(replica, REPLICA, LocalEvent::Settled);
    assert!(bench.machine(replica).has_settled(REPLICA), "it is in the log");
    bench.stopped.push(replica);
    let again = bench.start(RunPolicy::Resume, &[REPLICA]);
    bench.pass(4.0);
    assert_eq!(known(&mut bench, again, REPLICA), Some((true, false)));
    // What comes after does not undo it: not even that the next incarnation reads again, and is gone again.
    bench.tell(again, REPLICA, LocalEvent::Started);
    bench.stopped.push(again);
    let third = bench.start(RunPolicy::Resume, &[REPLICA]);
    bench.pass(4.0);
    assert_eq!(known(&mut bench, third, REPLICA), Some((true, false)));
}

#[test]
fn a_run_is_not_closed_before_who_has_settled_has_stopped() {
    let mut bench = Bench::new(2, 1);
    let principal = bench.started(&[PRINCIPAL]);
    let replica = bench.started(&[REPLICA]);
    let writer = bench.started(&[WRITER]);
    bench.tell(writer, WRITER, LocalEvent::Settled);
    assert_eq!(bench.machine(principal).upstream(), Upstream::Sending);
    bench.tell(writer, WRITER, LocalEvent::Stopped(vec![]));
    assert!(matches!(
        bench.machine(principal).upstream(),
        Upstream::Stopped { .. }
    ));
    bench.tell(replica, REPLICA, LocalEvent::Settled);
    let unfinished = vec!["pl.in_1.in".to_owned()];
    assert_eq!(
        bench.machine(principal).siblings(),
        Siblings::Reading { unfinished }
    );
    bench.tell(replica, REPLICA, LocalEvent::Stopped(vec![]));
    assert_eq!(bench.machine(principal).siblings(), Siblings::Finished);
}

#[test]
fn a_reader_that_has_settled_was_ready_and_is_judged_like_any_other() {
    let mut bench = Bench::new(2, 1);
    let principal = bench.started(&[PRINCIPAL]);
    let replica = bench.started(&[REPLICA]);
    let writer = bench.started(&[WRITER]);
    bench.tell(replica, REPLICA, LocalEvent::Settled);
    assert_eq!(bench.machine(writer).readiness(), Readiness::Ready);
    bench.stopped.push(replica);
    bench.pass(64.0);
    assert!(matches!(
        bench.machine(principal).siblings(),
        Siblings::Failed { cause } if cause.contains("pl.in_1.in was lost")
    ));
}

#[test]
fn who_came_back_when_its_work_was_done_may_say_so_in_a_closed_run() {
    let mut bench = Bench::new(1, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    bench.tell(writer, WRITER, LocalEvent::Stopped(vec![]));
    bench.tell(writer, WRITER, LocalEvent::Closed);
    let again = bench.started(&[WRITER]);
    assert_eq!(bench.epoch(again, WRITER), Some((1, 2)));
    bench.tell(reader, PRINCIPAL, LocalEvent::Closed);
    assert_eq!(known(&mut bench, again, WRITER), Some((true, true)));
    bench.stopped.push(reader);
    bench.machine(again).on_local(WRITER, LocalEvent::Closed);
    assert!(bench.machine(again).is_settled(), "nobody waits for its word");
}

#[test]
fn a_run_that_is_closed_before_somebodys_eyes_is_over_for_who_had_finished_in_it() {
    let mut bench = Bench::new(1, 2);
    let reader = bench.started(&[PRINCIPAL]);
    let writer = bench.started(&[WRITER]);
    let other = bench.started(&[OTHER_WRITER]);
    for (process, member) in [(writer, WRITER), (other, OTHER_WRITER)] {
        bench.tell(process, member, LocalEvent::Stopped(vec![]));
        bench.tell(process, member, LocalEvent::Closed);
    }
    // It has read the history, and the run is closed before its claim comes back.
    let late = bench.start(RunPolicy::Resume, &[WRITER]);
    bench.stopped.push(late);
    bench.tell(reader, PRINCIPAL, LocalEvent::Closed);
    bench.stopped.retain(|stopped| *stopped != late);
    bench.flow();
    assert!(matches!(bench.membership(late, WRITER), Membership::Over(run) if run.number == 1));
    // Whoever finds it closed in the history may be there for the next run.
    let next = bench.start(RunPolicy::Resume, &[OTHER_WRITER]);
    bench.flow();
    assert!(matches!(
        bench.membership(next, OTHER_WRITER),
        Membership::Waiting(_)
    ));
    assert!(bench.machine(next).completed(OTHER_WRITER).is_some());
    bench.started(&[PRINCIPAL]);
    assert_eq!(bench.epoch(next, OTHER_WRITER), Some((2, 1)));
    assert_eq!(bench.machine(next).completed(OTHER_WRITER), None);
}
