//! The writing end of a channel on RabbitMQ.

use std::sync::Arc;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, ChannelWriter, Delivery, EncodedBatch, Run, WriteProgress};

use crate::clients::{Clients, ended};
use crate::outbox::{Content, Outbox, Outgoing, State};
use crate::{acknowledge, config, pack, queues};

/// The most bytes in a message of more than one record.
const PACK_BYTES: usize = 64 << 10;

/// How many messages each reader gets of what is at hand: few records are jobs for all replicas, many travel together.
const MESSAGES_EACH: usize = 2;

/// Publishes into the exchange of a channel.
///
/// It creates nothing: the principal reader does, and its port waits until all readers are ready before it sends. A record
/// counts as acknowledged when the broker has confirmed the message it is in, and did not return it.
pub struct RabbitMqChannelWriter {
    clients: Arc<Clients>,
    spec: Arc<ChannelSpec>,
    outbox: Arc<Outbox>,
    /// The most records in a message.
    most_records: usize,
    task: Option<tokio::task::JoinHandle<()>>,
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
        let most_records = match spec.is_plain() {
            true => 1,
            false => config::records_per_message(&spec, index),
        };
        let keys = (0..spec.partitions()).map(|partition| queues::routing_key(&spec, partition));
        let share = spec.buffer_bytes / spec.local_writers.len().max(1);
        let outbox = Arc::new(Outbox::new(spec.name(), spec.name(), keys.collect(), share));
        Self {
            clients,
            spec,
            outbox,
            most_records,
            task: None,
        }
    }

    /// How many records go into one message when so many are at hand.
    fn records_a_message(&self, at_hand: usize) -> usize {
        let readers = match self.spec.delivery {
            Delivery::Shared => self.spec.layout.readers.len().max(1),
            Delivery::ByKey | Delivery::Broadcast => 1,
        };
        at_hand
            .div_ceil(readers * MESSAGES_EACH)
            .clamp(1, self.most_records)
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
        let most = self.records_a_message(batch.len() + state.unpublished());
        let taken = if self.spec.delivery == Delivery::Shared {
            // Replicas compete: which partition a record was meant for does not matter.
            self.put(&mut state, 0, batch, from..batch.len(), most)
        } else {
            let mut taken = 0;
            for (partition, range) in Run::from(runs, from) {
                let wanted = range.len();
                let put = self.put(&mut state, partition, batch, range, most);
                taken += put;
                if put < wanted {
                    break;
                }
            }
            taken
        };
        drop(state);
        self.outbox.wake.notify_one();
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
