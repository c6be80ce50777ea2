//! Counts what the broker has acknowledged, a block of records at a time.
//!
//! The delivery callback runs once a record, so all it does is count; blocks are looked at by whoever asks how far the
//! writer is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Location, WriteProgress};
use pypz_core::protocol::End;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::Notify;

use crate::error::{is_denied, is_missing, words};

/// The most records of a block, unless somebody asks earlier.
const BLOCK_RECORDS: u32 = 1_024;

/// While a block is open its end is not known.
const OPEN: u32 = u32::MAX;

/// Consecutive records of one writer.
pub(crate) struct Block {
    acknowledged: AtomicU32,
    /// How many records it has, once it is sealed.
    target: AtomicU32,
    writer: Weak<Acknowledgements>,
}

/// What one writer wrote and what of it is acknowledged.
pub(crate) struct Acknowledgements {
    location: String,
    channel: String,
    blocks: Mutex<Blocks>,
    partitions: Vec<Partition>,
    in_flight: AtomicU64,
    transactions: Option<InTransactions>,
    failure: OnceLock<Failure>,
    changed: Notify,
}

/// Of a writer whose records count only once their transaction was committed.
struct InTransactions {
    operator: String,
    committed: Mutex<Vec<End>>,
}

/// Why a record was not delivered.
enum Failure {
    Lost(String),
    Denied(String),
    /// The topic is not there any more.
    Missing(String),
}

#[derive(Default)]
struct Partition {
    offset: AtomicU64,
    records: AtomicU64,
}

struct Blocks {
    /// Sealed blocks that are not all acknowledged, then the open one.
    waiting: VecDeque<Arc<Block>>,
    /// How many records the open block has.
    open: u32,
    written: u64,
    /// All records before this one are acknowledged.
    acknowledged: u64,
}

impl Acknowledgements {
    /// `operator` is given if the writer writes in its transactions.
    pub(crate) fn new(spec: &ChannelSpec, operator: Option<String>) -> Arc<Self> {
        Self::made(&spec.location, spec.name(), spec.partitions(), operator)
    }

