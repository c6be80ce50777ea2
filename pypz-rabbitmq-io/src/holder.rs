//! Who may have a replica's messages in hand: one connection at a time.
//!
//! Of a host that is gone, or a process that stands still, the broker keeps the connection until its heartbeats are missed, and for
//! it all messages that it was given. They are in no count: the queue looks empty to everybody else. So before a replica consumes it
//! declares a queue that is exclusive to its connection. The broker refuses that while another connection has it, and deletes it with
//! the connection, whose messages come back then.

use std::time::{Duration, Instant};

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Error};
use pypz_core::ChannelError;
use pypz_core::channel::ChannelSpec;

use crate::config;
use crate::queues::queue_of;

/// How long the broker may take to give messages back, once the connection that had them is gone.
pub(crate) const GIVEN_BACK: Duration = Duration::from_secs(1);

/// After how many missed heartbeats the broker has surely closed a connection: it does at two, and does not look all the time.
const HEARTBEATS: u32 = 3;

/// What one reader consumes.
pub(crate) struct Source {
    pub(crate) queue: String,
    /// The queue that says who reads for the replica.
    pub(crate) holder: String,
    /// How long another connection may have that: until the broker has missed its heartbeats, and as long as a live one may take to
    /// learn that it was replaced.
    pub(crate) held_at_most: Duration,
    pub(crate) prefetch: u16,
}

impl Source {
    pub(crate) fn of(spec: &ChannelSpec, reader: u32) -> Self {
        Self {
            queue: queue_of(spec, reader),
            holder: format!("{}.reader.{reader}", spec.name()),
            held_at_most: spec.timing.patience + config::heartbeat(spec) * HEARTBEATS,
            prefetch: config::prefetch(spec),
        }
    }

    /// Logs that another connection reads for the replica. Returns the time.
    pub(crate) fn is_held(&self) -> Instant {
        let (queue, holder) = (&self.queue, &self.holder);
        tracing::warn!(
            queue,
            holder,
            "another connection of this replica may have messages in hand, of a process that stands still or of a host that is gone: \
             waiting until the broker closes it and gives them back"
        );
        Instant::now()
    }

    pub(crate) fn held_too_long(&self, channel: &str) -> ChannelError {
        ChannelError::Deadline {
            port: channel.to_owned(),
            waited_for: format!(
                "queue {}, which another connection holds that reads for the same replica",
                self.holder
            ),
            seconds: self.held_at_most.as_secs(),
        }
    }
}

/// Says that this channel's connection reads for a replica. Fails with `RESOURCE_LOCKED` if another one does.
pub(crate) async fn hold(channel: &Channel, holder: &str) -> Result<(), Error> {
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(holder.into(), exclusive, FieldTable::default());
    declared.await.map(drop)
}

/// Says that it does not any more.
pub(crate) async fn let_go(channel: &Channel, holder: &str) {
    let unanswered = QueueDeleteOptions {
        nowait: true,
        ..QueueDeleteOptions::default()
    };
    let _ = channel.queue_delete(holder.into(), unanswered).await;
}
