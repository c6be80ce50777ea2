//! What one writer has on its way: messages that wait to be published, and those that the broker has not confirmed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Error, PublisherConfirm};
use pypz_core::ChannelError;
use pypz_core::channel::WriteProgress;
use pypz_core::protocol::End;
use tokio::sync::Notify;

use crate::clients::{Clients, Pauses};
use crate::error::{is_missing, is_refusal, is_starting, transport, words};
use crate::pack::PACK;

/// How many messages may be published and not confirmed.
const WINDOW: usize = 1_024;

/// AMQP's delivery mode of messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// A message on its way.
pub(crate) struct Outgoing {
    pub(crate) partition: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) is_pack: bool,
    pub(crate) records: u32,
    /// The number of its first record among all of this writer.
    pub(crate) first: u64,
}

/// Shared by a writer, its progress and the task that talks to the broker.
pub(crate) struct Outbox {
    channel: String,
    /// What makes the ids of this writer's messages its own.
    writer: String,
    /// By partition.
    routing_keys: Vec<ShortString>,
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
    /// Of everything that is not confirmed.
    bytes: usize,
    /// Confirmed records by partition.
    counts: Vec<u64>,
    failure: Option<String>,
    refused: Option<ChannelError>,
    closing: bool,
}

impl Outbox {
    pub(crate) fn new(channel: &str, routing_keys: Vec<String>, most_bytes: usize) -> Self {
        let counts = vec![0; routing_keys.len()];
        Self {
            channel: channel.to_owned(),
            writer: uuid::Uuid::now_v7().simple().to_string(),
            routing_keys: routing_keys.into_iter().map(Into::into).collect(),
            state: Mutex::new(State {
                counts,
                ..State::default()
            }),
            wake: Notify::new(),
            changed: Notify::new(),
            room: Notify::new(),
            most_bytes,
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

    fn fail(&self, reason: String) {
        self.lock().failure.get_or_insert(reason);
        self.tell();
        self.room.notify_waiters();
    }

    fn confirmed(&self, message: &Outgoing) {
        let mut state = self.lock();
        state.acknowledged += u64::from(message.records);
        state.bytes -= message.body.len();
        if let Some(count) = state.counts.get_mut(message.partition as usize) {
            *count += u64::from(message.records);
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

    /// The next message to publish.
    fn take(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        let message = state.waiting.pop_front()?;
        state.unpublished -= message.records as usize;
        drop(state);
        self.make_room();
        Some(message)
    }
}

impl State {
    /// The message that records for a partition may still be added to: it waits, and has the same form.
    pub(crate) fn open_pack(&mut self, partition: u32) -> Option<&mut Outgoing> {
        self.waiting
            .back_mut()
            .filter(|last| last.is_pack && last.partition == partition)
    }

    /// How many records wait to be published.
    pub(crate) const fn unpublished(&self) -> usize {
        self.unpublished
    }

    /// Notes records that were added to the open pack.
    pub(crate) fn added(&mut self, records: u32, bytes: usize) {
        self.written += u64::from(records);
        self.unpublished += records as usize;
        self.bytes += bytes;
    }

    /// Puts a message in; its `first` is set here.
    pub(crate) fn push(&mut self, mut message: Outgoing) {
        message.first = self.written;
        self.added(message.records, message.body.len());
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

/// Publishes until the writer closes. What the broker has not confirmed when a connection is lost is published again on the
/// next one, in order and under the same ids.
pub(crate) async fn run(clients: Arc<Clients>, outbox: Arc<Outbox>) {
    let (mut unconfirmed, mut pauses) = (VecDeque::<Outgoing>::new(), Pauses::new());
    loop {
        let channel = tokio::select! {
            channel = clients.publishing.channel() => channel,
            () = given_up(&outbox) => return,
        };
        let mut publisher = Publisher {
            outbox: &outbox,
            channel,
            confirms: VecDeque::new(),
        };
        let acknowledged = outbox.lock().acknowledged;
        let served = publisher.serve(&mut unconfirmed).await;
        // In order: what was published first, then what had not been published again.
        let again = publisher.confirms.drain(..).map(|(message, _)| message);
        let rest = std::mem::take(&mut unconfirmed);
        unconfirmed = again.chain(rest).collect();
        match served {
            Ok(()) => return,
            Err(Lost::Refused(reason)) => {
                outbox.fail(reason);
                return;
            }
            Err(Lost::Connection(error)) if is_missing(&error) && !is_starting(&error) => {
                outbox.fail(format!(
                    "the exchange was deleted by someone else ({})",
                    words(&error)
                ));
                return;
            }
            Err(Lost::Connection(error)) if is_refusal(&error) => {
                let channel = &outbox.channel;
                let refused = transport(&clients.location, channel, "publishing", &error);
                outbox.lock().refused = Some(refused);
                outbox.fail(words(&error));
                return;
            }
            Err(lost) => {
                if outbox.lock().acknowledged > acknowledged {
                    pauses = Pauses::new();
                }
                let cause = match lost {
                    Lost::Connection(error) => words(&error),
                    Lost::Nack | Lost::Refused(_) => "the queue takes no messages now (nack)".to_owned(),
                };
                let (channel, waiting) = (&outbox.channel, unconfirmed.len());
                tracing::warn!(
                    channel,
                    "{waiting} messages are not confirmed and are published again: {cause}"
                );
            }
        }
        pauses.next().await;
    }
}

async fn given_up(outbox: &Outbox) {
    while !outbox.lock().closing {
        outbox.wake.notified().await;
    }
}

enum Lost {
    Connection(Error),
    Nack,
    Refused(String),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

struct Publisher<'a> {
    outbox: &'a Outbox,
    channel: Channel,
    confirms: VecDeque<(Outgoing, PublisherConfirm)>,
}

impl Publisher<'_> {
    async fn serve(&mut self, again: &mut VecDeque<Outgoing>) -> Result<(), Lost> {
        self.channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        loop {
            while self.confirms.len() < WINDOW {
                let next = again.pop_front().or_else(|| self.outbox.take());
                let Some(message) = next else { break };
                match self.publish(&message).await {
                    Ok(confirm) => self.confirms.push_back((message, confirm)),
                    Err(error) => {
                        again.push_front(message);
                        return Err(error.into());
                    }
                }
                self.collect()?;
            }
            if self.confirms.is_empty() {
                if self.outbox.lock().closing {
                    let _ = self.channel.close(200, "done".into()).await;
                    return Ok(());
                }
                self.outbox.wake.notified().await;
                continue;
            }
            let outbox = self.outbox;
            let Some((_, confirm)) = self.confirms.front_mut() else {
                continue;
            };
            tokio::select! {
                biased;
                confirmation = confirm => self.settle(confirmation)?,
                () = outbox.wake.notified() => {}
            }
        }
    }

    async fn publish(&self, message: &Outgoing) -> Result<PublisherConfirm, Error> {
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let id = format!("{}.{}", self.outbox.writer, message.first);
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(id.into());
        if message.is_pack {
            properties = properties.with_content_type(PACK.into());
        }
        let key = self.outbox.routing_keys.get(message.partition as usize);
        self.channel
            .basic_publish(
                self.outbox.channel.as_str().into(),
                key.cloned().unwrap_or_default(),
                mandatory,
                &message.body,
                properties,
            )
            .await
    }

    /// Takes in the confirms that are there.
    fn collect(&mut self) -> Result<(), Lost> {
        while let Some((_, confirm)) = self.confirms.front_mut() {
            match confirm.now_or_never() {
                None => break,
                Some(confirmation) => self.settle(confirmation)?,
            }
        }
        Ok(())
    }

    /// Takes in the confirm of the first message.
    fn settle(&mut self, confirmation: Result<Confirmation, Error>) -> Result<(), Lost> {
        match confirmation? {
            Confirmation::Ack(None) | Confirmation::NotRequested => {
                if let Some((message, _)) = self.confirms.pop_front() {
                    self.outbox.confirmed(&message);
                }
                Ok(())
            }
            // An unroutable message is returned, and acknowledged behind it.
            Confirmation::Ack(Some(returned)) => {
                let first = self.confirms.front().map_or(0, |(message, _)| message.first);
                Err(Lost::Refused(format!(
                    "returned {} {} from record {}.{first} on: the queue or its binding was removed by someone else",
                    returned.reply_code, returned.reply_text, self.outbox.writer
                )))
            }
            Confirmation::Nack(_) => Err(Lost::Nack),
        }
    }
}
