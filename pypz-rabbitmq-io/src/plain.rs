//! The objects of a channel as plain pypz-python declares them, and how long it needs them.

use std::time::{Duration, Instant};

use futures::FutureExt;
use lapin::options::QueueBindOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Error};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Delivery};
use pypz_core::protocol::Side;

use crate::clients::{Clients, LOOK_AGAIN};
use crate::queues::{DURABLE, PASSIVE, ask, queues, stream, table, text};

/// How long pypz-python's writers have to go after their `Closed`: closing a port takes one 5 s.
const LEAVE: Duration = Duration::from_secs(20);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

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

/// Waits until no plain writer consumes the readers' status any more, so that nothing is deleted under it. One that does not go
/// in time costs a warning: all that it sent is read.
pub(crate) async fn left(clients: &Clients, spec: &ChannelSpec) -> Result<(), ChannelError> {
    let (start, stream) = (Instant::now(), stream(spec.name(), Side::Readers));
    let mut pause = LOOK_AGAIN;
    loop {
        let consumers = ask(clients, spec, &stream, |opened, stream| {
            async move {
                let none = FieldTable::default();
                let found = opened
                    .queue_declare(stream.as_str().into(), PASSIVE, none)
                    .await?;
                Ok(found.consumer_count())
            }
            .boxed()
        });
        match consumers.await? {
            None | Some(0) => return Ok(()),
            Some(consumers) if start.elapsed() > LEAVE => {
                let channel = spec.name();
                tracing::warn!(
                    channel,
                    "{consumers} still consume {stream}: it goes without them"
                );
                return Ok(());
            }
            Some(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}
