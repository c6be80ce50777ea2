//! Status over two streams a channel.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer, Error, PublisherConfirm};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, StatusEvent, StatusLog};
use pypz_core::fail_point;
use pypz_core::protocol::{Layout, MemberId, Side, StatusRecord, sign_of_life};
use tokio::sync::mpsc;

use crate::clients::Clients;
use crate::error::words;
use crate::queues::stream;

/// How many status events of a channel may wait.
const EVENTS: usize = 1_024;

/// How many records may wait to be published; the newest says everything.
const OUTGOING: usize = 1_024;

/// How many records a consumer may have in hand.
const PREFETCH: u16 = 500;

/// The message type of a mark.
const MARK: &str = "pypz.mark";

/// Between two attempts after an error: a channel whose streams are deleted is over for us, and costs next to nothing.
const AGAIN: Duration = Duration::from_millis(200);

/// One channel's status log.
pub(crate) struct RabbitMqStatusLog {
    channel: String,
    events: mpsc::Receiver<StatusEvent>,
    outgoing: mpsc::Sender<StatusRecord>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl RabbitMqStatusLog {
    /// Opens the log, whose streams must exist.
    pub(crate) fn open(clients: &Arc<Clients>, spec: &ChannelSpec) -> Self {
        let (given, events) = mpsc::channel(EVENTS);
        let (outgoing, taken) = mpsc::channel(OUTGOING);
        let listening = Listening {
            layout: Arc::clone(&spec.layout),
            mark: uuid::Uuid::now_v7().simple().to_string(),
            mark_bytes: mark_bytes(spec),
            next: [None; 2],
            history: [false; 2],
            events: given,
        };
        let tasks = [
            clients.spawn(listen(Arc::clone(clients), listening)),
            clients.spawn(speak(Arc::clone(clients), Arc::clone(&spec.layout), taken)),
        ];
        Self {
            channel: spec.name().to_owned(),
            events,
            outgoing,
            tasks,
        }
    }
}

impl Drop for RabbitMqStatusLog {
    fn drop(&mut self) {
        // What is published is on its way; the broker has it before the connection says good-bye.
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait]
impl StatusLog for RabbitMqStatusLog {
    async fn next(&mut self) -> Result<StatusEvent, ChannelError> {
        match self.events.recv().await {
            Some(event) => Ok(event),
            None => std::future::pending().await,
        }
    }

