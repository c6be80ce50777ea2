//! What holds for any input.

use proptest::prelude::*;

use super::*;

fn any_state() -> impl Strategy<Value = MemberState> {
    use MemberState::{Claimed, Closed, Failed, Left, Opened, Started, Stopped};
    proptest::sample::select(vec![Claimed, Opened, Started, Stopped, Closed, Failed, Left])
}

fn any_number() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, Just(u32::MAX)]
}

prop_compose! {
    fn any_report()(
        side in proptest::sample::select(Side::BOTH.to_vec()),
        (number, id) in (prop_oneof![0..4_u64, Just(u64::MAX)], 0..2_u64),
        speaker in 0..6_u64,
        members in proptest::collection::vec((0..6_u32, 0..3_u32, any_number(), any_state()), 0..4),
        positions in proptest::collection::vec((any_number(), any::<u64>()), 0..2),
        ends in proptest::collection::vec((any_number(), any::<u64>(), any::<u64>()), 0..2),
    ) -> (Side, Report) {
        let members = members.into_iter().map(|(first, more, epoch, state)| {
            MemberRange { first, last: first + more, epoch, state, cause: None }
        });
        let ends = ends.into_iter().map(|(partition, offset, records)| End { partition, offset, records });
        let run = RunId { number, id: Uuid::from_u64_pair(number, id) };
        let (members, ends) = (members.collect(), ends.collect());
        // Speaker 100 is a machine of the bench: somebody may speak in its name.
        (side, Report { run, process: process(if speaker == 0 { 100 } else { speaker }), members, ends, positions, sources: vec![], received: vec![], acknowledged: Acknowledgements::default(), schema: None })
    }
}

proptest! {
    #[test]
    fn no_report_makes_a_machine_panic(reports in proptest::collection::vec(any_report(), 0..40)) {
        let mut bench = Bench::new(3, 2);
        bench.start(RunPolicy::Resume, &[PRINCIPAL, WRITER]);
        bench.start(RunPolicy::Fresh, &[REPLICA, OTHER_WRITER]);
        for report in reports {
            bench.log.push(report);
            bench.pass(1.0);
            for (machine, _) in &bench.machines {
                let _ = (machine.readiness(), machine.upstream(), machine.siblings(), machine.suspects());
            }
        }
    }

    #[test]
    fn a_member_has_one_holder_in_whatever_order_its_claimants_come(
        starts in proptest::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 2..6)
    ) {
        let mut bench = Bench::new(1, 1);
        for (delay, dies, fresh) in starts {
            let policy = if fresh { RunPolicy::Fresh } else { RunPolicy::Resume };
            let index = bench.start(policy, &[PRINCIPAL]);
            bench.pass(f64::from(delay));
            if bench.epoch(index, PRINCIPAL).is_some() {
                bench.tell(index, PRINCIPAL, LocalEvent::Opened);
            }
            if dies == 0 {
                bench.stopped.push(index);
            }
        }
        bench.pass(20.0);
        let living: Vec<usize> = (0..bench.machines.len()).filter(|index| !bench.stopped.contains(index)).collect();
        let holders = living.iter().filter(|index| bench.epoch(**index, PRINCIPAL).is_some()).count();
        prop_assert_eq!(holders, usize::from(!living.is_empty()));
    }

    #[test]
    fn neighbours_that_say_the_same_share_a_range(states in proptest::collection::vec(any_state(), 1..50)) {
        let single = |(index, state): (usize, &MemberState)| {
            let first = u32::try_from(index).unwrap();
            MemberRange { first, last: first, epoch: 1, state: *state, cause: None }
        };
        let members = report::compact(states.iter().enumerate().map(single));
        let said = Report { run: run(1), process: process(1), members, ends: vec![], positions: vec![], sources: vec![], received: vec![], acknowledged: Acknowledgements::default(), schema: None };
        let expanded: Vec<MemberState> = said.expanded().map(|(_, word)| word.state).collect();
        prop_assert_eq!(&expanded, &states);
        let changes = states.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert_eq!(said.members.len(), changes + 1);
    }
}
