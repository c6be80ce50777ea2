//! What one reader has in hand: messages that it has not given out, and those that are not acknowledged.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::message::Delivery;
use pypz_core::{ChannelError, RecordId};
use tokio::sync::Notify;

use crate::pack::{self, PACK};

/// How the content types of our forms begin.
const FORMS: &str = "application/vnd.pypz.";

/// The most messages that are due before they are acknowledged.
const ACKNOWLEDGE_MANY: usize = 100;

/// Shared by a reader, its committer and the task that talks to the broker.
pub(crate) struct Inbox {
    pub(crate) channel: String,
    state: Mutex<State>,
    /// There is something to read, or something to know.
    pub(crate) filled: Notify,
    /// There is something to do for the task.
    pub(crate) wake: Notify,
    /// Acknowledgements have reached the broker.
    pub(crate) settled: Notify,
    pub(crate) patience: Duration,
    /// So many messages are acknowledged at once, if not for another reason earlier.
    pub(crate) many: usize,
}

/// A message that was not given out yet.
pub(crate) struct Message {
    pub(crate) body: Vec<u8>,
    pub(crate) form: Form,
    pub(crate) records: u32,
    pub(crate) id: Option<Arc<str>>,
}

impl Message {
    /// The id of its record that is followed by `left - 1` others.
    pub(crate) fn record_id(&self, left: u32) -> Option<RecordId> {
        let (writer, first) = self.id.as_ref()?.rsplit_once('.')?;
        let first: u64 = first.parse().ok()?;
        Some(RecordId {
            counter: writer.into(),
            // The id is from whoever published: one near the end of all numbers is nobody's.
            sequence: first.checked_add(u64::from(self.records.saturating_sub(left)))?,
        })
    }
}

/// How a message holds its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The body is one record.
    Bare,
    /// The body is a pack.
    Pack,
    /// The body should be a pack.
    Malformed,
}

/// A message that the broker waits for.
struct Unacknowledged {
    /// The position behind its last record.
    behind: u64,
    tag: u64,
    /// The connection that the tag belongs to.
    generation: u64,
    id: Option<Arc<str>>,
}

#[derive(Default)]
pub(crate) struct State {
    messages: VecDeque<Message>,
    /// The tag of the last message that was taken in, of this connection.
    last_tag: u64,
    /// Messages of another consumer that came before their turn.
    early: BTreeMap<u64, Delivery>,
    /// How many records `messages` hold.
    records: u64,
    unacknowledged: VecDeque<Unacknowledged>,
    /// How many of them, from the front, are of an earlier connection.
    old: usize,
    /// Processed, and given back by a connection that was lost: acknowledged as soon as they come again.
    processed: HashSet<Arc<str>>,
    /// Those that have come again.
    again: Vec<(u64, Arc<str>)>,
    /// The position behind the last record that came.
    received: u64,
    /// The position up to which everything is processed.
    noted: u64,
    /// The position up to which the broker knows it.
    acknowledged: u64,
    generation: u64,
    /// A message of an earlier connection came again: tags are not in the order of positions any more.
    mixed: bool,
    pub(crate) flushing: usize,
    /// No writer writes any more: find out what is left.
    pub(crate) ending: bool,
    /// It is proven that nothing more will come.
    pub(crate) empty: bool,
    pub(crate) closing: bool,
    /// The queue is being consumed on the present connection.
    pub(crate) consumes: bool,
    /// Another connection, which may be gone, has messages of this replica in hand.
    pub(crate) held_back: bool,
    /// The task knows that something is due.
    pub(crate) told: bool,
    /// The operator waits for more.
    pub(crate) hungry: bool,
    pub(crate) failure: Option<ChannelError>,
}

/// What to acknowledge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// All messages up to this tag.
    UpTo(u64),
    /// These tags.
    Each(Vec<u64>),
}

