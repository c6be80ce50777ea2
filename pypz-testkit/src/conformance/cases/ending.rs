//! How runs end: by proof, never by silence.

use std::sync::Arc;
use std::time::Duration;

use pypz::channel::{Connection, StartAt};
use pypz::protocol::MemberId;

use super::super::setup::{Purpose, Shape};
use super::super::site::Site;
use super::super::stage::{DEADLINE, Stage};
use crate::bare;

async fn a_run_ends(site: &Site, count: u64) {
    let stage = Stage::new(site, "ends", |setup| {
        (setup.readers, setup.count, setup.batch) = (2, count, 100);
    });
    stage.run().ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], count);
}

/// Proves: a run in which nothing is sent ends by itself with exit 0.
pub async fn a_run_without_records_ends(site: &Site) {
    a_run_ends(site, 0).await;
}

/// Proves: a run of one record ends by itself, also for the replica that gets none.
pub async fn a_run_of_one_record_ends(site: &Site) {
    a_run_ends(site, 1).await;
}

/// Proves: a run ends by itself when all is read, 999 records.
pub async fn a_run_of_999_records_ends(site: &Site) {
    a_run_ends(site, 999).await;
}

/// Proves: a run ends by itself when all is read, 10,000 records.
pub async fn a_run_of_10000_records_ends(site: &Site) {
    a_run_ends(site, 10_000).await;
}

/// Proves: silence is never an end: a writer that sends nothing for longer than the patience is neither lost nor done.
pub async fn a_writer_that_is_silent_for_longer_than_the_patience_is_not_at_its_end(site: &Site) {
    let stage = Stage::new(site, "silent", |setup| {
        (setup.readers, setup.count, setup.batch) = (2, 20, 10);
        setup.patience = setup.patience.min(Duration::from_secs(5));
        setup.pause = setup.patience + Duration::from_secs(2);
    });
    stage.run().ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], 20);
}

/// Proves: the end goes from the writers through the operators between to the last readers, and behind all records.
pub async fn a_chain_ends_after_its_last_writer(site: &Site) {
    let stage = Stage::new(site, "chain", |setup| {
        setup.shape = Shape::Chain;
        (setup.readers, setup.count, setup.batch) = (2, 3_000, 100);
    });
    stage.run().ends(0).await;
    for sink in ["sink", "audit"] {
        stage.ledger().exactly_once(sink, &["source@0"], 3_000);
    }
}

/// Proves: after a run that ended well the next one of the same name finds nothing of it.
pub async fn a_second_run_of_the_same_name_begins_anew(site: &Site) {
    let first = Stage::new(site, "again", |setup| setup.readers = 2);
    first.run().ends(0).await;
    first.ledger().exactly_once("sink", &["source@0"], 100);
    let second = Stage::new(site, "again", |setup| {
        setup.readers = 2;
        setup.name.clone_from(&first.setup.name);
    });
    second.run().ends(0).await;
    second.ledger().exactly_once("sink", &["source@0"], 100);
}

/// Proves: where nothing is deleted the next run of the same name reads its own records only.
pub async fn a_run_that_deletes_nothing_leaves_nothing_to_the_next(site: &Site) {
    let first = Stage::new(site, "kept", |setup| {
        (setup.readers, setup.purpose) = (2, Purpose::Keep);
    });
    first.run().ends(0).await;
    first.ledger().exactly_once("sink", &["source@0"], 100);
    let second = Stage::new(site, "kept", |setup| {
        setup.readers = 2;
        setup.name.clone_from(&first.setup.name);
    });
    second.run().ends(0).await;
    second.ledger().exactly_once("sink", &["source@0"], 100);
}

/// Proves: a drain in the middle ends with exit 143. Where records are lost with the process, all that was sent is read
/// before; where they are kept, a start of the same pipeline reads what is left.
pub async fn a_drain_ends_with_143_and_loses_nothing_that_cannot_be_read_again(site: &Site) {
    let stage = Stage::new(site, "drain", |setup| {
        (setup.readers, setup.count, setup.hold_at) = (2, 1_000, Some(500));
    });
    let run = stage.run();
    stage.until_arrived("sink", 100).await;
    run.drain();
    run.ends(143).await;
    if site.is_volatile() {
        let sent = stage.sent("source@0").unwrap_or(0);
        stage.ledger().exactly_once("sink", &["source@0"], sent);
    } else {
        stage.open("go");
        stage.run().ends(0).await;
        stage.ledger().at_least_once("sink", &["source@0"], 1_000);
    }
}

