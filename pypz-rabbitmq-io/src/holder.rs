//! Who may have a replica's messages in hand: one connection at a time.
//!
//! Of a host that is gone, or a process that stands still, the broker keeps the connection until its heartbeats are missed, and for
//! it all messages that it was given. They are in no count: the queue looks empty to everybody else. So before a replica consumes it
//! declares a queue that is exclusive to its connection. The broker refuses that while another connection has it, and deletes it with
//! the connection, whose messages come back then.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Error};

/// Between two attempts to hold what another connection holds.
pub(crate) const HOLD_AGAIN: Duration = Duration::from_millis(250);

/// How long the broker may take to give messages back, once the connection that had them is gone.
pub(crate) const GIVEN_BACK: Duration = Duration::from_secs(1);

/// The name of the queue that says who reads for a replica.
pub(crate) fn holder(channel: &str, reader: u32) -> String {
    format!("{channel}.reader.{reader}")
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