impl Inbox {
    pub(crate) fn new(channel: &str, patience: Duration, prefetch: u16) -> Self {
        Self {
            channel: channel.to_owned(),
            state: Mutex::default(),
            filled: Notify::new(),
            wake: Notify::new(),
            settled: Notify::new(),
            patience,
            many: usize::from(prefetch / 4).clamp(1, ACKNOWLEDGE_MANY),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes messages in, all that are there at once: a wake-up of the reader for each would cost more than the message.
    pub(crate) fn push(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        let mut state = self.lock();
        for delivery in deliveries {
            state.push(delivery);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Notes that the queue is being consumed.
    pub(crate) fn consumes(&self) {
        let mut state = self.lock();
        (state.consumes, state.held_back) = (true, false);
        drop(state);
        self.filled.notify_one();
    }

    /// Notes that the replica has to wait for another connection.
    pub(crate) fn held_back(&self) {
        self.lock().held_back = true;
        self.filled.notify_one();
    }

    /// Notes that all acknowledgements that were sent have reached the broker.
    pub(crate) fn settle(&self, up_to: u64) {
        let mut state = self.lock();
        state.acknowledged = state.acknowledged.max(up_to);
        drop(state);
        self.settled.notify_waiters();
    }

    /// Ends the reader with an error.
    pub(crate) fn fail(&self, error: ChannelError) {
        self.lock().failure.get_or_insert(error);
        self.filled.notify_one();
        self.settled.notify_waiters();
    }
}

impl State {
    /// Takes in the messages of a channel in the order of their tags, whichever of its consumers they came to: who acknowledges
    /// one with all before it must have seen all before it.
    fn push(&mut self, delivery: Delivery) {
        if delivery.delivery_tag == self.last_tag + 1 && self.early.is_empty() {
            self.last_tag += 1;
            self.take(delivery);
            return;
        }
        self.early.insert(delivery.delivery_tag, delivery);
        while let Some(next) = self.early.remove(&(self.last_tag + 1)) {
            self.last_tag += 1;
            self.take(next);
        }
    }

    fn take(&mut self, delivery: Delivery) {
        let id = delivery.properties.message_id().as_ref();
        let id = id.map(|id| Arc::from(id.as_str()));
        if let Some(id) = id.as_ref().and_then(|id| self.processed.take(id)) {
            self.again.push((delivery.delivery_tag, id));
            self.mixed = true;
            return;
        }
        let known = id.as_ref().and_then(|id| {
            let in_hand = self.unacknowledged.iter_mut().take(self.old);
            in_hand
                .filter(|one| one.generation != self.generation)
                .find(|one| one.id.as_ref() == Some(id))
        });
        if let Some(known) = known {
            // It comes again because the connection was lost, and is in hand already.
            (known.tag, known.generation) = (delivery.delivery_tag, self.generation);
            self.mixed = true;
            return;
        }
        let content = delivery.properties.content_type().as_ref();
        let (form, records) = match content.map(lapin::types::ShortString::as_str) {
            Some(PACK) => match pack::count(&delivery.data) {
                Ok(records @ 1..) => (Form::Pack, records),
                Ok(0) | Err(pack::Malformed) => (Form::Malformed, 1),
            },
            // A form of ours that this version does not know.
            Some(other) if other.starts_with(FORMS) => (Form::Malformed, 1),
            _ => (Form::Bare, 1),
        };
        self.hungry = false;
        self.received += u64::from(records);
        self.records += u64::from(records);
        self.unacknowledged.push_back(Unacknowledged {
            behind: self.received,
            tag: delivery.delivery_tag,
            generation: self.generation,
            id: id.clone(),
        });
        self.messages.push_back(Message {
            body: delivery.data,
            form,
            records,
            id,
        });
    }

    /// The next message to give out.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.records -= u64::from(message.records);
        Some(message)
    }

    /// How many records were not given out.
    pub(crate) const fn waiting(&self) -> u64 {
        self.records
    }

    /// Notes a position up to which everything is processed. Returns whether the task has to know: so many messages are due to
    /// acknowledge, or the first, after which it waits a while for more.
    pub(crate) fn note(&mut self, position: u64, many: usize) -> bool {
        self.noted = self.noted.max(position);
        let told = std::mem::replace(&mut self.told, true);
        !told || self.has_due(many)
    }

    /// Whether the broker knows all that is processed.
    pub(crate) const fn is_settled(&self) -> bool {
        self.acknowledged >= self.noted
    }

    /// How many messages of this connection the broker waits for.
    pub(crate) fn in_hand(&self) -> usize {
        self.unacknowledged.len()
    }

    /// A new connection, perhaps not the first: whatever was not given out comes again, to this reader or to another.
    pub(crate) fn reconnected(&mut self) {
        self.generation += 1;
        self.consumes = false;
        self.last_tag = 0;
        self.early.clear();
        self.empty = false;
        let kept = self.unacknowledged.len().saturating_sub(self.messages.len());
        self.unacknowledged.truncate(kept);
        self.old = kept;
        self.processed.extend(self.again.drain(..).map(|(_, id)| id));
        self.received -= self.records;
        self.messages.clear();
        self.records = 0;
    }

    /// Whether at least so many messages have become due to acknowledge.
    pub(crate) fn has_due(&self, messages: usize) -> bool {
        let last = self.unacknowledged.get(messages.saturating_sub(1));
        !self.again.is_empty() || last.is_some_and(|last| last.behind <= self.noted)
    }

    /// It is proven that nothing more will come, not even what a lost connection gave back: others have it.
    pub(crate) fn proven_empty(&mut self) {
        self.empty = self.records == 0;
        self.processed.clear();
    }

    /// Takes back that nothing more will come, if that was proven: a writer that had stopped sends again. Returns whether it was.
    pub(crate) fn reads_on(&mut self) -> bool {
        let was_empty = std::mem::take(&mut self.empty);
        self.ending &= !was_empty;
        was_empty
    }

    /// Whether what is processed but was given back may still come again to be acknowledged, before the reader has ended.
    pub(crate) fn waits_for_given_back(&self) -> bool {
        self.ending && !self.processed.is_empty() && !self.empty && self.records == 0
    }

    /// What has become due to acknowledge, and the position behind it.
    pub(crate) fn due(&mut self) -> (Option<Acknowledge>, u64) {
        let mut tags = Vec::new();
        self.told = false;
        while let Some(first) = self.unacknowledged.front()
            && first.behind <= self.noted
        {
            let Some(first) = self.unacknowledged.pop_front() else {
                break;
            };
            self.old = self.old.saturating_sub(1);
            if first.generation == self.generation {
                tags.push(first.tag);
            } else {
                // A tag of a connection that is gone means nothing to the broker, who gives the message to somebody again.
                self.processed.extend(first.id);
            }
        }
        tags.extend(self.again.drain(..).map(|(tag, _)| tag));
        let Some(greatest) = tags.iter().copied().max() else {
            return (None, self.noted);
        };
        if self.mixed {
            let current = self
                .unacknowledged
                .iter()
                .filter(|one| one.generation == self.generation);
            if current
                .map(|one| one.tag)
                .min()
                .is_some_and(|least| least < greatest)
            {
                return (Some(Acknowledge::Each(tags)), self.noted);
            }
        }
        (Some(Acknowledge::UpTo(greatest)), self.noted)
    }
}

#[cfg(test)]
mod tests;
