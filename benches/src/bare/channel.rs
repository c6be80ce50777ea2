//! A bounded tokio channel alone, with the batches that ours has.

use std::time::{Duration, Instant};

/// How many records the channel holds: as many as a memory channel.
const RECORDS: usize = 16_384;

/// The time between the first and the last arrival of records in batches.
pub async fn run(records: usize, bytes: usize, batch: usize) -> Duration {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<Vec<u8>>>((RECORDS / batch).max(1));
    let sent = tokio::spawn(async move {
        for _ in 0..records / batch {
            sender.send(vec![vec![7; bytes]; batch]).await.unwrap();
        }
    });
    let taken = tokio::spawn(async move {
        let (mut first, mut taken) = (None, 0);
        while let Some(batch) = receiver.recv().await {
            first.get_or_insert_with(Instant::now);
            taken += batch.len();
        }
        assert_eq!(taken, records);
        first.map_or(Duration::ZERO, |first| first.elapsed())
    });
    sent.await.unwrap();
    taken.await.unwrap()
}
