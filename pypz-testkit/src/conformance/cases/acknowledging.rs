//! What a reader acknowledges to a writer.

use std::time::Duration;

use super::super::setup::{How, Shape};
use super::super::site::Site;
use super::super::stage::Stage;

/// Proves: what two writers are told to be acknowledged has been processed, whichever of four replicas got it.
pub async fn writers_go_on_when_what_they_sent_is_processed(site: &Site) {
    let stage = Stage::new(site, "agreed", |setup| {
        setup.shape = Shape::Agreed;
        (setup.writers, setup.readers, setup.count, setup.batch) = (2, 4, 120, 11);
    });
    stage.run().ends(0).await;
    stage
        .ledger()
        .exactly_once("sink", &["source@0", "source@1"], 120);
}

/// Proves: a broadcast is acknowledged when every replica has processed it, and by key when the replica of each key has.
pub async fn every_replica_of_a_broadcast_has_to_acknowledge(site: &Site) {
    for how in [How::ToAll, How::ByKey(5)] {
        let stage = Stage::new(site, "agreed", |setup| {
            (setup.shape, setup.how) = (Shape::Agreed, how);
            (setup.writers, setup.readers, setup.count, setup.batch) = (2, 3, 60, 20);
        });
        stage.run().ends(0).await;
        let ledger = stage.ledger();
        match how {
            How::ToAll => ledger.exactly_once_at_each("sink", 3, &["source@0", "source@1"], 60),
            How::InTurn | How::ByKey(_) => ledger.exactly_once("sink", &["source@0", "source@1"], 60),
        }
    }
}

/// Proves: a record that was read is not acknowledged before its operator says so.
pub async fn what_was_only_read_is_not_acknowledged(site: &Site) {
    let stage = Stage::new(site, "agreed", |setup| {
        (setup.shape, setup.sink_waits) = (Shape::Agreed, true);
        (setup.count, setup.batch) = (10, 10);
    });
    stage.run().ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], 10);
}

/// Proves: a writer whose reader acknowledges nothing ends with a deadline that names the reader, though that is alive.
pub async fn a_reader_that_never_acknowledges_is_named(site: &Site) {
    let stage = Stage::new(site, "agreed", |setup| {
        setup.shape = Shape::AgreedNever;
        (setup.count, setup.batch, setup.patience) = (10, 10, Duration::from_secs(4));
    });
    let words = stage.run().ends(124).await;
    for part in [
        "readers to acknowledge what was sent",
        &format!("{}.sink.input", stage.setup.name),
    ] {
        assert!(words.contains(part), "{words} lacks {part}");
    }
    if !site.is_volatile() {
        stage.clean_up().await;
    }
}

/// Proves: what a replica had in hand when it was killed is acknowledged by whoever processes it then, and not before.
pub async fn what_a_killed_replica_had_in_hand_is_acknowledged_by_another(site: &Site) {
    let stage = Stage::new(site, "agreed", |setup| {
        (setup.shape, setup.sink_waits) = (Shape::Agreed, true);
        (setup.count, setup.batch) = (30, 10);
    });
    let source = stage.process(&["source"]);
    let mut sink = stage.process(&["sink"]);
    stage.until_arrived("sink", 1).await;
    sink.kill();
    let again = stage.process(&["sink"]);
    source.ends(0).await;
    again.ends(0).await;
    stage.ledger().at_least_once("sink", &["source@0"], 30);
}
