//! The writing end of a channel in memory.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::super::{ChannelWriter, Delivery, EncodedBatch, RecordForm, Run, WriteProgress};
use super::{Gone, Item, Queues, Records};
use crate::error::ChannelError;
use crate::protocol::End;

pub(super) struct MemoryChannelWriter {
    queues: Arc<Queues>,
    written: Arc<Written>,
    full: Option<u32>,
}

/// What lies in memory is acknowledged.
#[derive(Default)]
struct Written {
    records: AtomicU64,
    ends: Mutex<Vec<End>>,
}

impl MemoryChannelWriter {
    pub(super) fn new(queues: Arc<Queues>) -> Self {
        Self {
            queues,
            written: Arc::default(),
            full: None,
        }
    }

    /// Puts records into the queues of a partition. There must be room.
    fn put(&self, partition: u32, mut make: impl FnMut() -> Records) -> Result<(), ChannelError> {
        let mut count = 0;
        let mut behind = 0;
        for queue in self.queues.of_partition(partition) {
            let records = make();
            count = records.len();
            let mut state = queue.lock();
            match state.gone {
                Some(Gone::Early) => {
                    let (channel, reason) = (
                        self.queues.channel.clone(),
                        "its reader is gone before its end".to_owned(),
                    );
                    return Err(ChannelError::Transport { channel, reason });
                }
                Some(Gone::Ended) => continue,
                None => {}
            }
            let offset = state.next_offset;
            state.next_offset += count as u64;
            behind = state.next_offset;
            state.records += count;
            state.bytes += records.bytes();
            state.items.push_back(Item { offset, records });
            drop(state);
            queue.filled.notify_one();
        }
        self.written.add(partition, behind, count as u64);
        Ok(())
    }
}

impl Written {
    fn add(&self, partition: u32, offset: u64, records: u64) {
        self.records.fetch_add(records, Ordering::Release);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for missing in u32::try_from(ends.len()).unwrap_or(u32::MAX)..=partition {
            ends.push(End {
                partition: missing,
                offset: 0,
                records: 0,
            });
        }
        if let Some(end) = ends.get_mut(partition as usize) {
            end.offset = end.offset.max(offset);
            end.records += records;
        }
    }
}

#[async_trait]
impl ChannelWriter for MemoryChannelWriter {
    async fn open(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn form(&self) -> RecordForm {
        match (self.queues.delivery, self.queues.readers.len()) {
            (Delivery::Broadcast, 2..) => RecordForm::Encoded,
            _ => RecordForm::Values,
        }
    }

    fn write(&mut self, batch: &Arc<EncodedBatch>, runs: &[Run], from: usize) -> Result<usize, ChannelError> {
        let mut taken = 0;
        for (partition, range) in Run::from(runs, from) {
            if !self.queues.has_room(partition) {
                self.full = Some(partition);
                break;
            }
            taken += range.len();
            self.put(partition, || Records::Encoded {
                batch: Arc::clone(batch),
                range: range.clone(),
            })?;
        }
        Ok(taken)
    }

    fn write_values(
        &mut self,
        partition: u32,
        values: Box<dyn Any + Send>,
        records: usize,
    ) -> Result<Option<Box<dyn Any + Send>>, ChannelError> {
        if !self.queues.has_room(partition) {
            self.full = Some(partition);
            return Ok(Some(values));
        }
        let mut values = Some(values);
        self.put(partition, || match values.take() {
            Some(values) => Records::Values { values, records },
            None => Records::Encoded {
                batch: Arc::default(),
                range: 0..0,
            },
        })?;
        Ok(None)
    }

    async fn writable(&mut self) {
        let Some(partition) = self.full.take() else { return };
        loop {
            let room = self.queues.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.queues.has_room(partition) {
                return;
            }
            room.await;
        }
    }

    fn progress(&self) -> Arc<dyn WriteProgress> {
        Arc::clone(&self.written) as Arc<dyn WriteProgress>
    }

    fn waiting(&self) -> usize {
        0
    }

    async fn close(&mut self) {}
}

#[async_trait]
impl WriteProgress for Written {
    fn written(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    fn acknowledged(&self) -> Result<u64, ChannelError> {
        Ok(self.written())
    }

    async fn changed(&self) {
        std::future::pending().await
    }

    fn ends(&self) -> Vec<End> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().filter(|end| end.records > 0).copied().collect()
    }
}
