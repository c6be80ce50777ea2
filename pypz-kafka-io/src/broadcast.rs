//! The one partition of a broadcast, fetched once for all its readers in a process.
//!
//! Whoever is furthest fetches; what the others have not read yet waits in a window, at most as many bytes as the channel
//! may buffer. So the readers of one process advance at most that far apart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pypz_core::channel::{Details, EncodedBatch, RawRecord, RecordSink};
use pypz_core::{ChannelError, RecordId};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use tokio::sync::Notify;

use crate::consumer::Queue;
use crate::records::{Behind, Taken, details_of};

/// The most records that are fetched at once.
const CHUNK_RECORDS: usize = 1_000;

/// Records that were fetched together.
#[derive(Default)]
struct Chunk {
    batch: EncodedBatch,
    offsets: Vec<u64>,
    bytes: usize,
}

/// The window of one channel in this process.
pub(crate) struct Broadcast {
    state: Mutex<State>,
    filled: Arc<Notify>,
    moved: Notify,
    most_bytes: usize,
}

struct State {
    queue: Queue,
    window: VecDeque<Arc<Chunk>>,
    /// The number of the first chunk in the window.
    first: u64,
    bytes: usize,
    /// The client's error behind the last chunk: it says it only once.
    error: Option<KafkaError>,
    /// By reader: the chunk it reads next.
    cursors: BTreeMap<u32, u64>,
}

impl Broadcast {
    pub(crate) fn new(queue: Queue, readers: &[u32], most_bytes: usize) -> Self {
        let filled = Arc::clone(&queue.filled);
        let cursors = readers.iter().map(|reader| (*reader, 0)).collect();
        let state = State {
            queue,
            window: VecDeque::new(),
            first: 0,
            bytes: 0,
            error: None,
            cursors,
        };
        Self {
            state: Mutex::new(state),
            filled,
            moved: Notify::new(),
            most_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next chunk for a reader, from the window or from the broker.
    fn next(&mut self, reader: u32, most_bytes: usize) -> Result<Option<Arc<Chunk>>, KafkaError> {
        let cursor = self.cursors.get(&reader).copied().unwrap_or(self.first);
        let place = usize::try_from(cursor.saturating_sub(self.first)).unwrap_or(usize::MAX);
        if place >= self.window.len() {
            if self.bytes > most_bytes {
                return Ok(None);
            }
            let chunk = self.fetch()?;
            if chunk.offsets.is_empty() {
                return Ok(None);
            }
            self.bytes += chunk.bytes;
            self.window.push_back(Arc::new(chunk));
        }
        let chunk = self.window.get(place).map(Arc::clone);
        if chunk.is_some() {
            self.cursors.insert(reader, cursor + 1);
            self.forget();
        }
        Ok(chunk)
    }

    fn fetch(&mut self) -> Result<Chunk, KafkaError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut chunk = Chunk::default();
        while chunk.offsets.len() < CHUNK_RECORDS {
            let message = match self.queue.queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => message,
                Some(Err(error)) if chunk.offsets.is_empty() => return Err(error),
                Some(Err(error)) => {
                    self.error = Some(error);
                    break;
                }
            };
            let payload = message.payload().unwrap_or_default();
            // Copying bytes cannot fail.
            let _ = chunk.batch.push(details_of(&message), |bytes| {
                bytes.extend_from_slice(payload);
                Ok(())
            });
            chunk.offsets.push(u64::try_from(message.offset()).unwrap_or(0));
            chunk.bytes += payload.len() + size_of::<Details>();
        }
        Ok(chunk)
    }

    /// Drops the chunks that every reader has taken.
    fn forget(&mut self) {
        let slowest = self.cursors.values().min().copied().unwrap_or(u64::MAX);
        while self.first < slowest
            && let Some(chunk) = self.window.pop_front()
        {
            self.first += 1;
            self.bytes -= chunk.bytes;
        }
    }
}

/// One reader's place in the window.
pub(crate) struct BroadcastQueue {
    shared: Arc<Broadcast>,
    reader: u32,
    chunk: Option<(Arc<Chunk>, usize)>,
    /// Records before this offset were processed before the restart.
    start: u64,
}

impl BroadcastQueue {
    pub(crate) const fn new(shared: Arc<Broadcast>, reader: u32, start: u64) -> Self {
        Self {
            shared,
            reader,
            chunk: None,
            start,
        }
    }

    /// No record before this offset comes any more, to any of the readers.
    pub(crate) fn floor(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.lock().queue.floor)
    }

    /// Gives the sink what is at hand. `position` follows what it took.
    pub(crate) fn read(
        &mut self,
        (channel, counter): (&str, &Arc<str>),
        sink: &mut dyn RecordSink,
        position: &mut u64,
    ) -> Taken {
        let mut records = 0;
        let mut behind = None;
        while !sink.is_full() {
            let Some((chunk, at)) = &mut self.chunk else {
                match self.shared.lock().next(self.reader, self.shared.most_bytes) {
                    Ok(Some(chunk)) => self.chunk = Some((chunk, 0)),
                    Ok(None) => break,
                    Err(error) => {
                        behind = Some(Behind::Error(error));
                        break;
                    }
                }
                self.shared.moved.notify_waiters();
                continue;
            };
            let Some(offset) = chunk.offsets.get(*at).copied() else {
                self.chunk = None;
                continue;
            };
            if offset >= self.start {
                let mut details = || Details {
                    id: Some(RecordId {
                        counter: Arc::clone(counter),
                        sequence: offset,
                    }),
                    ..chunk.batch.details(*at).cloned().unwrap_or_default()
                };
                let payload = chunk.batch.payload(*at);
                let record = RawRecord {
                    partition: 0,
                    offset,
                    payload,
                    details: &mut details,
                };
                if let Err(source) = sink.take(record) {
                    behind = Some(Behind::Poison(ChannelError::Poison {
                        channel: channel.to_owned(),
                        partition: 0,
                        offset,
                        source,
                    }));
                    break;
                }
                records += 1;
            }
            *at += 1;
            *position = (*position).max(offset + 1);
        }
        Taken { records, behind }
    }

    /// Waits until there may be more: from the broker, from the window, or room in it.
    pub(crate) async fn readable(&self) {
        tokio::select! {
            () = self.shared.filled.notified() => {}
            () = self.shared.moved.notified() => {}
        }
    }
}

impl Drop for BroadcastQueue {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.cursors.remove(&self.reader);
        state.forget();
        drop(state);
        self.shared.moved.notify_waiters();
    }
}
