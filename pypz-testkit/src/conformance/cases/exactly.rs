//! With transactions every record counts once, whatever happens to those who hand it on.

use std::time::Duration;

use tokio::sync::Mutex;

use super::super::setup::{How, Setup, Shape};
use super::super::site::Site;
use super::super::stage::{Execution, PartProcess, Stage};

/// As in the cases of restarts.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// How many records the source sends.
const COUNT: u64 = 1_200;

/// Before which record it waits for the gate, so that nobody is done before the last disturbance is over.
const HELD_AT: u64 = 1_000;

/// `source` → `relay` → `sink`, paced so that there is time to disturb it.
fn stage(site: &Site, stem: &str, change: impl FnOnce(&mut Setup)) -> Stage {
    Stage::new(site, stem, |setup| {
        (setup.shape, setup.exactly_once) = (Shape::Relayed, true);
        (setup.count, setup.batch, setup.pause) = (COUNT, 10, Duration::from_millis(10));
        change(setup);
    })
}

/// The same, with a source that waits before its last records. A relay may be killed twice before it is back in its place,
/// which takes it a challenge each time: nobody is lost by that.
fn held(site: &Site, stem: &str, relays: u32) -> Stage {
    stage(site, stem, |setup| {
        (setup.hold_at, setup.relays) = (Some(HELD_AT), relays);
        setup.patience *= 3;
    })
}

/// Those who are never disturbed, so that what they see is what counts.
fn witnesses(stage: &Stage) -> [Execution; 2] {
    [stage.run_only(&["source"]), stage.run_only(&["sink"])]
}

async fn all_end(stage: &Stage, witnesses: [Execution; 2], relays: Vec<PartProcess>) {
    // What a witness says is the cause, should the relays fail, too.
    for witness in witnesses {
        witness.ends(0).await;
    }
    for relay in relays {
        relay.ends(0).await;
    }
    stage.ledger().exactly_once("sink", &["source@0"], COUNT);
}

/// Proves: undisturbed, transactions lose, double and disorder nothing, and the run ends and is deleted.
pub async fn a_pipeline_in_one_process_gives_every_record_once_in_order(site: &Site) {
    let stage = stage(site, "once", |setup| setup.pause = Duration::ZERO);
    stage.run().ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], COUNT);
    stage.ledger().in_order("sink");
    stage.run().ends(0).await;
}

/// Proves: positions of broadcast readers and records to several channels belong to the transaction, too.
pub async fn a_broadcast_and_an_operator_with_two_outputs_give_every_record_once(site: &Site) {
    let chain = stage(site, "onces", |setup| {
        (setup.shape, setup.pause) = (Shape::Chain, Duration::ZERO);
    });
    chain.run().ends(0).await;
    chain.ledger().exactly_once("sink", &["source@0"], COUNT);
    chain.ledger().exactly_once("audit", &["source@0"], COUNT);
    let broadcast = stage(site, "onceall", |setup| {
        (setup.how, setup.relays, setup.pause) = (How::ToAll, 2, Duration::ZERO);
    });
    broadcast.run().ends(0).await;
    let ledger = broadcast.ledger();
    assert_eq!(
        ledger.count("sink") as u64,
        2 * COUNT,
        "both relays hand on every record"
    );
}

/// Proves: kill -9 in the middle of transactions, again and again, doubles and loses nothing, and keeps the order.
pub async fn a_relay_that_is_killed_again_and_again_doubles_nothing(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = held(site, "killed", 1);
    let witnesses = witnesses(&stage);
    let mut relay = stage.process(&["relay"]);
    for arrived in [150, 400, 650, 900] {
        stage.until_arrived("sink", arrived).await;
        relay.kill();
        relay = stage.process(&["relay"]);
    }
    stage.open("go");
    all_end(&stage, witnesses, vec![relay]).await;
    stage.ledger().in_order("sink");
}

/// Proves: a source that says where it is is started again behind the last record that counts.
pub async fn a_source_that_is_killed_goes_on_where_it_was(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = held(site, "origin", 1);
    let others = stage.run_only(&["relay", "sink"]);
    let mut source = stage.process(&["source"]);
    for arrived in [200, 500, 800] {
        stage.until_arrived("sink", arrived).await;
        source.kill();
        source = stage.process(&["source"]);
    }
    stage.open("go");
    source.ends(0).await;
    others.ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], COUNT);
    stage.ledger().in_order("sink");
}

/// Proves: the transactions of replicas that lived together are fenced when they are started again apart, and the other
/// way round.
pub async fn replicas_that_move_to_other_processes_double_nothing(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = held(site, "moved", 2);
    let witnesses = witnesses(&stage);
    let mut together = stage.process(&["relay"]);
    stage.until_arrived("sink", 200).await;
    together.kill();
    let mut apart = ["relay@0", "relay@1"].map(|relay| stage.process(&[relay]));
    stage.until_arrived("sink", 600).await;
    for relay in &mut apart {
        relay.kill();
    }
    stage.open("go");
    all_end(&stage, witnesses, vec![stage.process(&["relay"])]).await;
}

/// Proves: a process that is stopped for longer than the challenge and replaced cannot add to what its replacement did, and
/// learns that it was replaced.
pub async fn a_relay_that_was_frozen_and_replaced_doubles_nothing(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = held(site, "frozen", 1);
    let witnesses = witnesses(&stage);
    let frozen = stage.process(&["relay"]);
    stage.until_arrived("sink", 300).await;
    frozen.freeze(true);
    let replacement = stage.process(&["relay"]);
    // The run goes on without it, and cannot end before it wakes up.
    stage.until_arrived("sink", 1_000).await;
    frozen.freeze(false);
    let words = frozen.ends(116).await;
    assert!(words.contains("fenced by a newer instance"), "{words}");
    stage.open("go");
    all_end(&stage, witnesses, vec![replacement]).await;
    stage.ledger().in_order("sink");
}

/// Proves: what an operator has sent in a call that then fails never counts, so its next start doubles nothing.
pub async fn a_relay_that_fails_has_not_sent_what_it_had_not_finished(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = stage(site, "failed", |setup| setup.relay_fails_at = Some(300));
    let witnesses = witnesses(&stage);
    let words = stage.process(&["relay"]).ends(115).await;
    assert!(words.contains("had enough"), "{words}");
    let [source, sink] = witnesses;
    source.ends(0).await;
    sink.ends(120).await;
    stage.open("mended");
    stage.run().ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], COUNT);
}

/// Proves: SIGTERM commits what is finished, and the next start goes on behind it.
pub async fn a_drained_relay_goes_on_and_doubles_nothing(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = held(site, "drained", 1);
    let witnesses = witnesses(&stage);
    let relay = stage.process(&["relay"]);
    stage.until_arrived("sink", 300).await;
    relay.terminate();
    relay.ends(143).await;
    stage.open("go");
    all_end(&stage, witnesses, vec![stage.process(&["relay"])]).await;
    stage.ledger().in_order("sink");
}

/// Proves: a call that does not return holds nobody up for longer than the patience: its transaction comes to nothing, and a
/// new operator makes up for it in the same process, from what is committed.
pub async fn a_call_that_does_not_return_is_begun_again_in_the_same_process(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = stage(site, "still", |setup| {
        (setup.relays, setup.relay_still_at) = (2, Some(400));
    });
    let witnesses = witnesses(&stage);
    let relays = stage.process(&["relay"]);
    all_end(&stage, witnesses, vec![relays]).await;
    assert!(
        stage.folder().join("still.400").exists(),
        "no relay ever stood still"
    );
}
