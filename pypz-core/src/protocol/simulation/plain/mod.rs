//! Members that are plain pypz-python, among machines: they wait for nobody, say a few words without a run, and count.
//!
//! A seed determines a world here, too. `PYPZ_SIM_PLAIN_SEED` replays one, `PYPZ_SIM_PLAIN_SEEDS` sets how many run.

mod channel;
mod lives;
mod plan;
mod process;
mod reader;
mod watch;
mod writer;

use super::faults::BrokenRule;
use super::world::World;

pub(super) use plan::PlainPlan;
pub(super) use process::{PlainEvent, PlainProcess};
pub(super) use watch::Watch;

/// Runs a world and says which promise was broken, if one was.
fn run(seed: u64, broken: Option<BrokenRule>, traced: bool) -> (Option<String>, World) {
    let mut world = World::with_plain_members(seed, broken, traced);
    world.run_with_plain_faults();
    if world.oracle.violation.is_none() {
        world.run_plain_again();
    }
    (world.oracle.violation.clone(), world)
}

#[test]
fn thousands_of_seeds_with_plain_members_break_no_promise() {
    let story = |seed| super::told(seed, run(seed, None, true));
    if let Some(seed) = super::setting("PYPZ_SIM_PLAIN_SEED") {
        println!("{}", story(seed));
        assert_eq!(run(seed, None, false).0, None);
        return;
    }
    let seeds = super::setting("PYPZ_SIM_PLAIN_SEEDS").unwrap_or(5_000);
    if let Some((seed, violation)) = super::search(seeds, |seed| run(seed, None, false).0) {
        panic!("{}\nseed {seed}: {violation}", story(seed));
    }
}

/// Seeds that broke a promise once.
const MENDED: [u64; 11] = [1, 35, 61, 62, 414, 591, 1408, 2217, 8402, 10_737, 19_828];

#[test]
fn seeds_with_plain_members_that_broke_a_promise_once_break_none_any_more() {
    for seed in MENDED {
        assert_eq!(run(seed, None, false).0, None, "seed {seed}");
    }
}

#[test]
fn a_seed_with_plain_members_tells_the_same_story_each_time() {
    let trace = |seed| run(seed, None, true).1.trace;
    for seed in 0..20 {
        assert!(trace(seed) == trace(seed), "seed {seed} tells two stories");
    }
}

/// Rules, and what the oracle says when one is broken.
const REPROACHES: [(BrokenRule, &str); 8] = [
    (BrokenRule::IgnoresCounts, "never read"),
    (BrokenRule::EndsOnSilence, "without a word of plain writer"),
    (BrokenRule::OverhearsLeftovers, "without a word of plain writer"),
    (BrokenRule::ReadsLeftovers, "of an earlier run was read"),
    (
        BrokenRule::DeletesUnderPlainWriters,
        "was deleted under plain writer",
    ),
    (BrokenRule::WaitsForever, "do not end"),
    (
        BrokenRule::StopsBeforeAcknowledged,
        "said that it had stopped before",
    ),
    (BrokenRule::SendsBeforeReadiness, "was sent before reader"),
];

#[test]
fn the_oracle_catches_each_rule_that_is_broken_on_purpose_with_plain_members() {
    for (rule, reproach) in REPROACHES {
        let said = |seed| run(seed, Some(rule), false).0;
        let catches = |seed: &u64| said(*seed).is_some_and(|said| said.contains(reproach));
        let seed = (0..2000)
            .find(catches)
            .unwrap_or_else(|| panic!("nobody noticed {rule:?}"));
        println!("{rule:?} is caught by seed {seed}: {:?}", said(seed));
    }
}
