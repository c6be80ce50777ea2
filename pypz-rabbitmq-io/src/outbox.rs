//! What one writer has on its way: messages that wait to be published, and how much of it the broker has confirmed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lapin::types::{FieldTable, ShortString};
use pypz_core::ChannelError;
use pypz_core::channel::WriteProgress;
use pypz_core::protocol::End;
use tokio::sync::Notify;

/// How many messages may be published and not confirmed.
pub(crate) const WINDOW: usize = 1_024;

/// What a message takes beside its body until it is confirmed, in bytes: frames, a promise and a future of lapin, and the place in
/// the queues. Small messages of a thousand writers would take gigabytes otherwise.
const BESIDE_BODY: usize = 2 << 10;

/// What a writer may have on its way in any case, in bytes: with less there would be a record a message, and one at a time.
const LEAST_SHARE: usize = 16 * BESIDE_BODY;

/// A message on its way.
pub(crate) struct Outgoing {
    pub(crate) partition: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) content: Content,
    pub(crate) records: u32,
    /// The number of its first record among all of this writer.
    pub(crate) first: u64,
}

/// What the body of a message is.
pub(crate) enum Content {
    /// A record that has nothing beside its bytes.
    Record,
    /// A record, and headers of the message.
    Headed(FieldTable),
    /// Records with what they have, packed.
    Pack,
}

/// Shared by a writer, its progress and the task that talks to the broker.
pub(crate) struct Outbox {
    pub(crate) channel: String,
    pub(crate) exchange: ShortString,
    /// What makes the ids of this writer's messages its own.
    pub(crate) writer: String,
    /// By partition.
    pub(crate) routing_keys: Vec<ShortString>,
    state: Mutex<State>,
    /// There is something to do for the task.
    pub(crate) wake: Notify,
    changed: Notify,
    room: Notify,
    most_bytes: usize,
}

#[derive(Default)]
pub(crate) struct State {
    waiting: VecDeque<Outgoing>,
    /// How many records `waiting` holds.
    unpublished: usize,
    written: u64,
    acknowledged: u64,
    /// What everything that is not confirmed takes.
    bytes: usize,
    /// Confirmed records by partition.
    counts: Vec<u64>,
    failure: Option<String>,
    refused: Option<ChannelError>,
    closing: bool,
}

