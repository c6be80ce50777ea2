//! Backpressure and the length of records.

use std::time::Duration;

use tokio::time::Instant;

use super::super::raw::{Lengths, LongRecords};
use super::super::site::Site;
use super::super::stage::{DEADLINE, Execution, Stage};

/// A writer that has sent nothing for so long stands still.
const STILL: Duration = Duration::from_secs(1);

/// How many records the writer stops at: as many as it had sent a second before.
async fn stands_still(stage: &Stage) -> u64 {
    let mut seen = (0, Instant::now());
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let begin = Instant::now();
    while seen.0 == 0 || seen.1.elapsed() < STILL {
        assert!(
            begin.elapsed() < DEADLINE,
            "the writer neither ends nor waits: {seen:?}"
        );
        looks.tick().await;
        let sent = stage.sent("source@0").unwrap_or(0);
        if sent != seen.0 {
            seen = (sent, Instant::now());
        }
    }
    seen.0
}

/// Proves: a writer that is faster than its reader waits where records live in the process, and goes on otherwise; with a
/// small buffer nothing is lost, doubled or out of order.
pub async fn a_fast_writer_waits_for_a_slow_reader_and_nothing_is_lost(site: &Site) {
    let count = 40_000;
    let stage = Stage::new(site, "slow", |setup| {
        (setup.count, setup.batch, setup.padding) = (count, 100, 200);
        setup.buffer_bytes = Some(64 * 1024);
        setup.sink_waits = true;
    });
    let run = stage.run();
    let sent = stands_still(&stage).await;
    assert!(
        sent < count || !site.is_volatile(),
        "all {count} records were sent, and none was read: nothing bounds what waits"
    );
    stage.open("read");
    run.ends(0).await;
    let ledger = stage.ledger();
    ledger.exactly_once("sink", &["source@0"], count);
    ledger.in_order("sink");
}

/// Proves: what waits in a process is bounded: 64 MiB that are not read leave a reader's process with a buffer of 1 MiB small.
pub async fn a_reader_that_stands_still_keeps_its_process_small(site: &Site) {
    const RECORDS: u64 = 16 * 1024;
    const BUFFER: usize = 1024 * 1024;
    let stage = Stage::new(site, "still", |setup| {
        (setup.count, setup.batch, setup.padding) = (RECORDS, 100, 4096);
        setup.buffer_bytes = Some(BUFFER);
        setup.sink_waits = true;
    });
    let sink = stage.process(&["sink"]);
    stage.until_ready("sink@0").await;
    let before = sink.resident_bytes();
    let source = stage.run_only(&["source"]);
    stands_still(&stage).await;
    let grown = sink.resident_bytes().saturating_sub(before);
    assert!(
        grown < 16 * BUFFER as u64,
        "the reader's process grew by {grown} bytes with a buffer of {BUFFER}"
    );
    stage.open("read");
    source.ends(0).await;
    sink.ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], RECORDS);
}

/// Proves: a record of exactly `maxRecordBytes`, here 10 MiB, passes, and so does one without a byte; one that is a byte longer
/// is refused before anything of its batch is sent.
pub async fn a_record_as_long_as_the_limit_passes_and_a_byte_more_is_refused(site: &Site) {
    const LIMIT: usize = 10 * 1024 * 1024;
    let stage = Stage::new(site, "long", |_| {});
    let mut pipeline = stage.setup.empty();
    pipeline.set_parameter(">>maxRecordBytes", LIMIT);
    let source = pipeline.operator::<LongRecords>("source").limit(LIMIT);
    // With two destinations records are encoded in memory, too: otherwise they would move, whatever their length.
    for name in ["left", "right"] {
        let lengths = pipeline
            .operator::<Lengths>(name)
            .folder(stage.folder().to_owned());
        pipeline.connect(source.output(), lengths.input());
    }
    Execution::start(pipeline, "long records".to_owned(), None)
        .ends(0)
        .await;
    for name in ["left", "right"] {
        stage.ledger().are(name, &[0, LIMIT as u64, 1]);
    }
}
