//! Which record goes where.

use super::super::setup::{How, Shape};
use super::super::site::Site;
use super::super::stage::Stage;

/// Proves: round robin gives every record to exactly one of four replicas, and each gets those of one writer in order.
pub async fn round_robin_gives_every_record_to_one_replica(site: &Site) {
    let stage = Stage::new(site, "robin", |setup| {
        (setup.writers, setup.readers, setup.count, setup.batch) = (2, 4, 2_000, 37);
    });
    stage.run().ends(0).await;
    let ledger = stage.ledger();
    ledger.exactly_once("sink", &["source@0", "source@1"], 2_000);
    if site.shares_in_turn() {
        ledger.in_order("sink");
        let shares = ledger.shares("sink");
        assert!(
            shares.len() == 4 && shares.values().all(|share| *share > 0),
            "{shares:?}"
        );
    }
}

/// Proves: of 30 records of one writer four replicas get 8, 8, 7 and 7 where they take turns; where they compete they get 30
/// together.
pub async fn few_records_are_shared_evenly_or_taken_by_whoever_is_free(site: &Site) {
    for batch in [1, 30] {
        let stage = Stage::new(site, "few", |setup| {
            (setup.readers, setup.count, setup.batch) = (4, 30, batch);
        });
        stage.run().ends(0).await;
        let ledger = stage.ledger();
        ledger.exactly_once("sink", &["source@0"], 30);
        if site.shares_in_turn() {
            let mut shares: Vec<usize> = ledger.shares("sink").into_values().collect();
            shares.sort_unstable();
            assert_eq!(shares, [7, 7, 8, 8], "sent {batch} at a time");
        }
    }
}

/// Proves: by key, all records of a key go to one replica, whoever sends them, and there in the order of their writer.
pub async fn records_of_a_key_go_to_one_replica_in_order(site: &Site) {
    let stage = Stage::new(site, "keys", |setup| {
        (setup.writers, setup.readers, setup.count) = (2, 4, 1_300);
        setup.how = How::ByKey(13);
    });
    stage.run().ends(0).await;
    let ledger = stage.ledger();
    ledger.exactly_once("sink", &["source@0", "source@1"], 1_300);
    ledger.by_key("sink", 13);
    ledger.in_order("sink");
}

/// Proves: a broadcast gives every replica every record of each writer once, in order.
pub async fn a_broadcast_gives_every_record_to_every_replica_in_order(site: &Site) {
    let stage = Stage::new(site, "broadcast", |setup| {
        (setup.writers, setup.readers, setup.count) = (2, 3, 1_500);
        setup.how = How::ToAll;
    });
    stage.run().ends(0).await;
    let ledger = stage.ledger();
    ledger.exactly_once_at_each("sink", 3, &["source@0", "source@1"], 1_500);
    ledger.in_order("sink");
}

/// Proves: of an output port that is connected to two input ports each gets every record.
pub async fn an_output_with_two_inputs_gives_each_every_record(site: &Site) {
    let stage = Stage::new(site, "fanout", |setup| {
        setup.shape = Shape::FanOut;
        (setup.readers, setup.count) = (2, 1_000);
    });
    stage.run().ends(0).await;
    let ledger = stage.ledger();
    for sink in ["left", "right"] {
        ledger.exactly_once(sink, &["source@0"], 1_000);
        if site.shares_in_turn() {
            ledger.in_order(sink);
        }
    }
}

const FAN_IN: [&str; 4] = ["first@0", "first@1", "second@0", "second@1"];

/// Proves: an input port that is fed by two output ports with two replicas each gets every record of all four writers.
pub async fn an_input_with_two_outputs_gets_every_record_of_both(site: &Site) {
    let stage = Stage::new(site, "fanin", |setup| {
        setup.shape = Shape::FanIn;
        (setup.writers, setup.readers, setup.count) = (2, 2, 500);
    });
    stage.run().ends(0).await;
    let ledger = stage.ledger();
    ledger.exactly_once("sink", &FAN_IN, 500);
    if site.shares_in_turn() {
        ledger.in_order("sink");
    }
}

/// Proves: a broadcast that is fed by two output ports gives every replica every record of all four writers, in order.
pub async fn a_broadcast_of_two_outputs_reaches_every_replica(site: &Site) {
    let stage = Stage::new(site, "fanall", |setup| {
        setup.shape = Shape::FanIn;
        setup.how = How::ToAll;
        (setup.writers, setup.readers, setup.count) = (2, 2, 300);
    });
    stage.run().ends(0).await;
    let ledger = stage.ledger();
    ledger.exactly_once_at_each("sink", 2, &FAN_IN, 300);
    ledger.in_order("sink");
}
