//! lapin alone, one record a message.
//!
//! Persistent, mandatory messages with ids and confirms in a window, through an exchange into a quorum queue of the same arguments as
//! ours, acknowledged many at once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, Error, ExchangeKind,
    PublisherConfirm,
};
use pypz_testkit::{brokers, names};

/// Messages that are published and not confirmed, as ours.
const WINDOW: usize = 1_024;

/// Messages that are given out and not acknowledged.
pub const PREFETCH: u16 = 64;

const RECORD_BYTES: usize = 100;

/// As many as ours acknowledges at once with this prefetch.
const ACKNOWLEDGE_EVERY: u64 = 16;

/// When the next message is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    /// When the one before it is written to the socket, as in lapin's documentation.
    Awaited,
    /// When the one before it is handed to the connection.
    AtOnce,
}

/// Two connections, an exchange, and a queue that is consumed.
struct Site {
    name: String,
    publishing: Connection,
    consuming: Connection,
    sender: Channel,
}

impl Site {
    async fn open() -> (Self, Consumer) {
        let location = brokers::rabbitmq();
        // lapin takes an empty path for an empty name.
        let root = location.strip_suffix('/').map(|root| format!("{root}/%2f"));
        let uri = format!("{}?frame_max=8192&heartbeat=10", root.unwrap_or(location));
        let connect = || Connection::connect(&uri, ConnectionProperties::default());
        let (publishing, consuming) = (connect().await.unwrap(), connect().await.unwrap());
        let name = names::unique("bare");
        let sender = publishing.create_channel().await.unwrap();
        let receiver = consuming.create_channel().await.unwrap();
        let (exchange, queue) = (
            ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            },
            QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            },
        );
        let (bind, none) = (QueueBindOptions::default(), FieldTable::default);
        let named = || name.as_str().into();
        sender
            .exchange_declare(named(), ExchangeKind::Direct, exchange, none())
            .await
            .unwrap();
        sender.queue_declare(named(), queue, arguments()).await.unwrap();
        sender
            .queue_bind(named(), named(), "".into(), bind, none())
            .await
            .unwrap();
        let confirmed = ConfirmSelectOptions::default();
        sender.confirm_select(confirmed).await.unwrap();
        let prefetch = BasicQosOptions::default();
        receiver.basic_qos(PREFETCH, prefetch).await.unwrap();
        let consume = BasicConsumeOptions::default();
        let consumer = receiver
            .basic_consume(named(), "bare".into(), consume, none())
            .await
            .unwrap();
        let site = Self {
            name,
            publishing,
            consuming,
            sender,
        };
        (site, consumer)
    }

    async fn close(self) {
        let named = || self.name.as_str().into();
        let (queue, exchange) = (QueueDeleteOptions::default(), ExchangeDeleteOptions::default());
        self.sender.queue_delete(named(), queue).await.unwrap();
        self.sender.exchange_delete(named(), exchange).await.unwrap();
        for connection in [self.publishing, self.consuming] {
            let _ = connection.close(200, "done".into()).await;
        }
    }
}

/// The time between the first and the last arrival of one run.
pub async fn run(records: usize, publishing: Publishing) -> Duration {
    let (site, consumer) = Site::open().await;
    let taken = tokio::spawn(take(consumer, records as u64));
    let (sender, exchange) = (site.sender.clone(), site.name.clone());
    // On a worker, as ours: what the main thread does crosses threads each time.
    let published = match publishing {
        Publishing::Awaited => tokio::spawn(publish_awaited(sender, exchange, records)),
        Publishing::AtOnce => tokio::spawn(publish_at_once(sender, exchange, records)),
    };
    published.await.unwrap();
    let time = taken.await.unwrap();
    site.close().await;
    time
}

/// Takes records and acknowledges many at once.
async fn take(mut consumer: Consumer, records: u64) -> Duration {
    let (mut taken, mut first) = (0, None);
    while taken < records {
        let delivery = consumer.next().await.unwrap().unwrap();
        taken += 1;
        first.get_or_insert_with(Instant::now);
        if taken % ACKNOWLEDGE_EVERY == 0 || taken == records {
            let many = BasicAckOptions { multiple: true };
            delivery.acker.ack(many).await.unwrap();
        }
    }
    first.map_or(Duration::ZERO, |first| first.elapsed())
}

/// Hands one message to the connection.
async fn publish(
    sender: &Channel,
    exchange: &str,
    number: usize,
    body: &[u8],
) -> Result<PublisherConfirm, Error> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let id = format!("0123456789abcdef0123456789abcdef.{number}");
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id(id.into());
    sender
        .basic_publish(exchange.into(), "".into(), mandatory, body, properties)
        .await
}

async fn publish_awaited(sender: Channel, exchange: String, records: usize) {
    let body = vec![7; RECORD_BYTES];
    let mut confirms = VecDeque::new();
    for number in 0..records {
        confirms.push_back(publish(&sender, &exchange, number, &body).await.unwrap());
        if confirms.len() >= WINDOW {
            confirms.pop_front().unwrap().await.unwrap();
        }
    }
    for confirm in confirms {
        confirm.await.unwrap();
    }
}

async fn publish_at_once(sender: Channel, exchange: String, records: usize) {
    let body = vec![7; RECORD_BYTES];
    type Confirm<'a> = Pin<Box<dyn Future<Output = Result<Confirmation, Error>> + Send + 'a>>;
    let mut confirms = VecDeque::<Confirm<'_>>::new();
    for number in 0..records {
        let (sender, exchange, body) = (&sender, &exchange, &body);
        let mut confirm: Confirm<'_> =
            Box::pin(async move { publish(sender, exchange, number, body).await?.await });
        // The first look hands it over.
        match confirm.as_mut().now_or_never() {
            Some(confirmed) => drop(confirmed.unwrap()),
            None => confirms.push_back(confirm),
        }
        if confirms.len() >= WINDOW {
            confirms.pop_front().unwrap().await.unwrap();
        }
    }
    for confirm in confirms {
        confirm.await.unwrap();
    }
}

/// How long each of some records took that travelled alone.
pub async fn lone_records(records: usize, idle: Duration) -> Vec<Duration> {
    let (site, mut consumer) = Site::open().await;
    let (arrived, mut arrivals) = tokio::sync::mpsc::channel(1);
    let taken = tokio::spawn(async move {
        for _ in 0..records {
            let delivery = consumer.next().await.unwrap().unwrap();
            arrived.send(Instant::now()).await.unwrap();
            let one = BasicAckOptions::default();
            delivery.acker.ack(one).await.unwrap();
        }
    });
    let (sender, exchange) = (site.sender.clone(), site.name.clone());
    let published = tokio::spawn(async move {
        let mut times = Vec::new();
        for number in 0..records {
            tokio::time::sleep(idle).await;
            let sent = Instant::now();
            let body = [7; RECORD_BYTES];
            let confirm = publish(&sender, &exchange, number, &body).await.unwrap();
            times.push(arrivals.recv().await.unwrap() - sent);
            confirm.await.unwrap();
        }
        times
    });
    let times = published.await.unwrap();
    taken.await.unwrap();
    site.close().await;
    times
}

/// The queue that ours has.
fn arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000));
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-overflow", "reject-publish"),
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", "nobody"),
        ("x-dead-letter-strategy", "at-least-once"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments
}