    fn publish(&mut self, record: StatusRecord) -> Result<(), ChannelError> {
        self.outgoing
            .try_send(record)
            .map_err(|error| ChannelError::Transport {
                channel: self.channel.clone(),
                reason: format!("status is not published: {error}"),
            })
    }
}

/// The text of a mark: a sign of life of a member of this process.
fn mark_bytes(spec: &ChannelSpec) -> Vec<u8> {
    let reader = spec.local_readers.first().copied().map(MemberId::reader);
    let writer = || MemberId::writer(spec.local_writers.first().copied().unwrap_or(0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    sign_of_life(&spec.layout, reader.unwrap_or_else(writer), now)
}

/// Publishes what the protocol says, in order. A record that meets a lost connection goes first on the next one.
async fn speak(clients: Arc<Clients>, layout: Arc<Layout>, mut outgoing: mpsc::Receiver<StatusRecord>) {
    let mut kept = None;
    loop {
        let channel = clients.publishing.channel().await;
        loop {
            let next = match kept.take() {
                Some(kept) => Some(kept),
                None => outgoing.recv().await,
            };
            let Some(record) = next else {
                return;
            };
            let stream = stream(&layout.channel, record.side);
            if let Err(error) = publish(&channel, &stream, &record.bytes, text()).await {
                tracing::debug!(stream, "status not published: {}", words(&error));
                kept = Some(record);
                break;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The properties of text: pypz-python's client takes what has no encoding for bytes.
fn text() -> BasicProperties {
    BasicProperties::default().with_content_encoding("utf-8".into())
}

async fn publish(
    channel: &Channel,
    stream: &str,
    bytes: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, Error> {
    let options = BasicPublishOptions::default();
    fail_point::pass("rabbitmq.status");
    channel
        .basic_publish("".into(), stream.into(), options, bytes, properties)
        .await
}

/// What a listener has heard so far.
struct Listening {
    layout: Arc<Layout>,
    /// The id of our marks.
    mark: String,
    mark_bytes: Vec<u8>,
    /// By side: the offset of the next record.
    next: [Option<u64>; 2],
    /// By side: whether all is read that was there when we came.
    history: [bool; 2],
    events: mpsc::Sender<StatusEvent>,
}

async fn listen(clients: Arc<Clients>, mut listening: Listening) {
    loop {
        let channel = clients.consuming.channel().await;
        match listening.serve(&clients, &channel).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(channel = &*listening.layout.channel, "status: {}", words(&error)),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Listening {
    /// Returns when nobody listens any more.
    async fn serve(&mut self, clients: &Clients, channel: &Channel) -> Result<(), Error> {
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut consumers = Vec::new();
        for side in Side::BOTH {
            consumers.push(self.consume(channel, side).await?);
        }
        self.leave_marks(clients).await?;
        let [readers, writers] = &mut consumers[..] else {
            return Ok(());
        };
        let mut unanswered = 0;
        loop {
            let (place, delivery) = tokio::select! {
                delivery = readers.next() => (0, delivery),
                delivery = writers.next() => (1, delivery),
            };
            let Some(delivery) = delivery else {
                return Err(
                    lapin::ErrorKind::InvalidChannelState(lapin::ChannelState::Closed, "status").into(),
                );
            };
            let delivery = delivery?;
            // On a stream an acknowledgement asks for more and says nothing of what was heard: a half window at a time is enough.
            unanswered += 1;
            if unanswered >= PREFETCH / 2 {
                unanswered = 0;
                delivery.acker.ack(BasicAckOptions { multiple: true }).await?;
            }
            if self.hear(place, delivery).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn consume(&self, channel: &Channel, side: Side) -> Result<Consumer, Error> {
        let stream = stream(&self.layout.channel, side);
        let start = match self.next[place(side)] {
            None => AMQPValue::LongString("first".into()),
            Some(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), start);
        let tag = format!("status-consumer-{}", place(side));
        let options = BasicConsumeOptions::default();
        channel
            .basic_consume(stream.as_str().into(), tag.as_str().into(), options, arguments)
            .await
    }

    /// A stream does not tell its end: what is before a mark of our own was there when we came.
    async fn leave_marks(&self, clients: &Clients) -> Result<(), Error> {
        if self.history == [true; 2] {
            return Ok(());
        }
        let channel = clients.publishing.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mark = text()
            .with_type(MARK.into())
            .with_message_id(self.mark.as_str().into());
        for side in Side::BOTH {
            let stream = stream(&self.layout.channel, side);
            // Without its confirm a mark that was lost would be waited for in vain.
            publish(&channel, &stream, &self.mark_bytes, mark.clone())
                .await?
                .await?;
        }
        let _ = channel.close(200, "done".into()).await;
        Ok(())
    }

    /// Gives a record to the protocol; fails when nobody listens any more.
    async fn hear(
        &mut self,
        place: usize,
        delivery: Delivery,
    ) -> Result<(), mpsc::error::SendError<StatusEvent>> {
        if let Some(offset) = offset_of(&delivery) {
            if self.next[place].is_some_and(|next| offset < next) {
                // A stream gives out whole chunks: this one was heard before the connection was lost.
                return Ok(());
            }
            self.next[place] = Some(offset + 1);
        }
        let kind = delivery.properties.kind().as_ref();
        if kind.is_none_or(|kind| kind.as_str() != MARK) {
            let record = StatusRecord {
                side: Side::BOTH[place],
                bytes: delivery.data,
            };
            return self.events.send(StatusEvent::Record(record)).await;
        }
        let id = delivery.properties.message_id().as_ref();
        if id.is_some_and(|id| id.as_str() == self.mark) && !self.history[place] {
            self.history[place] = true;
            if self.history == [true; 2] {
                return self.events.send(StatusEvent::HistoryRead).await;
            }
        }
        Ok(())
    }
}

const fn place(side: Side) -> usize {
    match side {
        Side::Readers => 0,
        Side::Writers => 1,
    }
}

fn offset_of(delivery: &Delivery) -> Option<u64> {
    let headers = delivery.properties.headers().as_ref()?;
    match headers.inner().get("x-stream-offset")? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}
