//! What is there of a channel, and what lies in it unread.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Error};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, PoisonPolicy};
use pypz_core::protocol::Side;

use crate::clients::{Clients, LOOK_AGAIN};
use crate::error::{is_missing, is_starting};
use crate::queues::{DURABLE, queues, stream};

/// The longest pause between two looks for a channel.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

const PASSIVE: QueueDeclareOptions = QueueDeclareOptions {
    passive: true,
    ..DURABLE
};

/// Refuses to go on with the queues of another number of replicas: beside one that this layout does not have, or without one
/// that it has while the channel is complete, which its last object says.
pub(crate) async fn refuse_other_layout(
    clients: &Clients,
    spec: &Arc<ChannelSpec>,
) -> Result<(), ChannelError> {
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
pub(crate) async fn unread(
    clients: &Clients,
    spec: &ChannelSpec,
    queue: &str,
) -> Result<Option<u32>, ChannelError> {
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

/// Whether the stream of the writers is there, which is created last and deleted with the others.
pub(crate) async fn is_there_now(clients: &Clients, spec: &ChannelSpec) -> Result<bool, ChannelError> {
    is_there(clients, spec, &stream(spec.name(), Side::Writers)).await
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
