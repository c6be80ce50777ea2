//! Old runs in the status logs: words of processes that are long gone.

use std::rc::Rc;

use uuid::Uuid;

use super::super::{Acknowledgements, MemberId, MemberRange, MemberState, Process, Report, RunId, Side};
use super::broker::Said;
use super::world::World;

/// Fills the status logs with runs that were closed, and perhaps a last one that was not.
pub(super) fn write_old_runs(world: &mut World) {
    for number in 1..=world.plan.old_runs.count {
        let closed = world.plan.old_runs.closed || number < world.plan.old_runs.count;
        let run = RunId {
            number,
            id: Uuid::from_u64_pair(world.rng.next(), number),
        };
        for side in Side::BOTH {
            let count = if side == Side::Readers {
                world.plan.readers
            } else {
                world.plan.writers
            };
            for member in (0..count).map(|index| MemberId { side, index }) {
                if world.plan.foreign.contains(&member) {
                    continue;
                }
                say_of(world, run, member, closed);
            }
        }
        if closed {
            say(world, run, MemberId::PRINCIPAL, 9, MemberState::Closed);
        }
    }
}

fn say_of(world: &mut World, run: RunId, member: MemberId, closed: bool) {
    use MemberState::{Claimed, Closed, Failed, Left, Opened, Started, Stopped};
    for _ in 0..world.rng.below(3) {
        let open = [Claimed, Opened, Started, Failed, Left];
        let any = [Claimed, Opened, Started, Stopped, Closed, Failed, Left];
        let state = if closed && member != MemberId::PRINCIPAL {
            world.rng.pick(&any)
        } else {
            world.rng.pick(&open)
        };
        let epoch = u32::try_from(world.rng.between(1, 8)).unwrap_or(1);
        say(world, run, member, epoch, state);
    }
}

fn say(world: &mut World, run: RunId, member: MemberId, epoch: u32, state: MemberState) {
    let id = Uuid::from_u64_pair(world.rng.next(), world.rng.next());
    let process = Process {
        id,
        host: "gone".to_owned(),
        pid: 1,
    };
    let cause = (state == MemberState::Failed).then(|| "an old failure".to_owned());
    let members = vec![MemberRange {
        first: member.index,
        last: member.index,
        epoch,
        state,
        cause,
    }];
    let report = Report {
        run,
        process,
        members,
        ends: vec![],
        positions: vec![],
        sources: vec![],
        received: vec![],
        acknowledged: Acknowledgements::default(),
        schema: None,
    };
    world.note(|| {
        format!(
            "long ago in run {} to {:?}: {:?}",
            run.number, member.side, report.members
        )
    });
    if world.plan.old_runs.count == run.number && !world.plan.old_runs.closed {
        world.oracle.on_status(0, member.side, &report);
    }
    world
        .broker
        .publish(0, member.side, Said::Report(Rc::new(report)));
}
