//! What readers hear of a writer that does not come to its end.

use std::time::Duration;

use super::super::operators::FAILURE;
use super::super::raw::{Elsewhere, Poisoned};
use super::super::site::Site;
use super::super::stage::{Execution, Stage};

/// Proves: the first failure of a process is its exit code, with the operator and its words. Where records are lost with the
/// process, all that was sent before is read.
pub async fn a_failure_is_the_runs_with_its_words(site: &Site) {
    let stage = Stage::new(site, "fails", |setup| {
        (setup.readers, setup.fail_at) = (2, Some(50));
    });
    let words = stage.run().ends(115).await;
    assert!(words.contains(".source") && words.contains(FAILURE), "{words}");
    if site.is_volatile() {
        stage.ledger().exactly_once("sink", &["source@0"], 50);
    } else {
        stage.clean_up().await;
    }
}

/// Proves: a failed writer tells its readers, who process everything that it had sent and then fail with its words.
pub async fn readers_of_a_failed_writer_read_what_it_sent_then_fail_with_its_words(site: &Site) {
    let stage = Stage::new(site, "failed", |setup| {
        (setup.readers, setup.count, setup.batch) = (2, 6_000, 100);
        (setup.fail_at, setup.sink_waits) = (Some(5_000), true);
        // Most of it is not in the reader's process when it hears of the failure.
        (setup.padding, setup.buffer_bytes) = (200, Some(64 * 1024));
    });
    let source = stage.run_only(&["source"]);
    let sinks = ["sink@0", "sink@1"].map(|sink| stage.run_only(&[sink]));
    source.ends(115).await;
    // Only now they read, and the failure is there before the records.
    stage.open("read");
    for sink in sinks {
        let words = sink.ends(120).await;
        assert!(words.contains(".source") && words.contains(FAILURE), "{words}");
    }
    stage.ledger().exactly_once("sink", &["source@0"], 5_000);
    // They committed what they processed: nothing is unread, so this may delete it.
    stage.delete().await;
}

/// Proves: a writer that vanishes is lost after the patience. Its readers process what it sent, name it, and keep the data;
/// a start of everything goes on.
pub async fn a_killed_writer_is_lost_by_name_and_what_it_sent_is_kept(site: &Site) {
    let stage = Stage::new(site, "lost", |setup| {
        (setup.readers, setup.hold_at) = (2, Some(60));
    });
    let mut source = stage.process(&["source"]);
    let sink = stage.run_only(&["sink"]);
    stage.until_arrived("sink", 60).await;
    source.kill();
    let words = sink.ends(120).await;
    assert!(words.contains(".source.output was lost"), "{words}");
    stage.ledger().exactly_once("sink", &["source@0"], 60);
    stage.open("go");
    stage.run().ends(0).await;
    stage.ledger().at_least_once("sink", &["source@0"], 100);
}

/// Proves: whoever waits for a peer that never comes ends with exit 124 after the patience, and names it.
pub async fn a_writer_that_never_comes_is_a_deadline_by_name(site: &Site) {
    let stage = Stage::new(site, "never", |setup| {
        (setup.readers, setup.patience) = (2, Duration::from_secs(3));
    });
    let words = stage.run_only(&["sink"]).ends(124).await;
    assert!(words.contains(".source.output"), "{words}");
    stage.delete().await;
}

/// Proves: at most one process holds a replica. Of two with the same one the other is refused with exit 122; the run goes on.
pub async fn of_two_executions_of_one_replica_one_is_refused(site: &Site) {
    let stage = Stage::new(site, "twins", |setup| setup.hold_at = Some(60));
    let [one, other] = [stage.run_only(&["sink"]), stage.run_only(&["sink"])];
    let source = stage.run_only(&["source"]);
    // The run cannot end before one of the two has: whoever comes late finds it held.
    let first = futures::future::select(Box::pin(one.ended()), Box::pin(other.ended()));
    let ((code, words), holder) = first.await.factor_first();
    assert_eq!(code, 122, "{words}");
    assert!(words.contains("is run by host"), "{words}");
    stage.open("go");
    let (code, words) = holder.await;
    assert_eq!(code, 0, "{words}");
    source.ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], 100);
}

/// Runs five items, bytes that are none, and five more items to a sink, until the writer is done.
async fn poisoned(stage: &Stage) -> Execution {
    let mut writing = stage.setup.empty();
    let source = writing.operator::<Poisoned>("source").items(5);
    let sink = writing.operator::<Elsewhere>("sink");
    writing.connect(source.output(), sink.input());
    let reading = stage.run_only(&["sink"]);
    Stage::run_only_of(writing, &["source"]).ends(0).await;
    reading
}

/// Proves: bytes that do not decode end their reader with exit 121 and their place; what came before is processed.
pub async fn a_record_that_does_not_decode_is_named_by_its_place(site: &Site) {
    let stage = Stage::new(site, "poison", |_| {});
    let words = poisoned(&stage).await.ends(121).await;
    let place = match site.shares_in_turn() {
        true => "partition 0, offset 5",
        false => "partition 0, offset ",
    };
    let channel = format!("{}.sink.input", stage.setup.name);
    assert!(words.contains(place) && words.contains(&channel), "{words}");
    stage.ledger().exactly_once("sink", &["source@0"], 5);
    // The record stands in the way of any reader until the run is given up.
    stage.run_only(&["sink"]).ends(121).await;
    stage.clean_up().await;
}

/// Proves: where `onPoison` says `skip`, bytes that do not decode are left out and everything else is processed.
pub async fn a_record_that_does_not_decode_is_left_out_where_that_is_the_policy(site: &Site) {
    let stage = Stage::new(site, "skipped", |setup| setup.on_poison = Some("skip".to_owned()));
    poisoned(&stage).await.ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], 10);
}

/// Proves: where `onPoison` says `dead-letter`, bytes that do not decode keep nothing else from being processed, and a run that
/// was stopped at them by the default goes on. What lies among the dead letters then, only a client of the broker can tell.
pub async fn a_run_that_poison_stopped_goes_on_with_dead_letters(site: &Site) {
    let stage = Stage::new(site, "letters", |_| {});
    poisoned(&stage).await.ends(121).await;
    let mut mended = stage.setup.clone();
    mended.on_poison = Some("dead-letter".to_owned());
    Stage::run_only_of(mended.pipeline(), &["sink"]).ends(0).await;
    let ledger = stage.ledger();
    ledger.at_least_once("sink", &["source@0"], 10);
}