impl Outbox {
    pub(crate) fn new(channel: &str, exchange: &str, routing_keys: Vec<String>, most_bytes: usize) -> Self {
        let counts = vec![0; routing_keys.len()];
        Self {
            channel: channel.to_owned(),
            exchange: exchange.into(),
            writer: uuid::Uuid::now_v7().simple().to_string(),
            routing_keys: routing_keys.into_iter().map(Into::into).collect(),
            state: Mutex::new(State {
                counts,
                ..State::default()
            }),
            wake: Notify::new(),
            changed: Notify::new(),
            room: Notify::new(),
            most_bytes: most_bytes.max(LEAST_SHARE),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more message may be put in.
    pub(crate) fn has_room(&self, state: &State) -> bool {
        state.bytes < self.most_bytes && state.waiting.len() < WINDOW
    }

    /// Waits until there may be room.
    pub(crate) async fn room(&self) {
        let room = self.room.notified();
        tokio::pin!(room);
        room.as_mut().enable();
        let waits = {
            let state = self.lock();
            state.failure.is_none() && !self.has_room(&state)
        };
        if waits {
            room.await;
        }
    }

    /// Fails once a record could not be delivered.
    pub(crate) fn check(&self) -> Result<(), ChannelError> {
        let state = self.lock();
        if let Some(refused) = &state.refused {
            return Err(refused.clone());
        }
        match &state.failure {
            None => Ok(()),
            Some(reason) => Err(ChannelError::Transport {
                channel: self.channel.clone(),
                reason: format!(
                    "{} records are not acknowledged: {reason}",
                    state.written - state.acknowledged
                ),
            }),
        }
    }

    /// Records that are on their way.
    pub(crate) fn in_flight(&self) -> usize {
        let state = self.lock();
        usize::try_from(state.written - state.acknowledged).unwrap_or(usize::MAX)
    }

    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    pub(crate) fn fail(&self, reason: String) {
        self.lock().failure.get_or_insert(reason);
        self.tell();
        self.room.notify_waiters();
    }

    /// Notes that the broker does not let the writer publish.
    pub(crate) fn refuse(&self, refused: ChannelError) {
        let reason = refused.to_string();
        self.lock().refused = Some(refused);
        self.fail(reason);
    }

    /// Notes messages that the broker has confirmed.
    pub(crate) fn confirmed(&self, messages: &[Arc<Outgoing>]) {
        let mut state = self.lock();
        for message in messages {
            state.acknowledged += u64::from(message.records);
            state.bytes -= message.body.len() + BESIDE_BODY;
            if let Some(count) = state.counts.get_mut(message.partition as usize) {
                *count += u64::from(message.records);
            }
        }
        drop(state);
        self.tell();
        self.make_room();
    }

    /// Wakes all who wait for progress, and whoever is about to.
    fn tell(&self) {
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// Wakes whoever waits for room once there is room for many: a wake-up a message would cost more than the message.
    fn make_room(&self) {
        let state = self.lock();
        let is_roomy = state.bytes <= self.most_bytes / 2 && state.waiting.len() <= WINDOW / 2;
        drop(state);
        if is_roomy {
            self.room.notify_waiters();
        }
    }

    /// Takes the next messages to publish, at most so many.
    pub(crate) fn take(&self, most: usize) -> VecDeque<Arc<Outgoing>> {
        let mut state = self.lock();
        let taken = most.min(state.waiting.len());
        if taken == 0 {
            return VecDeque::new();
        }
        let taken: VecDeque<_> = state.waiting.drain(..taken).map(Arc::new).collect();
        let records: usize = taken.iter().map(|message| message.records as usize).sum();
        state.unpublished -= records;
        drop(state);
        self.make_room();
        taken
    }

    /// How many records are confirmed.
    pub(crate) fn confirmed_records(&self) -> u64 {
        self.lock().acknowledged
    }

    /// Whether the writer has closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }
}

impl State {
    /// The message that records for a partition may still be added to: it waits, and has the same form.
    pub(crate) fn open_pack(&mut self, partition: u32) -> Option<&mut Outgoing> {
        self.waiting
            .back_mut()
            .filter(|last| matches!(last.content, Content::Pack) && last.partition == partition)
    }

    /// How many records wait to be published.
    pub(crate) const fn unpublished(&self) -> usize {
        self.unpublished
    }

    /// Notes records that were added, to the open pack or as a message of their own, and what they take.
    pub(crate) fn added(&mut self, records: u32, bytes: usize) {
        self.written += u64::from(records);
        self.unpublished += records as usize;
        self.bytes += bytes;
    }

    /// Puts a message in; its `first` is set here.
    pub(crate) fn push(&mut self, mut message: Outgoing) {
        message.first = self.written;
        self.added(message.records, message.body.len() + BESIDE_BODY);
        self.waiting.push_back(message);
    }
}

#[async_trait]
impl WriteProgress for Outbox {
    fn written(&self) -> u64 {
        self.lock().written
    }

    fn acknowledged(&self) -> Result<u64, ChannelError> {
        self.check()?;
        Ok(self.lock().acknowledged)
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    fn ends(&self) -> Vec<End> {
        let state = self.lock();
        let end = |(partition, records): (u32, &u64)| End {
            partition,
            // A queue has no offsets; the count is what is proven.
            offset: 0,
            records: *records,
        };
        (0..)
            .zip(&state.counts)
            .map(end)
            .filter(|end| end.records > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_bytes_fill_their_share_of_the_buffer_and_leave_it_when_confirmed() {
        let outbox = Outbox::new("pl.r.in", "pl.r.in", vec![String::new()], 64 << 10);
        while outbox.has_room(&outbox.lock()) {
            outbox.lock().push(Outgoing {
                partition: 0,
                body: Vec::new(),
                content: Content::Record,
                records: 1,
                first: 0,
            });
        }
        let taken: Vec<_> = outbox.take(WINDOW).into();
        assert_eq!(taken.len(), 32);
        outbox.confirmed(&taken);
        assert_eq!(outbox.lock().bytes, 0);
        assert!(outbox.has_room(&outbox.lock()));
    }
}
