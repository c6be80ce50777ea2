//! The objects of a channel: their names, creation, deletion, and what lies in them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lapin::options::{
    BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Error, ExchangeKind};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Delivery, PoisonPolicy};
use pypz_core::fail_point;
use pypz_core::protocol::Side;

use crate::clients::{Clients, LOOK_AGAIN};
use crate::config::delivery_limit;
use crate::error::{is_mismatch, is_missing, is_starting, words};
use crate::plain;

/// The longest name of a queue, in bytes.
const LONGEST_QUEUE: usize = 255;

/// How much status a stream keeps, in bytes, and for how long: a channel whose run was broken off can be resumed that long.
const STATUS_BYTES: i64 = 500_000_000;
const STATUS_SEGMENT_BYTES: i64 = 10_000_000;
const STATUS_AGE: &str = "7D";

/// The longest pause between two looks for a channel.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The stream of one side's status, named as pypz-python names it.
pub(crate) fn stream(channel: &str, side: Side) -> String {
    match side {
        Side::Readers => format!("{channel}.reader.status"),
        Side::Writers => format!("{channel}.writer.status"),
    }
}

/// The queue of a reader: one for all that compete, else one each, named as pypz-python names them.
pub(crate) fn queue_of(spec: &ChannelSpec, reader: u32) -> String {
    match (spec.delivery, reader) {
        (Delivery::Shared, _) | (_, 0) => spec.name().to_owned(),
        (Delivery::ByKey | Delivery::Broadcast, reader) => format!("{}-{reader}", spec.name()),
    }
}

/// By what a record finds the queue of a partition.
pub(crate) fn routing_key(spec: &ChannelSpec, partition: u32) -> String {
    match (spec.delivery, partition) {
        (Delivery::ByKey, 1..) => partition.to_string(),
        _ => String::new(),
    }
}

pub(crate) fn queues(spec: &ChannelSpec) -> Vec<(String, String)> {
    let readers = match spec.delivery {
        Delivery::Shared => 1,
        Delivery::ByKey | Delivery::Broadcast => u32::try_from(spec.layout.readers.len()).unwrap_or(u32::MAX),
    };
    (0..readers)
        .map(|reader| (queue_of(spec, reader), routing_key(spec, reader)))
        .collect()
}

/// A name that is too long for a queue.
pub(crate) fn name_problem(spec: &ChannelSpec) -> Option<String> {
    let longest = stream(spec.name(), Side::Readers);
    (longest.len() > LONGEST_QUEUE).then(|| {
        format!(
            "queue {longest} would have {} bytes, RabbitMQ's limit is {LONGEST_QUEUE}: use shorter names",
            longest.len()
        )
    })
}

pub(crate) fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub(crate) const DURABLE: QueueDeclareOptions = QueueDeclareOptions {
    passive: false,
    durable: true,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};

const PASSIVE: QueueDeclareOptions = QueueDeclareOptions {
    passive: true,
    ..DURABLE
};

/// Creates everything, or finds that it is there and right.
pub(crate) async fn create(clients: &Clients, spec: &Arc<ChannelSpec>) -> Result<(), ChannelError> {
    refuse_other_layout(clients, spec).await?;
    let work = |opened: Channel| -> BoxFuture<'static, Result<Option<Error>, Error>> {
        let spec = Arc::clone(spec);
        async move {
            match declare(&opened, &spec).await {
                Err(error) if is_mismatch(&error) => Ok(Some(error)),
                declared => declared.map(|()| None),
            }
        }
        .boxed()
    };
    let channel = spec.name();
    match clients
        .insistently(
            channel,
            "creating exchange and queues",
            spec.timing.patience,
            work,
        )
        .await?
    {
        None => Ok(()),
        Some(error) => Err(ChannelError::Mismatch {
            object: format!("channel {channel}"),
            reason: format!(
                "{}: it was made by another layout, with another deliveryLimit or by pypz-python; read it empty and delete it, or use another name",
                words(&error)
            ),
        }),
    }
}

