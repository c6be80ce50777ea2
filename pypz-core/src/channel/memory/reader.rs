//! The reading end of a channel in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::{ChannelReader, Committer, RawRecord, RecordSink, StartAt};
use super::{Gone, Item, Queue, Queues, Records};
use crate::error::ChannelError;

pub(super) struct MemoryChannelReader {
    queues: Arc<Queues>,
    index: u32,
    /// What was begun and not finished, because the sink was full.
    current: Option<Item>,
    position: u64,
    poison: Option<ChannelError>,
    opened: bool,
    ended: bool,
}

impl MemoryChannelReader {
    pub(super) fn new(queues: Arc<Queues>, index: u32) -> Self {
        Self {
            queues,
            index,
            current: None,
            position: 0,
            poison: None,
            opened: false,
            ended: false,
        }
    }

    fn queue(&self) -> &Queue {
        &self.queues.readers[self.index as usize % self.queues.readers.len()]
    }

    fn next_item(&self) -> Option<Item> {
        let mut state = self.queue().lock();
        let item = state.items.pop_front()?;
        let was_full = !state.has_room(self.queues.bytes_each);
        state.records -= item.records.len();
        state.bytes -= item.records.bytes();
        let has_room = state.has_room(self.queues.bytes_each);
        drop(state);
        if was_full && has_room {
            self.queues.room.notify_waiters();
        }
        Some(item)
    }

    /// Gives one item to the sink; what is left of it stays in `current`.
    fn give(&mut self, item: Item, sink: &mut dyn RecordSink) -> Result<usize, ChannelError> {
        let partition = self.index;
        let poison = |offset: u64, source| {
            let channel = self.queues.channel.clone();
            ChannelError::Poison {
                channel,
                partition,
                offset,
                source,
            }
        };
        let Item { offset, records } = item;
        let taken = records.len();
        match records {
            Records::Values { values, .. } => {
                sink.take_values(partition, offset, values)
                    .map_err(|source| poison(offset, source))?;
                self.position = offset + taken as u64;
                Ok(taken)
            }
            Records::Encoded { batch, range } => {
                for index in range.clone() {
                    let done = index - range.start;
                    let offset = offset + done as u64;
                    if sink.is_full() {
                        self.current = Some(Item {
                            offset,
                            records: Records::Encoded {
                                batch,
                                range: index..range.end,
                            },
                        });
                        return Ok(done);
                    }
                    let mut details = || batch.details(index).cloned().unwrap_or_default();
                    let record = RawRecord {
                        partition,
                        offset,
                        payload: batch.payload(index),
                        details: &mut details,
                    };
                    if let Err(source) = sink.take(record) {
                        self.poison = Some(poison(offset, source));
                        return Ok(done);
                    }
                    self.position = offset + 1;
                }
                Ok(taken)
            }
        }
    }
}

#[async_trait]
impl ChannelReader for MemoryChannelReader {
    async fn create_resources(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    async fn delete_resources(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    async fn skip_to_end(&mut self) -> Result<u64, ChannelError> {
        Ok(0)
    }

    async fn open(&mut self, _start: StartAt) -> Result<(), ChannelError> {
        self.opened = true;
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn RecordSink) -> Result<usize, ChannelError> {
        let mut taken = 0;
        while !sink.is_full() {
            if let Some(poison) = &self.poison {
                return if taken > 0 { Ok(taken) } else { Err(poison.clone()) };
            }
            let Some(item) = self.current.take().or_else(|| self.next_item()) else {
                break;
            };
            taken += self.give(item, sink)?;
        }
        Ok(taken)
    }

    async fn readable(&mut self) {
        if self.current.is_none() && self.poison.is_none() {
            self.queue().filled.notified().await;
        }
    }

    fn position(&self) -> u64 {
        self.position
    }

    async fn end(&mut self) -> Result<u64, ChannelError> {
        let end = self.queue().lock().next_offset;
        self.ended = true;
        Ok(end)
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        Some(Arc::new(NothingToCommit))
    }

    async fn close(&mut self) {
        let mut state = self.queue().lock();
        state.gone = Some(if self.ended { Gone::Ended } else { Gone::Early });
        state.items.clear();
        drop(state);
        self.queues.room.notify_waiters();
    }
}

impl Drop for MemoryChannelReader {
    fn drop(&mut self) {
        if !self.opened {
            return;
        }
        let mut state = self.queue().lock();
        state.gone.get_or_insert(Gone::Early);
        drop(state);
        self.queues.room.notify_waiters();
    }
}

/// A channel in memory ends with its process: there is no position to keep.
struct NothingToCommit;

#[async_trait]
impl Committer for NothingToCommit {
    fn commit(&self, _offset: u64) {}

    async fn flush(&self) -> Result<(), ChannelError> {
        Ok(())
    }
}
