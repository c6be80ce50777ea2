//! Dead letters as a bare client finds them, who takes them away.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::options::{BasicGetOptions, QueueDeleteOptions};
use lapin::types::AMQPValue;
use lapin::{Connection, ConnectionProperties};
use pypz_testkit::brokers;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) payload: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Reads a topic of one partition to its end, what is committed, and deletes it.
pub(crate) async fn kafka(topic: &str) -> Vec<Letter> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers::kafka());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let settings = [
        ("group.id", topic),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
    ];
    for (name, value) in settings {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    let mut letters = Vec::new();
    loop {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => {
                let headers = message.headers().unwrap();
                let headers = headers
                    .iter()
                    .map(|header| (header.key.to_owned(), text(header.value.unwrap())));
                letters.push(Letter {
                    payload: message.payload().unwrap().to_vec(),
                    key: message.key().unwrap_or_default().to_vec(),
                    headers: headers.collect(),
                });
            }
            Some(Err(KafkaError::PartitionEOF(0))) => break,
            other => panic!("{topic}: {other:?}"),
        }
    }
    admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    letters
}

/// Takes all messages out of a queue and deletes everything of its channel.
pub(crate) async fn rabbitmq(queue: &str) -> Vec<Letter> {
    let location = brokers::rabbitmq();
    let uri = match location.strip_suffix('/') {
        Some(root) => format!("{root}/%2f"),
        None => location,
    };
    let connection = Connection::connect(&uri, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut letters = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
        let message = message.delivery;
        let headers = message.properties.headers().clone().unwrap_or_default();
        let texts = headers.inner().iter().filter_map(|(name, value)| match value {
            AMQPValue::LongString(value) => Some((name.to_string(), text(value.as_bytes()))),
            _ => None,
        });
        let headers: BTreeMap<String, String> = texts.collect();
        letters.push(Letter {
            payload: message.data,
            key: headers
                .get("pypz.key")
                .map(|key| key.clone().into_bytes())
                .unwrap_or_default(),
            headers,
        });
    }
    let stem = queue.trim_end_matches(".dead-letters");
    for left in [
        queue,
        stem,
        &format!("{stem}.reader.status"),
        &format!("{stem}.writer.status"),
    ] {
        channel
            .queue_delete(left.into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }
    channel
        .exchange_delete(stem.into(), Default::default())
        .await
        .unwrap();
    letters
}
