//! Replicas, a transactor that keeps transactions in memory and sometimes drops one, and what must be true in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::channel::{ChannelSpec, ChannelWriter, Consumed, Resumed};

/// Records that were sent by each replica.
type Sent = BTreeMap<u32, u64>;

/// A log with transactions.
#[derive(Default)]
struct Log {
    /// In the open transaction.
    open: Sent,
    committed: Sent,
    positions: BTreeMap<u32, u64>,
    commits: u64,
    begun: bool,
}

struct Simulated {
    log: Mutex<Log>,
    /// Every so manieth commit comes to nothing.
    drops: u64,
}

impl Simulated {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
}

#[async_trait]
impl Transactor for Simulated {
    async fn open(
        &self,
        _earlier: &[Vec<u32>],
        _present: &[u32],
        _run: RunId,
    ) -> Result<Resumed, ChannelError> {
        let mut log = self.lock();
        assert!(!log.begun, "a transaction is open already");
        log.begun = true;
        log.open.clear();
        Ok(Resumed::default())
    }

    fn writer(&self, _channel: &Arc<ChannelSpec>) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        unreachable!("replicas of this test write by themselves")
    }

    async fn commit(&self, consumed: &[Consumed], _run: RunId) -> Result<(), ChannelError> {
        // Others run while a commit is on its way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut log = self.lock();
        log.commits += 1;
        if log.commits.is_multiple_of(self.drops) {
            return Err(aborted());
        }
        for (replica, sent) in std::mem::take(&mut log.open) {
            *log.committed.entry(replica).or_default() += sent;
        }
        for consumed in consumed {
            if let Consumed::Input { reader, offset, .. } = consumed {
                log.positions.insert(*reader, *offset);
            }
        }
        // All or nothing is there of what was consumed and what was made of it.
        for (replica, position) in &log.positions {
            let committed = log.committed.get(replica).copied().unwrap_or(0);
            assert_eq!(committed, made_of(*position), "a half transaction was committed");
        }
        Ok(())
    }

    async fn abort(&self) {
        let mut log = self.lock();
        log.open.clear();
        log.begun = false;
    }

    async fn close(&self) {
        self.abort().await;
    }
}

/// How many records are made of so many: of every third one, so that there are calls which send nothing.
const fn made_of(consumed: u64) -> u64 {
    consumed.div_ceil(3)
}

fn aborted() -> ChannelError {
    ChannelError::Aborted {
        operator: "pl.clean".to_owned(),
        reason: "the broker would not".to_owned(),
    }
}

/// A replica that consumes `records`, `batch` in a call, and sends what is made of them.
async fn replica(
    member: RoundMember,
    index: u32,
    log: Arc<Simulated>,
    (records, batch): (u64, u64),
    (done, replicas): (Arc<Semaphore>, u32),
) -> Result<(), ChannelError> {
    'incarnation: loop {
        if member.begin(Vec::new(), RunId::new(1)).await.is_err() {
            member.away();
            continue;
        }
        let mut next = log.lock().positions.get(&index).copied().unwrap_or(0);
        while next < records {
            let end = records.min(next + batch);
            for _ in made_of(next)..made_of(end) {
                if member.enter().await.is_err() {
                    member.away();
                    continue 'incarnation;
                }
                *log.lock().open.entry(index).or_default() += 1;
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(9 + 4 * u64::from(index))).await;
            next = end;
            let consumed = vec![Consumed::Input {
                input: 0,
                reader: index,
                offset: next,
            }];
            if member.checkpoint(consumed).await.is_err() {
                member.away();
                continue 'incarnation;
            }
        }
        match member.commit().await {
            Ok(()) => {
                member.gone();
                // As a principal, which closes its input when all replicas have read theirs.
                done.add_permits(1);
                drop(done.acquire_many(replicas).await.unwrap());
                return Ok(());
            }
            Err(ChannelError::Aborted { .. }) => member.away(),
            Err(error) => return Err(error),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn replicas_commit_together_and_every_record_counts_once_whatever_is_aborted(
        replicas in proptest::collection::vec((1_u64..60, 1_u64..9), 1..6),
        drops in 2_u64..7,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let scope = TransactionScope {
            operator: "pl.clean".to_owned(),
            replicas: (0..).zip(&replicas).map(|(index, _)| (index, format!("pl.clean_{index}"))).collect(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let round = Arc::new(Round::new(scope));
        let log = Arc::new(Simulated { log: Mutex::default(), drops });
        let _ = round.transactor.set(Arc::clone(&log) as Arc<dyn Transactor>);
        runtime.block_on(async {
            let driver = Arc::clone(&round);
            let driver = tokio::spawn(async move { driver.serve().await });
            let done = (Arc::new(Semaphore::new(0)), u32::try_from(replicas.len()).unwrap());
            let members = (0..).zip(&replicas).map(|(index, work)| {
                let member = RoundMember::new(Arc::clone(&round), index);
                tokio::spawn(replica(member, index, Arc::clone(&log), *work, done.clone()))
            });
            let ended = async {
                for member in members.collect::<Vec<_>>() {
                    member.await.unwrap().unwrap();
                }
                driver.await.unwrap();
            };
            // Time passes only where all wait for it: nobody waits for anybody who will not come.
            tokio::time::timeout(Duration::from_secs(3_600), ended).await.unwrap();
        });
        let ends = (0..).zip(&replicas).map(|(index, (records, _))| (index, *records));
        let expected: Sent = ends.clone().map(|(index, records)| (index, made_of(records))).collect();
        prop_assert_eq!(&log.lock().positions, &ends.collect());
        prop_assert_eq!(&log.lock().committed, &expected);
    }
}
