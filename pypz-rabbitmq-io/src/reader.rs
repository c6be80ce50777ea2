//! The reading end of a channel on RabbitMQ.

use std::sync::Arc;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelReader, ChannelSpec, Committer, Details, RawRecord, RecordSink, StartAt};
use pypz_core::codec::CodecError;
use pypz_core::protocol::Numbers;

use crate::clients::{Clients, ended};
use crate::committer::InboxCommitter;
use crate::holder::Source;
use crate::inbox::{Form, Inbox, Message};
use crate::numbers::GivenOut;
use crate::pack::Cursor;
use crate::{config, consumer, look, queues};

/// Reads for one replica: from the one queue that all replicas compete for, or from a queue of its own where each gets
/// everything or its own keys.
///
/// The principal's reader declares exchange, queues and streams, and deletes them. A position counts the records that
/// this reader was given since it opened: a queue has no offsets, and what was acknowledged never comes again.
pub struct RabbitMqChannelReader {
    clients: Arc<Clients>,
    spec: Arc<ChannelSpec>,
    index: u32,
    inbox: Arc<Inbox>,
    prefetch: u16,
    task: Option<tokio::task::JoinHandle<()>>,
    /// A message that was begun and not finished, because the sink was full, and how many of its records are left.
    current: Option<(Message, Cursor, u32)>,
    position: u64,
    given_out: GivenOut,
    poison: Option<ChannelError>,
}

impl std::fmt::Debug for RabbitMqChannelReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitMqChannelReader")
            .field("channel", &self.spec.name())
            .field("index", &self.index)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl RabbitMqChannelReader {
    pub(crate) fn new(clients: Arc<Clients>, spec: Arc<ChannelSpec>, index: u32) -> Self {
        let prefetch = config::prefetch(&spec);
        let inbox = Arc::new(Inbox::new(spec.name(), spec.timing.patience, prefetch));
        Self {
            clients,
            spec,
            index,
            inbox,
            prefetch,
            task: None,
            current: None,
            position: 0,
            given_out: GivenOut::default(),
            poison: None,
        }
    }

    /// Gives the sink records of one message; what is left of it stays in `current`.
    fn give(
        &mut self,
        message: Message,
        mut cursor: Cursor,
        mut left: u32,
        sink: &mut dyn RecordSink,
    ) -> Result<usize, CodecError> {
        let mut taken = 0;
        let partition = self.spec.partition_of(self.index);
        while left > 0 {
            if sink.is_full() {
                self.current = Some((message, cursor, left));
                return Ok(taken);
            }
            let packed = match message.form {
                Form::Pack => cursor.next(&message.body).unwrap_or_default(),
                Form::Bare | Form::Malformed => None,
            };
            let mut details = || Details {
                id: message.record_id(left),
                ..packed
                    .as_ref()
                    .map_or_else(Details::default, crate::pack::Packed::details)
            };
            let payload = packed.as_ref().map_or(&message.body[..], |packed| packed.payload);
            let record = RawRecord {
                partition,
                offset: self.position,
                payload,
                details: &mut details,
            };
            match message.form {
                Form::Bare | Form::Pack => sink.take(record)?,
                Form::Malformed => {
                    let words = "its form is not known, or the lengths in it do not fit";
                    sink.refuse(record, CodecError::decode("a pack of records", words))?;
                }
            }
            self.position += 1;
            taken += 1;
            left -= 1;
        }
        let first = message.record_id(message.records);
        self.given_out.note(first, message.records, self.position);
        Ok(taken)
    }
}

#[async_trait]
impl ChannelReader for RabbitMqChannelReader {
    async fn create_resources(&mut self) -> Result<(), ChannelError> {
        queues::create(&self.clients, &self.spec).await
    }

    async fn delete_resources(&mut self) -> Result<(), ChannelError> {
        queues::delete(&self.clients, &self.spec).await
    }

    async fn skip_to_end(&mut self) -> Result<u64, ChannelError> {
        queues::purge(&self.clients, &self.spec).await
    }