    fn made(location: &Location, channel: &str, partitions: u32, operator: Option<String>) -> Arc<Self> {
        Arc::new_cyclic(|writer| Self {
            location: location.to_string(),
            channel: channel.to_owned(),
            blocks: Mutex::new(Blocks {
                waiting: VecDeque::from([Block::open(Weak::clone(writer))]),
                open: 0,
                written: 0,
                acknowledged: 0,
            }),
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            in_flight: AtomicU64::new(0),
            transactions: operator.map(|operator| InTransactions {
                operator,
                committed: Mutex::default(),
            }),
            failure: OnceLock::new(),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block that the next records belong to. Tell [`Acknowledgements::wrote`] how many there were.
    pub(crate) fn block(self: &Arc<Self>) -> Arc<Block> {
        let mut blocks = self.lock();
        match blocks.waiting.back() {
            Some(block) if block.target.load(Ordering::Acquire) == OPEN => Arc::clone(block),
            _ => {
                let block = Block::open(Arc::downgrade(self));
                blocks.waiting.push_back(Arc::clone(&block));
                block
            }
        }
    }

    /// Notes records that were handed to the client with the block.
    pub(crate) fn wrote(&self, records: u32) {
        self.in_flight.fetch_add(u64::from(records), Ordering::Relaxed);
        let mut blocks = self.lock();
        blocks.open += records;
        blocks.written += u64::from(records);
        if blocks.open >= BLOCK_RECORDS {
            blocks.seal();
        }
    }

    /// How many records are on their way.
    pub(crate) fn in_flight(&self) -> usize {
        usize::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// The operator in whose transactions the writer writes.
    pub(crate) fn operator(&self) -> Option<&str> {
        self.transactions
            .as_ref()
            .map(|transactions| transactions.operator.as_str())
    }

    /// What was acknowledged until now is committed.
    pub(crate) fn committed(&self) {
        if let Some(transactions) = &self.transactions {
            *transactions
                .committed
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = self.counted();
        }
    }

    fn counted(&self) -> Vec<End> {
        let end = |(partition, counted): (u32, &Partition)| End {
            partition,
            offset: counted.offset.load(Ordering::Acquire),
            records: counted.records.load(Ordering::Acquire),
        };
        (0..)
            .zip(&self.partitions)
            .map(end)
            .filter(|end| end.records > 0)
            .collect()
    }

    /// Fails once a record could not be delivered.
    pub(crate) fn check(&self) -> Result<(), ChannelError> {
        match (self.failure.get(), &self.transactions) {
            (None, _) => Ok(()),
            (Some(Failure::Denied(reason)), _) => Err(ChannelError::Authentication {
                location: self.location.clone(),
                reason: format!("{}: {reason}", self.channel),
            }),
            (Some(Failure::Missing(reason)), _) => Err(ChannelError::Mismatch {
                object: format!("topic {}", self.channel),
                reason: format!(
                    "it was deleted by someone else; {} records are not acknowledged: {reason}",
                    self.in_flight().max(1)
                ),
            }),
            (Some(Failure::Lost(reason)), Some(transactions)) => Err(ChannelError::Aborted {
                operator: transactions.operator.clone(),
                reason: reason.clone(),
            }),
            (Some(Failure::Lost(reason)), None) => Err(ChannelError::Transport {
                channel: self.channel.clone(),
                reason: format!(
                    "{} records are not acknowledged: {reason}",
                    self.in_flight().max(1)
                ),
            }),
        }
    }
}

impl Blocks {
    fn seal(&mut self) {
        if self.open == 0 {
            return;
        }
        if let Some(block) = self.waiting.back() {
            block.target.store(self.open, Ordering::SeqCst);
        }
        self.open = 0;
    }

    /// Takes the blocks out that are all acknowledged.
    fn settle(&mut self) -> u64 {
        while let Some(block) = self.waiting.front() {
            let target = block.target.load(Ordering::SeqCst);
            if target == OPEN || block.acknowledged.load(Ordering::SeqCst) < target {
                break;
            }
            self.acknowledged += u64::from(target);
            self.waiting.pop_front();
        }
        match self.waiting.front() {
            Some(block)
                if self.waiting.len() == 1 && block.acknowledged.load(Ordering::SeqCst) == self.open =>
            {
                self.acknowledged + u64::from(self.open)
            }
            _ => self.acknowledged,
        }
    }
}

impl Block {
    fn open(writer: Weak<Acknowledgements>) -> Arc<Self> {
        Arc::new(Self {
            acknowledged: AtomicU32::new(0),
            target: AtomicU32::new(OPEN),
            writer,
        })
    }

    /// Notes that the broker holds one of its records, at an offset.
    pub(crate) fn acknowledge(&self, partition: i32, offset: i64) {
        let Some(writer) = self.writer.upgrade() else {
            return;
        };
        writer.in_flight.fetch_sub(1, Ordering::Relaxed);
        let partition = usize::try_from(partition).unwrap_or(usize::MAX);
        if let Some(counted) = writer.partitions.get(partition) {
            let behind = u64::try_from(offset).map_or(0, |offset| offset + 1);
            counted.offset.fetch_max(behind, Ordering::Release);
            counted.records.fetch_add(1, Ordering::Release);
        }
        let acknowledged = self.acknowledged.fetch_add(1, Ordering::SeqCst) + 1;
        if acknowledged == self.target.load(Ordering::SeqCst) {
            writer.changed.notify_one();
        }
    }

    /// Notes that one of its records could not be delivered.
    pub(crate) fn refuse(&self, partition: i32, error: &KafkaError) {
        let Some(writer) = self.writer.upgrade() else {
            return;
        };
        let reason = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageTimedOut) => "the broker did not answer in time".to_owned(),
            _ => words(error),
        };
        let reason = format!("partition {partition}: {reason}");
        let _ = writer.failure.set(match error {
            error if is_denied(error) => Failure::Denied(reason),
            error if is_missing(error) => Failure::Missing(reason),
            _ => Failure::Lost(reason),
        });
        writer.changed.notify_one();
    }
}

#[async_trait]
impl WriteProgress for Acknowledgements {
    fn written(&self) -> u64 {
        let mut blocks = self.lock();
        // Whoever asks will wait for exactly these records, so a block ends here.
        blocks.seal();
        blocks.written
    }

    fn acknowledged(&self) -> Result<u64, ChannelError> {
        self.check()?;
        Ok(self.lock().settle())
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    fn ends(&self) -> Vec<End> {
        match &self.transactions {
            None => self.counted(),
            Some(transactions) => transactions
                .committed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn acknowledge(block: &Arc<Block>) {
        block.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    proptest! {
        #[test]
        fn acknowledged_is_the_longest_prefix_whatever_the_order_of_acknowledgements(
            // Each step writes records, asks (which ends a block) or not, and acknowledges some of what is open, anywhere.
            steps in proptest::collection::vec((0_u32..600, any::<bool>(), proptest::collection::vec(any::<usize>(), 0..400)), 1..30),
        ) {
            let acknowledgements = Acknowledgements::made(&Location::memory(), "pl.r.in", 1, None);
            let mut open: Vec<(u64, Arc<Block>)> = Vec::new();
            let mut written = 0_u64;
            let mut asked = vec![0_u64];
            for (records, asks, picks) in steps {
                if records > 0 {
                    let block = acknowledgements.block();
                    open.extend((0..u64::from(records)).map(|n| (written + n, Arc::clone(&block))));
                    acknowledgements.wrote(records);
                    written += u64::from(records);
                }
                if asks {
                    asked.push(acknowledgements.written());
                }
                for pick in picks {
                    if !open.is_empty() {
                        acknowledge(&open.swap_remove(pick % open.len()).1);
                    }
                }
                let prefix = open.iter().map(|(record, _)| *record).min().unwrap_or(written);
                let said = acknowledgements.acknowledged().unwrap();
                prop_assert!(said <= prefix, "said {said} of {prefix}");
                let due = asked.iter().copied().filter(|record| *record <= prefix).max().unwrap_or(0);
                prop_assert!(said >= due, "said {said}, but {due} was asked for and is acknowledged");
            }
        }
    }
}
