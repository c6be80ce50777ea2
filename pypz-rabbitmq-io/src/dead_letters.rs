//! The writing end of a channel's dead letters: one record a message, as it was, with headers that any tool shows.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::types::{AMQPValue, FieldTable};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, ChannelWriter, Details, EncodedBatch, Run, WriteProgress};

use crate::acknowledge;
use crate::clients::{Clients, ended};
use crate::outbox::{Content, Outbox, Outgoing};

/// The headers of a dead letter for what AMQP has no place for: the record's key as bytes, and its timestamp in milliseconds
/// since the Unix epoch.
const KEY: &str = "pypz.key";
const TIMESTAMP: &str = "pypz.timestamp";

/// Publishes to the queue of dead letters, over the default exchange.
pub(crate) struct DeadLetterWriter {
    clients: Arc<Clients>,
    spec: Arc<ChannelSpec>,
    outbox: Arc<Outbox>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl DeadLetterWriter {
    pub(crate) fn new(clients: Arc<Clients>, spec: Arc<ChannelSpec>) -> Self {
        let queue = spec.dead_letters_name();
        let share = spec.buffer_bytes / spec.local_readers.len().max(1);
        let outbox = Arc::new(Outbox::new(&queue, "", vec![queue.clone()], share));
        Self {
            clients,
            spec,
            outbox,
            task: None,
        }
    }
}

#[async_trait]
impl ChannelWriter for DeadLetterWriter {
    async fn open(&mut self) -> Result<(), ChannelError> {
        let (clients, outbox) = (Arc::clone(&self.clients), Arc::clone(&self.outbox));
        self.task = Some(self.clients.spawn(acknowledge::run(clients, outbox)));
        Ok(())
    }

    fn write(
        &mut self,
        batch: &Arc<EncodedBatch>,
        _runs: &[Run],
        from: usize,
    ) -> Result<usize, ChannelError> {
        self.outbox.check()?;
        let mut state = self.outbox.lock();
        let mut taken = 0;
        for index in from..batch.len() {
            if !self.outbox.has_room(&state) {
                break;
            }
            state.push(Outgoing {
                partition: 0,
                body: batch.payload(index).to_vec(),
                content: Content::Headed(batch.details(index).map_or_else(FieldTable::default, headers)),
                records: 1,
                first: 0,
            });
            taken += 1;
        }
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

impl Drop for DeadLetterWriter {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

/// Details as AMQP's headers; of two of the same name the last one counts.
fn headers(details: &Details) -> FieldTable {
    let bytes = |value: &[u8]| AMQPValue::LongString(value.to_vec().into());
    let mut table = FieldTable::default();
    if let Some(key) = &details.key {
        table.insert(KEY.into(), bytes(key));
    }
    if let Some(timestamp) = details.timestamp {
        table.insert(TIMESTAMP.into(), AMQPValue::LongLongInt(timestamp));
    }
    for (name, value) in &details.headers {
        table.insert(short(name).into(), bytes(value));
    }
    table
}

/// The name, cut to what AMQP takes.
fn short(name: &str) -> &str {
    const LONGEST: usize = 255;
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_whose_name_is_too_long_for_amqp_is_kept_under_a_shorter_one() {
        assert_eq!(short("reason"), "reason");
        assert_eq!(short(&"é".repeat(200)), "é".repeat(127));
    }
}
