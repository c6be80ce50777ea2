//! Somebody else at the broker, with a client of their own: deletes, changes and writes what is not theirs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::brokers::Broker;
use crate::line::Transport;

/// How long the broker may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Somebody with a client.
pub(crate) enum Meddler {
    /// At Kafka.
    Kafka(ClientConfig),
    /// At RabbitMQ. The connection is kept because the channel lives in it.
    Rabbitmq(Box<(Channel, Connection)>),
}

/// Which status of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Of its readers.
    Readers,
    /// Of its writers.
    Writers,
}

impl Meddler {
    /// Somebody at a broker.
    pub(crate) async fn at(transport: Transport, broker: &Broker) -> Result<Self> {
        match transport {
            Transport::Kafka => {
                let mut config = ClientConfig::new();
                config.set(
                    "bootstrap.servers",
                    broker.location.trim_start_matches("kafka://"),
                );
                Ok(Self::Kafka(config))
            }
            Transport::Rabbitmq => {
                let properties = ConnectionProperties::default();
                let connection =
                    Connection::connect(broker.location.trim_end_matches('/'), properties).await?;
                let channel = connection.create_channel().await?;
                Ok(Self::Rabbitmq(Box::new((channel, connection))))
            }
        }
    }

    /// The name of a channel's status.
    pub(crate) fn status(&self, channel: &str, of: Status) -> String {
        match (self, of) {
            (Self::Kafka(_), Status::Readers) => format!("{channel}.input.state"),
            (Self::Kafka(_), Status::Writers) => format!("{channel}.output.state"),
            (Self::Rabbitmq(..), Status::Readers) => format!("{channel}.reader.status"),
            (Self::Rabbitmq(..), Status::Writers) => format!("{channel}.writer.status"),
        }
    }

    /// Whether a topic or queue is there.
    pub(crate) async fn is_there(&self, name: &str) -> Result<bool> {
        match self {
            Self::Kafka(config) => {
                let consumer: BaseConsumer = config.create()?;
                let name = name.to_owned();
                let look = tokio::task::spawn_blocking(move || {
                    consumer
                        .fetch_metadata(None, ANSWER)
                        .map(|all| all.topics().iter().any(|topic| topic.name() == name))
                });
                Ok(look.await??)
            }
            Self::Rabbitmq(at) => {
                let connection = &at.1;
                // The answer that it is not there closes the channel it was asked on.
                let channel = connection.create_channel().await?;
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                Ok(channel
                    .queue_declare(name.into(), passive, FieldTable::default())
                    .await
                    .is_ok())
            }
        }
    }

