//! The task behind one writer: publishes, takes in confirms, and publishes again on a new connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, maybe_done};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Error};

use pypz_core::fail_point;

use crate::clients::{Clients, Pauses};
use crate::error::{is_missing, is_refusal, is_starting, transport, words};
use crate::outbox::{Content, Outbox, Outgoing, WINDOW};
use crate::pack::PACK;

/// AMQP's delivery mode of messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// Publishes until the writer closes. What the broker has not confirmed when a connection is lost is published again on the
/// next one, in order and under the same ids.
pub(crate) async fn run(clients: Arc<Clients>, outbox: Arc<Outbox>) {
    let (mut unconfirmed, mut pauses) = (VecDeque::<Arc<Outgoing>>::new(), Pauses::new());
    loop {
        let channel = tokio::select! {
            channel = clients.publishing.channel() => channel,
            () = given_up(&outbox) => return,
        };
        let mut publisher = Publisher {
            outbox: &outbox,
            channel: &channel,
            confirms: VecDeque::new(),
        };
        let acknowledged = outbox.confirmed_records();
        let served = publisher.serve(&mut unconfirmed).await;
        // In order: what was published first, then what had not been published again.
        let again = publisher.confirms.drain(..).map(|(message, _)| message);
        let rest = std::mem::take(&mut unconfirmed);
        unconfirmed = again.chain(rest).collect();
        match served {
            Ok(()) => return,
            Err(Lost::Refused(reason)) => {
                outbox.fail(reason);
                return;
            }
            Err(Lost::Connection(error)) if is_missing(&error) && !is_starting(&error) => {
                outbox.fail(format!(
                    "the exchange was deleted by someone else ({})",
                    words(&error)
                ));
                return;
            }
            Err(Lost::Connection(error)) if is_refusal(&error) => {
                outbox.refuse(transport(
                    &clients.location,
                    &outbox.channel,
                    "publishing",
                    &error,
                ));
                return;
            }
            Err(lost) => {
                if outbox.confirmed_records() > acknowledged {
                    pauses = Pauses::new();
                }
                let cause = match lost {
                    Lost::Connection(error) => words(&error),
                    Lost::Nack | Lost::Refused(_) => "the queue takes no messages now (nack)".to_owned(),
                };
                let (channel, waiting) = (&outbox.channel, unconfirmed.len());
                tracing::warn!(
                    channel,
                    "{waiting} messages are not confirmed and are published again: {cause}"
                );
            }
        }
        pauses.next().await;
    }
}

async fn given_up(outbox: &Outbox) {
    while !outbox.is_closing() {
        outbox.wake.notified().await;
    }
}

enum Lost {
    Connection(Error),
    Nack,
    Refused(String),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

/// A message that is handed to the connection, until the broker has said that it holds it, or not.
type Confirm<'a> = MaybeDone<BoxFuture<'a, Result<(), Lost>>>;

struct Publisher<'a> {
    outbox: &'a Outbox,
    channel: &'a Channel,
    /// In the order in which they were published.
    confirms: VecDeque<(Arc<Outgoing>, Confirm<'a>)>,
}

impl<'a> Publisher<'a> {
    async fn serve(&mut self, again: &mut VecDeque<Arc<Outgoing>>) -> Result<(), Lost> {
        self.channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        loop {
            self.collect()?;
            let room = WINDOW - self.confirms.len();
            if again.is_empty() {
                *again = self.outbox.take(room);
            }
            for message in again.drain(..room.min(again.len())) {
                let confirm = self.publish(Arc::clone(&message));
                self.confirms.push_back((message, confirm));
            }
            if self.confirms.is_empty() {
                if self.outbox.is_closing() {
                    let _ = self.channel.close(200, "done".into()).await;
                    return Ok(());
                }
                self.outbox.wake.notified().await;
                continue;
            }
            // Confirms come in crowds: waiting for the one in the middle costs a wake-up for half of them, not one each. What
            // waits alone is waited for itself. Those of several queues come in any order, so the middle may be there before
            // the first.
            let middle = (self.confirms.len() - 1) / 2;
            let is_there =
                |(_, confirm): &(Arc<Outgoing>, Confirm<'_>)| !matches!(confirm, MaybeDone::Future(_));
            let watched = if self.confirms.get(middle).is_some_and(is_there) {
                0
            } else {
                middle
            };
            let outbox = self.outbox;
            let Some((_, confirm)) = self.confirms.get_mut(watched) else {
                continue;
            };
            tokio::select! {
                biased;
                () = confirm => {}
                () = outbox.wake.notified() => {}
            }
        }
    }

    /// Hands a message to the connection, without waiting until it is written: that would be two wake-ups a message.
    fn publish(&self, message: Arc<Outgoing>) -> Confirm<'a> {
        let (outbox, channel) = (self.outbox, self.channel);
        let publishing = async move {
            let mandatory = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let id = format!("{}.{}", outbox.writer, message.first);
            let mut properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_message_id(id.into());
            match &message.content {
                Content::Record => {}
                Content::Headed(headers) => properties = properties.with_headers(headers.clone()),
                Content::Pack => properties = properties.with_content_type(PACK.into()),
            }
            let key = outbox.routing_keys.get(message.partition as usize);
            let (exchange, key) = (outbox.exchange.clone(), key.cloned().unwrap_or_default());
            let confirm = channel.basic_publish(exchange, key, mandatory, &message.body, properties);
            held(confirm.await?.await?, outbox, &message)
        };
        let mut confirm = maybe_done(publishing.boxed());
        fail_point::pass("rabbitmq.publish");
        // lapin takes the frames over when it is looked at for the first time, in the order of the calls.
        let _ = (&mut confirm).now_or_never();
        fail_point::pass("rabbitmq.published");
        confirm
    }

    /// Takes in the confirms that are there, of the first messages.
    fn collect(&mut self) -> Result<(), Lost> {
        let mut confirmed = Vec::new();
        let mut collected = Ok(());
        while let Some((_, confirm)) = self.confirms.front_mut()
            && confirm.now_or_never().is_some()
            && let Some(held) = Pin::new(confirm).take_output()
        {
            collected = held;
            if collected.is_err() {
                break;
            }
            confirmed.extend(self.confirms.pop_front().map(|(message, _)| message));
        }
        if !confirmed.is_empty() {
            fail_point::pass("rabbitmq.confirmed");
            self.outbox.confirmed(&confirmed);
        }
        collected
    }
}

/// Whether a confirm says that the broker holds a message.
fn held(confirmation: Confirmation, outbox: &Outbox, message: &Outgoing) -> Result<(), Lost> {
    match confirmation {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
        // An unroutable message is returned, and acknowledged behind it.
        Confirmation::Ack(Some(returned)) => Err(Lost::Refused(format!(
            "returned {} {} from record {}.{} on: the queue or its binding was removed by someone else",
            returned.reply_code, returned.reply_text, outbox.writer, message.first
        ))),
        Confirmation::Nack(_) => Err(Lost::Nack),
    }
}