    async fn open(&mut self, _start: StartAt) -> Result<(), ChannelError> {
        let source = Source::of(&self.spec, self.index);
        let (clients, inbox) = (Arc::clone(&self.clients), Arc::clone(&self.inbox));
        self.task = Some(self.clients.spawn(consumer::run(clients, inbox, source)));
        let patience = self.spec.timing.patience;
        let consumes = async {
            loop {
                let filled = self.inbox.filled.notified();
                {
                    let state = self.inbox.lock();
                    if let Some(failure) = &state.failure {
                        return Err(failure.clone());
                    }
                    if state.consumes || state.held_back {
                        return Ok(());
                    }
                }
                filled.await;
            }
        };
        tokio::time::timeout(patience, consumes)
            .await
            .unwrap_or_else(|_| {
                Err(ChannelError::Deadline {
                    port: self.spec.name().to_owned(),
                    waited_for: format!("its queue to be consumed: {}", self.clients.consuming.cause()),
                    seconds: patience.as_secs(),
                })
            })
    }

    fn read(&mut self, sink: &mut dyn RecordSink) -> Result<usize, ChannelError> {
        let mut taken = 0;
        while !sink.is_full() {
            if let Some(poison) = &self.poison {
                return if taken > 0 { Ok(taken) } else { Err(poison.clone()) };
            }
            let next = self.current.take().or_else(|| {
                let message = self.inbox.lock().pop()?;
                let records = message.records;
                Some((message, Cursor::default(), records))
            });
            let Some((message, cursor, left)) = next else {
                break;
            };
            let before = self.position;
            match self.give(message, cursor, left, sink) {
                Ok(given) => taken += given,
                Err(source) => {
                    taken += usize::try_from(self.position - before).unwrap_or(0);
                    self.poison = Some(ChannelError::Poison {
                        channel: self.spec.name().to_owned(),
                        partition: self.spec.partition_of(self.index),
                        offset: self.position,
                        source,
                    });
                }
            }
        }
        if taken == 0
            && let Some(failure) = &self.inbox.lock().failure
        {
            return Err(failure.clone());
        }
        Ok(taken)
    }

    async fn readable(&mut self) {
        let is_starved = {
            let mut state = self.inbox.lock();
            if self.current.is_some() || state.waiting() > 0 {
                // `end` has taken the wake-up, which is one for many messages.
                return;
            }
            state.hungry = true;
            state.reads_on() || state.in_hand() >= usize::from(self.prefetch)
        };
        if is_starved {
            // All that may be in hand is given out, or the queue was read to its end: the task has to ask for more.
            self.inbox.wake.notify_one();
        }
        self.inbox.filled.notified().await;
    }

    fn position(&self) -> u64 {
        self.position
    }

    async fn end(&mut self) -> Result<u64, ChannelError> {
        loop {
            let filled = self.inbox.filled.notified();
            {
                let mut state = self.inbox.lock();
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
                // What lies in the inbox goes back if the connection is lost: only a message in hand is sure to be given out.
                if self.current.is_none() {
                    self.current = state.pop().map(|message| {
                        let records = message.records;
                        (message, Cursor::default(), records)
                    });
                }
                let left = self.current.as_ref().map_or(0, |(_, _, left)| u64::from(*left));
                if left > 0 || state.empty {
                    return Ok(self.position + left);
                }
                (state.ending, state.hungry) = (true, true);
            }
            self.inbox.wake.notify_one();
            filled.await;
        }
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        Some(Arc::new(InboxCommitter(Arc::clone(&self.inbox))))
    }

    fn numbers(&mut self, position: u64) -> Result<Vec<Numbers>, usize> {
        self.given_out.take(position)
    }

    async fn nothing_left_behind(&mut self) -> Result<(), ChannelError> {
        look::nothing_left(&self.clients, &self.spec).await
    }

    async fn close(&mut self) {
        self.inbox.lock().closing = true;
        self.inbox.wake.notify_one();
        if let Some(task) = self.task.take() {
            ended(task, self.spec.timing.heartbeat).await;
        }
    }
}

impl Drop for RabbitMqChannelReader {
    fn drop(&mut self) {
        self.inbox.lock().closing = true;
        self.inbox.wake.notify_one();
    }
}