async fn declare(opened: &Channel, spec: &ChannelSpec) -> Result<(), Error> {
    let channel = spec.name();
    let kind = match spec.delivery {
        Delivery::Shared | Delivery::ByKey => ExchangeKind::Direct,
        Delivery::Broadcast => ExchangeKind::Fanout,
    };
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    opened
        .exchange_declare(channel.into(), kind, durable, FieldTable::default())
        .await?;
    fail_point::pass("rabbitmq.exchange.declared");
    let dead = spec.dead_letters_name();
    if !spec.is_plain() || spec.on_poison == PoisonPolicy::DeadLetter {
        let quorum = table([("x-queue-type", text("quorum"))]);
        opened
            .queue_declare(dead.as_str().into(), DURABLE, quorum)
            .await?;
    }
    if spec.is_plain() {
        return plain::declare(opened, spec).await;
    }
    for (queue, key) in queues(spec) {
        let arguments = table([
            ("x-queue-type", text("quorum")),
            ("x-overflow", text("reject-publish")),
            ("x-delivery-limit", AMQPValue::LongInt(delivery_limit(spec))),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&dead)),
            ("x-dead-letter-strategy", text("at-least-once")),
        ]);
        let queue = queue.as_str();
        opened.queue_declare(queue.into(), DURABLE, arguments).await?;
        let (bind, none) = (QueueBindOptions::default(), FieldTable::default());
        opened
            .queue_bind(queue.into(), channel.into(), key.as_str().into(), bind, none)
            .await?;
    }
    fail_point::pass("rabbitmq.queues.declared");
    for side in Side::BOTH {
        let arguments = table([
            ("x-queue-type", text("stream")),
            ("x-max-age", text(STATUS_AGE)),
            ("x-max-length-bytes", AMQPValue::LongLongInt(STATUS_BYTES)),
            (
                "x-stream-max-segment-size-bytes",
                AMQPValue::LongLongInt(STATUS_SEGMENT_BYTES),
            ),
        ]);
        opened
            .queue_declare(stream(channel, side).as_str().into(), DURABLE, arguments)
            .await?;
    }
    Ok(())
}

/// Refuses to go on with the queues of another number of replicas: beside one that this layout does not have, or without one
/// that it has while the channel is complete, which its last object says.
async fn refuse_other_layout(clients: &Clients, spec: &Arc<ChannelSpec>) -> Result<(), ChannelError> {
    let ours = queues(spec);
    let other = format!("{}-{}", spec.name(), ours.len());
    if let Some(unread) = unread(clients, spec, &other).await? {
        return Err(ChannelError::Mismatch {
            object: format!("queue {other}"),
            reason: format!(
                "it is there with {unread} messages in it, but the pipeline has {} queues: another number of replicas made it; \
                 read it empty with that, or delete it",
                ours.len()
            ),
        });
    }
    let [(first, _), .., (last, _)] = &ours[..] else {
        return Ok(());
    };
    if !is_there(clients, spec, last).await?
        && is_there(clients, spec, first).await?
        && is_there(clients, spec, &stream(spec.name(), Side::Writers)).await?
    {
        return Err(ChannelError::Mismatch {
            object: format!("queue {last}"),
            reason: format!(
                "it is not there, but the pipeline has {} queues and queue {first} is there: another number of replicas made the \
                 channel; read it empty with that, or delete it",
                ours.len()
            ),
        });
    }
    Ok(())
}

/// Asks something about a queue; `None` if it is not there.
async fn ask<T: Send + 'static>(
    clients: &Clients,
    spec: &ChannelSpec,
    queue: &str,
    question: fn(Channel, String) -> BoxFuture<'static, Result<T, Error>>,
) -> Result<Option<T>, ChannelError> {
    let name = queue.to_owned();
    let work = move |opened: Channel| -> BoxFuture<'static, Result<Option<T>, Error>> {
        let answer = question(opened, name.clone());
        async move {
            match answer.await {
                Err(error) if is_missing(&error) && !is_starting(&error) => Ok(None),
                answer => answer.map(Some),
            }
        }
        .boxed()
    };
    let doing = format!("looking at queue {queue}");
    clients
        .insistently(spec.name(), &doing, spec.timing.patience, work)
        .await
}

/// Whether a queue or a stream is there.
async fn is_there(clients: &Clients, spec: &ChannelSpec, queue: &str) -> Result<bool, ChannelError> {
    let found = ask(clients, spec, queue, |opened, queue| {
        async move {
            let none = FieldTable::default();
            let found = opened.queue_declare(queue.as_str().into(), PASSIVE, none).await;
            found.map(drop)
        }
        .boxed()
    });
    found.await.map(|found| found.is_some())
}

/// How many messages wait in a queue, proven by taking one: the count of a declaration is 0, too, when the queue's leader does
/// not answer in time. The message goes back when the channel is closed. `None` if there is no such queue.
async fn unread(clients: &Clients, spec: &ChannelSpec, queue: &str) -> Result<Option<u32>, ChannelError> {
    let taken = ask(clients, spec, queue, |opened, queue| {
        async move {
            let options = BasicGetOptions::default();
            let taken = opened.basic_get(queue.as_str().into(), options).await?;
            Ok(taken.map_or(0, |one| one.message_count.saturating_add(1)))
        }
        .boxed()
    });
    taken.await
}

