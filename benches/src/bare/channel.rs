//! A bounded tokio channel alone, with the batches that ours has.

use std::time::{Duration, Instant};

/// How many batches the channel holds: as many records as a memory channel's default.
const BATCHES: usize = 100;

/// The time between the first and the last arrival of records in batches.
pub async fn run(records: usize, bytes: usize, batch: usize) -> Duration {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<Vec<u8>>>(BATCHES);
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
