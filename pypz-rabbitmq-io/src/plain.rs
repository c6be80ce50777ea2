//! The objects of a channel as plain pypz-python declares them, and how long it needs them.

use std::time::Duration;

use lapin::options::QueueBindOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Error};
use pypz_core::channel::{ChannelSpec, Delivery};
use pypz_core::protocol::Side;

use crate::queues::{DURABLE, queues, stream, table, text};

/// How long pypz-python's writers have to close their consumers after their `Closed`, which takes some 10 ms.
const CLOSING: Duration = Duration::from_secs(3);

/// Declares queues and streams behind the exchange: classic and without arguments, for whoever declares them otherwise is
/// refused by the broker.
pub(crate) async fn declare(opened: &Channel, spec: &ChannelSpec) -> Result<(), Error> {
    let channel = spec.name();
    for (queue, key) in queues(spec) {
        let (queue, none) = (queue.as_str(), FieldTable::default());
        opened.queue_declare(queue.into(), DURABLE, none.clone()).await?;
        let bind = QueueBindOptions::default();
        opened
            .queue_bind(queue.into(), channel.into(), key.as_str().into(), bind, none)
            .await?;
    }
    for side in Side::BOTH {
        let arguments = table([("x-queue-type", text("stream"))]);
        let stream = stream(channel, side);
        opened
            .queue_declare(stream.as_str().into(), DURABLE, arguments)
            .await?;
    }
    Ok(())
}

/// What plain peers cannot do on a channel.
pub(crate) fn problem(spec: &ChannelSpec) -> Option<String> {
    (spec.is_plain() && spec.delivery == Delivery::ByKey).then(|| {
        "partitioning byKey needs operators that all run in Rust: pypz-python has one queue for all replicas"
            .to_owned()
    })
}

/// Gives plain writers that have said `Closed` the time to close their consumers, so that no stream is deleted under one: it
/// would fail. The broker says of a stream neither who consumes it nor that somebody does (RabbitMQ 3.10), so there is nothing
/// to wait for but time.
pub(crate) async fn left(spec: &ChannelSpec) {
    let mut writers = spec
        .layout
        .foreign
        .iter()
        .filter(|member| member.side == Side::Writers);
    if writers.next().is_some() {
        let (channel, seconds) = (spec.name(), CLOSING.as_secs());
        tracing::info!(
            channel,
            "pypz-python's writers have {seconds} s to close their consumers"
        );
        tokio::time::sleep(CLOSING).await;
    }
}
