//! Many starts.

use std::time::{Duration, Instant};

use super::super::setup::Shape;
use super::super::site::Site;
use super::super::stage::Stage;

/// How many starts there are: `PYPZ_TEST_STARTS`, or 20.
pub(in super::super) fn starts() -> u32 {
    std::env::var("PYPZ_TEST_STARTS").map_or(20, |starts| {
        starts
            .parse()
            .unwrap_or_else(|_| panic!("PYPZ_TEST_STARTS is no number: {starts}"))
    })
}

/// Proves: the parts of a pipeline find each other in any start order, and all of them end.
///
/// Prints how long they take, from the start of the last part to the end of all.
pub async fn many_starts_in_any_order_all_end(site: &Site) {
    let mut times = Vec::new();
    for start in 0..starts() {
        let stage = Stage::new(site, "starts", |setup| {
            setup.shape = Shape::Chain;
            (setup.readers, setup.count) = (2, 100);
        });
        // The random part of the name decides the order and the pauses, and the name is in every message of a failure.
        let mut random = random(&stage.setup.name);
        let mut parts = ["source", "relay", "sink", "audit"];
        for last in (1..parts.len()).rev() {
            let other = usize::try_from(random()).unwrap_or_default() % (last + 1);
            parts.swap(last, other);
        }
        let (mut executions, mut last) = (Vec::new(), Instant::now());
        for part in parts {
            last = Instant::now();
            executions.push(stage.run_only(&[part]));
            tokio::time::sleep(Duration::from_millis(random() % 100)).await;
        }
        for execution in executions {
            execution.ends(0).await;
        }
        times.push(last.elapsed());
        let ledger = stage.ledger();
        for sink in ["sink", "audit"] {
            assert_eq!(ledger.count(sink), 100, "start {start}, in the order {parts:?}");
            ledger.exactly_once(sink, &["source@0"], 100);
        }
    }
    times.sort_unstable();
    let last = times.last().copied().unwrap_or_default();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(last);
    eprintln!(
        "{} starts at {}: p50 {:.2?}, p99 {:.2?}, longest {:.2?}",
        times.len(),
        site.location().split('@').next_back().unwrap_or_default(),
        at(50),
        at(99),
        last
    );
}

/// Numbers that look random, the same for the same text (splitmix64).
fn random(text: &str) -> impl FnMut() -> u64 {
    let mut state = text.bytes().fold(7_u64, |state, byte| {
        state.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
