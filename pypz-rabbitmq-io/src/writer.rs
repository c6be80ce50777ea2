//! The writing end of a channel on RabbitMQ.

use std::sync::Arc;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, ChannelWriter, Delivery, EncodedBatch, Run, WriteProgress};

use crate::clients::{Clients, ended};
use crate::outbox::{Content, Outbox, Outgoing, State};
use crate::packing::Packing;
use crate::{acknowledge, config, dead_letters, pack, queues};

/// The most bytes in a message of more than one record.
const PACK_BYTES: usize = 64 << 10;

/// Publishes into the exchange of a channel.
///
/// It creates nothing: the principal reader does, and its port waits until all readers are ready before it sends. A record
/// counts as acknowledged when the broker has confirmed the message it is in, and did not return it.
pub struct RabbitMqChannelWriter {
    clients: Arc<Clients>,
    spec: Arc<ChannelSpec>,
    outbox: Arc<Outbox>,
    form: Form,
    task: Option<tokio::task::JoinHandle<()>>,
}

/// How records become messages.
enum Form {
    Records(Packing),
    /// Each one as it was, with headers that say why it is here.
    DeadLetters,
}

impl std::fmt::Debug for RabbitMqChannelWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitMqChannelWriter")
            .field("channel", &self.spec.name())
            .finish_non_exhaustive()
    }
}

impl RabbitMqChannelWriter {
    pub(crate) fn new(clients: Arc<Clients>, spec: Arc<ChannelSpec>, index: u32) -> Self {
        // pypz-python reads one record a message, and nothing beside it.
        let most = match spec.is_plain() {
            true => 1,
            false => config::records_per_message(&spec, index),
        };
        let readers = match spec.delivery {
            Delivery::Shared => spec.layout.readers.len(),
            Delivery::ByKey | Delivery::Broadcast => 1,
        };
        let keys = (0..spec.partitions()).map(|partition| queues::routing_key(&spec, partition));
        let share = spec.buffer_bytes / spec.local_writers.len().max(1);
        let outbox = Outbox::new(spec.name(), spec.name(), keys.collect(), share);
        Self::made(clients, spec, outbox, Form::Records(Packing::new(readers, most)))
    }

    /// A writer of a channel's dead letters, over the default exchange.
    pub(crate) fn of_dead_letters(clients: Arc<Clients>, spec: Arc<ChannelSpec>) -> Self {
        let queue = spec.dead_letters_name();
        let share = spec.buffer_bytes / spec.local_readers.len().max(1);
        let outbox = Outbox::new(&queue, "", vec![queue.clone()], share);
        Self::made(clients, spec, outbox, Form::DeadLetters)
    }

    fn made(clients: Arc<Clients>, spec: Arc<ChannelSpec>, outbox: Outbox, form: Form) -> Self {
        Self {
            clients,
            spec,
            outbox: Arc::new(outbox),
            form,
            task: None,
        }
    }

    /// Puts records into messages, as many as there is room for.
    fn put_runs(
        &self,
        state: &mut State,
        batch: &EncodedBatch,
        runs: &[Run],
        from: usize,
        most: usize,
    ) -> usize {
        if self.spec.delivery == Delivery::Shared {
            // Replicas compete: which partition a record was meant for does not matter.
            return self.put(state, 0, batch, from..batch.len(), most);
        }
        let mut taken = 0;
        for (partition, range) in Run::from(runs, from) {
            let wanted = range.len();
            let put = self.put(state, partition, batch, range, most);
            taken += put;
            if put < wanted {
                break;
            }
        }
        taken
    }

    /// Puts records of one partition into messages, as many as there is room for.
    fn put(
        &self,
        state: &mut State,
        partition: u32,
        batch: &EncodedBatch,
        range: std::ops::Range<usize>,
        most: usize,
    ) -> usize {
        let start = range.start;
        let mut index = start;
        while index < range.end {
            if !self.outbox.has_room(state) {
                break;
            }
            let bytes = batch.record_bytes(index);
            if let Some(open) = state.open_pack(partition)
                && (open.records as usize) < most
                && open.body.len() + bytes <= PACK_BYTES
            {
                let before = open.body.len();
                pack::push(&mut open.body, batch, index);
                open.records += 1;
                let grown = open.body.len() - before;
                state.added(1, grown);
                index += 1;
                continue;
            }
            let is_pack = !self.spec.is_plain() && (most > 1 || batch.details(index).is_some());
            let mut body = Vec::with_capacity((most * (bytes + 4)).min(PACK_BYTES).max(bytes + 16));
            if is_pack {
                pack::push(&mut body, batch, index);
            } else {
                body.extend_from_slice(batch.payload(index));
            }
            state.push(Outgoing {
                partition,
                body,
                content: if is_pack { Content::Pack } else { Content::Record },
                records: 1,
                first: 0,
            });
            index += 1;
        }
        index - start
    }
}

#[async_trait]
impl ChannelWriter for RabbitMqChannelWriter {
    async fn open(&mut self) -> Result<(), ChannelError> {
        let (clients, outbox) = (Arc::clone(&self.clients), Arc::clone(&self.outbox));
        self.task = Some(self.clients.spawn(acknowledge::run(clients, outbox)));
        Ok(())
    }

    fn write(&mut self, batch: &Arc<EncodedBatch>, runs: &[Run], from: usize) -> Result<usize, ChannelError> {
        self.outbox.check()?;
        let mut state = self.outbox.lock();
        let most = match &mut self.form {
            Form::Records(packing) => Some(packing.records(batch.len(), state.unpublished())),
            Form::DeadLetters => None,
        };
        let taken = match most {
            Some(most) => self.put_runs(&mut state, batch, runs, from, most),
            None => dead_letters::put(&self.outbox, &mut state, batch, from),
        };
        drop(state);
        self.outbox.wake.notify_one();
        if taken < batch.len() - from
            && let Form::Records(packing) = &mut self.form
        {
            packing.was_full();
        }
        Ok(taken)
    }

    async fn writable(&mut self) {
        self.outbox.room().await;
    }

    fn progress(&self) -> Arc<dyn WriteProgress> {
        Arc::clone(&self.outbox) as Arc<dyn WriteProgress>
    }

    fn counter(&self) -> Option<&str> {
        Some(&self.outbox.writer)
    }

    fn waiting(&self) -> usize {
        self.outbox.in_flight()
    }

    async fn close(&mut self) {
        self.outbox.close();
        if let Some(task) = self.task.take() {
            ended(task, self.spec.timing.heartbeat).await;
        }
    }
}

impl Drop for RabbitMqChannelWriter {
    fn drop(&mut self) {
        self.outbox.close();
    }
}