/// Fails if a queue holds messages.
async fn is_read(
    clients: &Clients,
    spec: &ChannelSpec,
    queue: &str,
    object: impl Fn() -> String,
) -> Result<(), ChannelError> {
    match unread(clients, spec, queue).await?.unwrap_or(0) {
        0 => Ok(()),
        unread => Err(ChannelError::Unread {
            object: object(),
            unread: unread.into(),
        }),
    }
}

/// Waits until the principal reader has created everything: the stream of the writers is the last.
pub(crate) async fn exists(
    clients: &Clients,
    spec: &ChannelSpec,
    patience: Duration,
) -> Result<(), ChannelError> {
    let last = stream(spec.name(), Side::Writers);
    let found = async {
        // Each look at a missing queue is a line in the broker's log.
        let mut pause = LOOK_AGAIN;
        while !is_there(clients, spec, &last).await? {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        Ok(())
    };
    tokio::time::timeout(patience, found).await.unwrap_or_else(|_| {
        Err(ChannelError::Deadline {
            port: clients.location.to_string(),
            waited_for: format!("queue {last}, which the principal reader creates"),
            seconds: patience.as_secs(),
        })
    })
}

/// Whether the stream of the writers is there, which is created last and deleted with the others.
pub(crate) async fn is_there_now(clients: &Clients, spec: &ChannelSpec) -> Result<bool, ChannelError> {
    is_there(clients, spec, &stream(spec.name(), Side::Writers)).await
}

/// Takes all messages out of the queues of a run that was given up. Returns how many there were.
pub(crate) async fn purge(clients: &Clients, spec: &Arc<ChannelSpec>) -> Result<u64, ChannelError> {
    let work = |opened: Channel| -> BoxFuture<'static, Result<u64, Error>> {
        let spec = Arc::clone(spec);
        async move {
            let mut purged = 0;
            for (queue, _) in queues(&spec) {
                let options = QueuePurgeOptions::default();
                purged += u64::from(opened.queue_purge(queue.as_str().into(), options).await?);
            }
            Ok(purged)
        }
        .boxed()
    };
    clients
        .insistently(spec.name(), "emptying queues", spec.timing.patience, work)
        .await
}

/// Fails if a message of the run is left behind: in a queue, or given up after too many attempts where the channel's policy does
/// not want it among the dead letters.
pub(crate) async fn nothing_left(clients: &Clients, spec: &ChannelSpec) -> Result<(), ChannelError> {
    for (queue, _) in queues(spec) {
        is_read(clients, spec, &queue, || format!("queue {queue}")).await?;
    }
    if spec.on_poison == PoisonPolicy::DeadLetter {
        return Ok(());
    }
    let dead = spec.dead_letters_name();
    let object = || format!("queue {dead}, for messages that were given up after deliveryLimit attempts,");
    is_read(clients, spec, &dead, object).await
}

/// Deletes everything, unless a message is unread. Dead letters are kept for whoever looks after them.
///
/// Nobody writes any more, so what is found empty stays empty. (Quorum queues cannot be deleted "if empty".)
pub(crate) async fn delete(clients: &Clients, spec: &Arc<ChannelSpec>) -> Result<(), ChannelError> {
    let mut all: Vec<String> = queues(spec).into_iter().map(|(queue, _)| queue).collect();
    nothing_left(clients, spec).await?;
    if spec.is_plain() {
        plain::left(spec).await;
    }
    let dead = spec.dead_letters_name();
    match unread(clients, spec, &dead).await?.unwrap_or(0) {
        0 => all.push(dead),
        kept => tracing::warn!("{kept} dead letters are kept in queue {dead}"),
    }
    all.extend(Side::BOTH.map(|side| stream(spec.name(), side)));
    let work = |opened: Channel| -> BoxFuture<'static, Result<(), Error>> {
        let (spec, all) = (Arc::clone(spec), all.clone());
        async move {
            for queue in all {
                opened
                    .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                    .await?;
                fail_point::pass("rabbitmq.queue.deleted");
            }
            opened
                .exchange_delete(spec.name().into(), ExchangeDeleteOptions::default())
                .await
        }
        .boxed()
    };
    clients
        .insistently(
            spec.name(),
            "deleting exchange and queues",
            spec.timing.patience,
            work,
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_of_both_sides_have_the_names_that_pypz_python_gives_them() {
        let names = [stream("pl.r.in", Side::Readers), stream("pl.r.in", Side::Writers)];
        assert_eq!(names, ["pl.r.in.reader.status", "pl.r.in.writer.status",]);
    }
}
