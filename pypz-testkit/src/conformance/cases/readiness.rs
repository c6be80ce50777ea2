//! When writers begin.

use std::time::Duration;

use super::super::setup::{How, Shape};
use super::super::site::Site;
use super::super::stage::Stage;

/// For how long it is watched that a writer does not send.
const WATCHED: Duration = Duration::from_millis(1_500);

async fn sends_nothing(stage: &Stage) {
    let sent = stage.until("it sent", |stage| stage.sent("source@0").is_some());
    assert!(
        tokio::time::timeout(WATCHED, sent).await.is_err(),
        "the writer sent before all readers were positioned"
    );
}

/// Proves: a writer sends its first record when every reader of every channel that it writes is positioned.
pub async fn nothing_is_sent_before_the_last_reader_is_positioned(site: &Site) {
    let stage = Stage::new(site, "ready", |setup| {
        setup.shape = Shape::Late;
        (setup.readers, setup.count) = (3, 300);
    });
    let run = stage.run();
    for sink in ["sink@0", "sink@1", "sink@2"] {
        stage.until_ready(sink).await;
    }
    sends_nothing(&stage).await;
    stage.open("late");
    run.ends(0).await;
    for sink in ["sink", "late"] {
        stage.ledger().exactly_once(sink, &["source@0"], 300);
    }
}

async fn a_replica_comes_late(site: &Site, how: How) -> Stage {
    let stage = Stage::new(site, "late", |setup| {
        (setup.readers, setup.count, setup.how) = (2, 200, how);
    });
    let early = stage.run_only(&["source", "sink@0"]);
    stage.until_ready("sink@0").await;
    sends_nothing(&stage).await;
    let late = stage.run_only(&["sink@1"]);
    early.ends(0).await;
    late.ends(0).await;
    stage
}

/// Proves: no record is lost and none is given to others because a replica comes late.
pub async fn a_replica_that_comes_late_gets_its_share(site: &Site) {
    let stage = a_replica_comes_late(site, How::InTurn).await;
    let ledger = stage.ledger();
    ledger.exactly_once("sink", &["source@0"], 200);
    if site.shares_in_turn() {
        assert_eq!(ledger.shares("sink"), [(0, 100), (1, 100)].into());
    }
}

/// Proves: a broadcast begins when all replicas are there, so that each gets all of it.
pub async fn a_broadcast_waits_for_a_replica_that_comes_late(site: &Site) {
    let stage = a_replica_comes_late(site, How::ToAll).await;
    let ledger = stage.ledger();
    ledger.exactly_once_at_each("sink", 2, &["source@0"], 200);
    ledger.in_order("sink");
}

/// Proves: whoever comes first waits for the others, without a channel being there yet.
pub async fn a_writer_that_comes_first_waits_for_its_readers(site: &Site) {
    let stage = Stage::new(site, "first", |setup| setup.readers = 2);
    let source = stage.run_only(&["source"]);
    sends_nothing(&stage).await;
    let replica = stage.run_only(&["sink@1"]);
    sends_nothing(&stage).await;
    let principal = stage.run_only(&["sink@0"]);
    for execution in [source, replica, principal] {
        execution.ends(0).await;
    }
    stage.ledger().exactly_once("sink", &["source@0"], 100);
}