    /// Makes a topic with so many partitions, as soon as one of the same name that was deleted is gone.
    pub(crate) async fn make(&self, name: &str, partitions: i32) -> Result<()> {
        let Self::Kafka(config) = self else {
            bail!("only topics are made");
        };
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let begun = Instant::now();
        loop {
            let made = admin.create_topics([&topic], &AdminOptions::new()).await?;
            match made.into_iter().next() {
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) if begun.elapsed() < ANSWER => {}
                Some(Err((topic, error))) => bail!("{topic}: {error}"),
                _ => return Ok(()),
            }
        }
    }

    /// Deletes a topic or queue with all that is in it.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        match self {
            Self::Kafka(config) => {
                let admin: AdminClient<DefaultClientContext> = config.create()?;
                let deleted = admin.delete_topics(&[name], &AdminOptions::new()).await?;
                deleted.into_iter().try_for_each(|topic| match topic {
                    Ok(_) => Ok(()),
                    Err((topic, error)) => bail!("{topic}: {error}"),
                })
            }
            Self::Rabbitmq(at) => {
                let channel = &at.0;
                channel
                    .queue_delete(name.into(), QueueDeleteOptions::default())
                    .await?;
                Ok(())
            }
        }
    }

    /// Writes messages to partition 0 of a topic, or to a queue.
    pub(crate) async fn write(&self, name: &str, messages: &[Vec<u8>]) -> Result<()> {
        match self {
            Self::Kafka(config) => {
                let (config, name, messages) = (config.clone(), name.to_owned(), messages.to_vec());
                tokio::task::spawn_blocking(move || write_to_topic(&config, &name, &messages)).await?
            }
            Self::Rabbitmq(at) => {
                let channel = &at.0;
                channel
                    .confirm_select(lapin::options::ConfirmSelectOptions::default())
                    .await?;
                let properties = BasicProperties::default()
                    .with_content_encoding("utf-8".into())
                    .with_delivery_mode(2);
                for crowd in messages.chunks(500) {
                    let mut confirms = Vec::new();
                    for message in crowd {
                        let options = BasicPublishOptions::default();
                        confirms.push(
                            channel
                                .basic_publish("".into(), name.into(), options, message, properties.clone())
                                .await?,
                        );
                    }
                    for confirm in confirms {
                        confirm.await?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes the way from a channel's exchange to its queue away.
    pub(crate) async fn unbind(&self, channel: &str) -> Result<()> {
        let Self::Rabbitmq(at) = self else {
            bail!("only queues are bound");
        };
        at.0.queue_unbind(channel.into(), channel.into(), "".into(), FieldTable::default())
            .await?;
        Ok(())
    }

    /// The dead letters of a channel, at most so many, which are left where they are.
    pub(crate) async fn letters(&self, name: &str, most: usize) -> Result<Vec<Vec<u8>>> {
        let Self::Rabbitmq(at) = self else {
            return self.read(name, most).await;
        };
        let mut letters = Vec::new();
        while letters.len() < most
            && let Some(letter) = at.0.basic_get(name.into(), BasicGetOptions::default()).await?
        {
            letters.push(letter.delivery.data);
        }
        Ok(letters)
    }

    /// The messages of a status, at most so many.
    pub(crate) async fn read(&self, name: &str, most: usize) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::Kafka(config) => {
                let (config, name) = (config.clone(), name.to_owned());
                tokio::task::spawn_blocking(move || read_topic(&config, &name, most)).await?
            }
            Self::Rabbitmq(at) => {
                let connection = &at.1;
                let channel = connection.create_channel().await?;
                channel.basic_qos(100, BasicQosOptions::default()).await?;
                let mut arguments = FieldTable::default();
                arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
                let options = BasicConsumeOptions::default();
                let mut consumer = channel
                    .basic_consume(name.into(), "meddler".into(), options, arguments)
                    .await?;
                let mut read = Vec::new();
                // A stream tells no end, and heartbeats come all the time.
                let enough = tokio::time::Instant::now() + Duration::from_secs(1);
                while read.len() < most
                    && let Ok(Some(next)) = tokio::time::timeout_at(enough, consumer.next()).await
                {
                    let next = next?;
                    next.ack(lapin::options::BasicAckOptions::default()).await?;
                    read.push(next.data);
                }
                Ok(read)
            }
        }
    }
}

fn write_to_topic(config: &ClientConfig, topic: &str, messages: &[Vec<u8>]) -> Result<()> {
    let mut config = config.clone();
    config
        .set("message.max.bytes", "20000000")
        .set("queue.buffering.max.messages", "1000000");
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = config.create()?;
    for message in messages {
        let record = BaseRecord::to(topic).partition(0).key("state").payload(message);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .with_context(|| topic.to_owned())?;
    }
    Ok(producer.flush(ANSWER)?)
}

fn read_topic(config: &ClientConfig, topic: &str, most: usize) -> Result<Vec<Vec<u8>>> {
    let mut config = config.clone();
    config
        .set("group.id", "meddler")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, ANSWER)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Offset(low))?;
    consumer.assign(&assignment)?;
    let mut read = Vec::new();
    while read.len() < most {
        let Some(message) = consumer.poll(ANSWER) else {
            bail!("{topic}: nothing comes although its log goes to {high}");
        };
        let message = message?;
        read.push(message.payload().unwrap_or_default().to_vec());
        if message.offset() + 1 >= high {
            break;
        }
    }
    Ok(read)
}