/// Proves: where nothing is to be handed out before all writers have finished, nothing is, and everything after.
pub async fn a_sequential_input_begins_when_its_writers_have_finished(site: &Site) {
    let stage = Stage::new(site, "sequential", |setup| {
        (setup.shape, setup.sequential) = (Shape::FanOut, true);
        (setup.count, setup.hold_at) = (100, Some(60));
    });
    let run = stage.run();
    stage.until_arrived("right", 60).await;
    assert_eq!(stage.ledger().count("left"), 0, "the writer has not finished");
    stage.open("go");
    run.ends(0).await;
    for sink in ["left", "right"] {
        stage.ledger().exactly_once(sink, &["source@0"], 100);
    }
}

/// Proves: a reader that was at its end reads on if a writer in pypz-python that had stopped sends again, and finds the new end.
pub async fn an_end_that_was_reached_moves_when_a_writer_comes_back(site: &Site) {
    let stage = Stage::new(site, "moves", |_| {});
    let mut spec = stage.channel();
    spec.local_readers = vec![0];
    // It is of pypz-python: one of ours has sent all when it has stopped.
    Arc::make_mut(&mut spec.layout).foreign = [MemberId::writer(0)].into();
    let channel = Arc::new(spec);
    let connection = bare::connect(&channel).await;
    let mut reader = connection
        .reader(&channel, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut writer = connection
        .writer(&channel, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let ready = async {
        reader.create_resources().await?;
        reader.open(StartAt::Committed).await?;
        writer.open().await
    };
    ready.await.unwrap_or_else(|error| panic!("{error}"));
    bare::write(writer.as_mut(), &["one", "two"]).await;
    assert_eq!(bare::read_to_the_end(reader.as_mut()).await, ["one", "two"]);
    bare::write(writer.as_mut(), &["three"]).await;
    let readable = tokio::time::timeout(DEADLINE, reader.readable()).await;
    assert!(readable.is_ok(), "what was sent behind the end does not come");
    assert_eq!(bare::read_to_the_end(reader.as_mut()).await, ["three"]);
    writer.close().await;
    reader.close().await;
    let deleted = async {
        reader.skip_to_end().await?;
        reader.delete_resources().await
    };
    deleted.await.unwrap_or_else(|error| panic!("{error}"));
    connection.close().await;
}

/// Proves: what a reader had in hand when it closed is read by the next of the same replica, though its process lives on.
pub async fn what_a_closed_reader_had_in_hand_is_read_by_the_next(site: &Site) {
    let stage = Stage::new(site, "next", |_| {});
    let mut spec = stage.channel();
    spec.local_readers = vec![0];
    let channel = Arc::new(spec);
    let (first, second) = (bare::connect(&channel).await, bare::connect(&channel).await);
    let open = |connection: &Arc<dyn Connection>| {
        connection
            .reader(&channel, 0)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let (mut closed, mut next) = (open(&first), open(&second));
    let mut writer = first
        .writer(&channel, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let ready = async {
        closed.create_resources().await?;
        closed.open(StartAt::Committed).await?;
        writer.open().await
    };
    ready.await.unwrap_or_else(|error| panic!("{error}"));
    bare::write(writer.as_mut(), &["one", "two"]).await;
    closed.readable().await;
    closed.close().await;
    let opened = next.open(StartAt::Committed).await;
    opened.unwrap_or_else(|error| panic!("{error}"));
    let texts = tokio::time::timeout(DEADLINE, bare::read_to_the_end(next.as_mut())).await;
    let texts = texts.unwrap_or_else(|_| panic!("the next reader does not come to its end"));
    assert_eq!(texts, ["one", "two"]);
    writer.close().await;
    next.close().await;
    let deleted = async {
        next.skip_to_end().await?;
        next.delete_resources().await
    };
    deleted.await.unwrap_or_else(|error| panic!("{error}"));
    futures::join!(first.close(), second.close());
}
