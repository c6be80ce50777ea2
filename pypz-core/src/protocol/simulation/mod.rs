//! Many machines against each other in a simulated world in which everything goes wrong that can: see `faults`.
//!
//! A seed determines a world. `PYPZ_SIM_SEED` replays one and shows what happened, `PYPZ_SIM_SEEDS` sets how many run.

mod broker;
mod driver;
mod exit;
mod faults;
mod history;
mod lives;
mod oracle;
mod plain;
mod process;
mod reader;
mod rng;
mod strikes;
mod world;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};

use faults::BrokenRule;
use world::World;

/// Runs a world and says which promise was broken, if one was.
fn run(seed: u64, broken: Option<BrokenRule>, traced: bool) -> (Option<String>, World) {
    let mut world = World::new(seed, broken, traced);
    world.run_with_faults();
    if world.oracle.violation.is_none() {
        world.run_again();
    }
    (world.oracle.violation.clone(), world)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What happened in the world of a seed, for people.
fn story(seed: u64) -> String {
    told(seed, run(seed, None, true))
}

fn told(seed: u64, (violation, world): (Option<String>, World)) -> String {
    let trace = world.trace.unwrap_or_default().join("\n");
    format!(
        "seed {seed}: {:?}\n{trace}\nseed {seed}: {violation:?}",
        world.plan
    )
}

/// The first of so many seeds, as two threads find it, that breaks a promise.
fn search(seeds: u64, violation: impl Fn(u64) -> Option<String> + Sync) -> Option<(u64, String)> {
    let next = AtomicU64::new(0);
    let search = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return None;
            }
            if let Some(violation) = violation(seed) {
                next.store(seeds, Ordering::Relaxed);
                return Some((seed, violation));
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(search);
        search().or(other.join().unwrap())
    })
}

#[test]
fn ten_thousand_seeds_of_delays_losses_and_reorderings_break_no_promise() {
    if let Some(seed) = setting("PYPZ_SIM_SEED") {
        let (violation, _) = run(seed, None, false);
        println!("{}", story(seed));
        assert_eq!(violation, None);
        return;
    }
    let seeds = setting("PYPZ_SIM_SEEDS").unwrap_or(10_000);
    if let Some((seed, violation)) = search(seeds, |seed| run(seed, None, false).0) {
        panic!("{}\nseed {seed}: {violation}", story(seed));
    }
}

/// Seeds that broke a promise once.
const MENDED: [u64; 1] = [189_279];

#[test]
fn seeds_that_broke_a_promise_once_break_none_any_more() {
    for seed in MENDED {
        assert_eq!(run(seed, None, false).0, None, "seed {seed}");
    }
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    let trace = |seed| run(seed, None, true).1.trace;
    for seed in 0..20 {
        assert!(trace(seed) == trace(seed), "seed {seed} tells two stories");
    }
}

/// What the oracle says to a rule that is broken.
const fn reproach(rule: BrokenRule) -> &'static str {
    match rule {
        BrokenRule::EndsOnSilence => "ended without a word of writer",
        BrokenRule::ClosesOverSettled => "before reader",
        BrokenRule::EndsAtStatedEnds | BrokenRule::CommitsAhead => "ended without record",
        BrokenRule::IgnoresRefusal => "goes on with",
        BrokenRule::SendsBeforeReadiness => "was sent before reader",
        BrokenRule::ClosesWithoutReplicas => "was deleted before it was committed",
        BrokenRule::StopsBeforeAcknowledged => "was there",
        BrokenRule::DecidesBeforeHistory => "no run is complete",
        BrokenRule::TakesWithoutChallenge => "was established twice at a time",
        BrokenRule::WaitsForever => "do not end",
        BrokenRule::EndsUnheard => "ended well, but nobody knows",
        BrokenRule::AdvancesAhead | BrokenRule::SettlesEarly => "was there",
        BrokenRule::FencesItselfOnly => "commits over what another has committed",
        BrokenRule::IgnoresCounts
        | BrokenRule::OverhearsLeftovers
        | BrokenRule::ReadsLeftovers
        | BrokenRule::DeletesUnderPlainWriters => "nothing, where nobody is plain",
    }
}

#[test]
fn the_oracle_catches_each_rule_that_is_broken_on_purpose() {
    for rule in BrokenRule::ALL {
        let catches = |seed: &u64| {
            run(*seed, Some(rule), false)
                .0
                .is_some_and(|said| said.contains(reproach(rule)))
        };
        let seed = (0..2000)
            .find(catches)
            .unwrap_or_else(|| panic!("nobody noticed {rule:?}"));
        println!(
            "{rule:?} is caught by seed {seed}: {:?}",
            run(seed, Some(rule), false).0
        );
    }
}
