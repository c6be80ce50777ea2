//! The task behind one reader: consumes, acknowledges, finds out what is left, and begins again on a new connection.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer, Error};
use pypz_core::ChannelError;
use pypz_core::fail_point;

use crate::clients::{Clients, Pauses};
use crate::error::{is_locked, is_missing, is_refusal, is_starting, words};
use crate::holder::{GIVEN_BACK, Source, hold, let_go};
use crate::inbox::{Acknowledge, Inbox};
use crate::window::Window;

/// How many messages are taken one by one before the reader looks at them.
const TAKEN_AT_ONCE: usize = 64;

/// What is due is acknowledged after this time, if not for another reason earlier.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(10);

/// The most messages that are taken in before what is processed is looked at.
const AT_ONCE: usize = 256;

/// Between two looks whether a queue that still fills us is empty.
const LOOK_AT_DEPTH: Duration = Duration::from_millis(20);

/// Why it is of no use to consume again.
fn hopeless(lost: &Error, clients: &Clients, queue: &str) -> Option<ChannelError> {
    if is_missing(lost) && !is_starting(lost) {
        return Some(ChannelError::Mismatch {
            object: format!("queue {queue}"),
            reason: "it was deleted by someone else".to_owned(),
        });
    }
    is_refusal(lost).then(|| ChannelError::Authentication {
        location: clients.location.to_string(),
        reason: words(lost),
    })
}

/// Serves a reader until it closes.
pub(crate) async fn run(clients: Arc<Clients>, inbox: Arc<Inbox>, source: Source) {
    let (queue, holder) = (&*source.queue, &*source.holder);
    let (mut pauses, mut held_since) = (Pauses::new(), None::<Instant>);
    loop {
        let channel = tokio::select! {
            channel = clients.consuming.channel() => channel,
            () = closed(&inbox) => return,
        };
        inbox.lock().reconnected();
        let mut task = Task {
            inbox: &inbox,
            queue,
            holder,
            held_back: held_since.is_some(),
            channel,
            consumers: Vec::new(),
            window: Window::new(source.prefetch),
            cancelled: false,
            // Something may have become due while there was no channel.
            due_since: Some(Instant::now()),
        };
        let lost = match task.serve().await {
            Ok(()) => return,
            Err(lost) => lost,
        };
        if is_locked(&lost) {
            let since = *held_since.get_or_insert_with(|| source.is_held());
            inbox.held_back();
            if since.elapsed() >= source.held_at_most {
                inbox.fail(source.held_too_long(&inbox.channel));
                return;
            }
            tokio::select! {
                () = pauses.next() => continue,
                () = closed(&inbox) => return,
            }
        }
        if let Some(hopeless) = hopeless(&lost, &clients, queue) {
            inbox.fail(hopeless);
            return;
        }
        if inbox.lock().consumes {
            // It had worked: this is no attempt that failed again.
            (pauses, held_since) = (Pauses::new(), None);
        }
        tracing::warn!(
            queue,
            "consumer lost, what is in hand may come again: {}",
            words(&lost)
        );
        pauses.next().await;
    }
}

async fn closed(inbox: &Inbox) {
    while !inbox.lock().closing {
        inbox.wake.notified().await;
    }
}

/// What a task has to do next.
enum Next {
    Came(Vec<Delivery>),
    Lost(Error),
    /// A consumer ended without an error.
    Gone,
    /// Something else.
    Nothing,
}

/// Takes what is there of all consumers: what is taken at once is handed over at once.
fn poll_deliveries(consumers: &mut [(Consumer, u16)], cx: &mut Context<'_>) -> Poll<Next> {
    let mut came = Vec::new();
    for (consumer, _) in consumers {
        while came.len() < AT_ONCE {
            match consumer.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(delivery))) => came.push(delivery),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Lost(error)),
                Poll::Ready(None) => return Poll::Ready(Next::Gone),
                Poll::Pending => break,
            }
        }
    }
    if came.is_empty() {
        Poll::Pending
    } else {
        Poll::Ready(Next::Came(came))
    }
}

struct Task<'a> {
    inbox: &'a Inbox,
    queue: &'a str,
    holder: &'a str,
    /// Another connection had the messages of this replica a moment ago.
    held_back: bool,
    channel: Channel,
    /// With how many messages each may have in hand.
    consumers: Vec<(Consumer, u16)>,
    window: Window,
    cancelled: bool,
    /// Since when something is due to acknowledge.
    due_since: Option<Instant>,
}

impl Task<'_> {
    /// Returns when the reader closes; the error says how the channel was lost.
    async fn serve(&mut self) -> Result<(), Error> {
        hold(&self.channel, self.holder).await?;
        if self.held_back {
            tokio::time::sleep(GIVEN_BACK).await;
        }
        self.consume(self.window.first()).await?;
        self.inbox.consumes();
        loop {
            match self.next().await {
                Next::Came(deliveries) => {
                    self.window.came(deliveries.len());
                    self.inbox.push(deliveries);
                }
                Next::Lost(error) => return Err(error),
                Next::Gone => return Err(self.gone().await),
                Next::Nothing => {}
            }
            self.acknowledge().await?;
            if self.inbox.lock().closing {
                self.close().await;
                return Ok(());
            }
            self.read_on().await?;
            self.find_the_end().await?;
            self.widen().await?;
            self.narrow().await?;
        }
    }

    async fn consume(&mut self, prefetch: u16) -> Result<(), Error> {
        self.channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await?;
        let tag = format!("data-consumer-{}", self.consumers.len());
        let options = BasicConsumeOptions::default();
        let (queue, none) = (self.queue.into(), FieldTable::default());
        let consumer = self
            .channel
            .basic_consume(queue, tag.as_str().into(), options, none)
            .await?;
        self.consumers.push((consumer, prefetch));
        Ok(())
    }

    /// Waits for deliveries of whichever consumer, or for something to do.
    async fn next(&mut self) -> Next {
        let is_ending = {
            let state = self.inbox.lock();
            state.ending && !state.empty
        };
        let pause = if is_ending {
            LOOK_AT_DEPTH
        } else {
            ACKNOWLEDGE_AFTER
        };
        let is_timed = is_ending || self.due_since.is_some();
        let (inbox, consumers) = (self.inbox, &mut self.consumers);
        tokio::select! {
            biased;
            next = std::future::poll_fn(|cx| poll_deliveries(consumers, cx)), if !self.cancelled => next,
            () = inbox.wake.notified() => Next::Nothing,
            () = tokio::time::sleep(pause), if is_timed => Next::Nothing,
        }
    }

    /// Why a consumer ended that we did not cancel: asking says it.
    async fn gone(&self) -> Error {
        match self.depth().await {
            Err(error) => error,
            Ok(_) => {
                lapin::ErrorKind::InvalidChannelState(lapin::ChannelState::Closed, "basic.cancel").into()
            }
        }
    }

    /// Whether it is time to acknowledge: enough has become due, some has been due for a while, or somebody waits for it.
    fn is_time(&mut self) -> bool {
        let mut state = self.inbox.lock();
        let waits = state.flushing > 0 || state.closing || (state.ending && !state.empty);
        if !state.has_due(1) {
            state.told = false;
            self.due_since = None;
            return waits;
        }
        let many = state.has_due(self.inbox.many);
        let since = *self.due_since.get_or_insert_with(Instant::now);
        if waits || many || since.elapsed() >= ACKNOWLEDGE_AFTER {
            self.due_since = None;
            return true;
        }
        false
    }

    /// Acknowledges what is processed, and has the broker confirm it if somebody waits for that.
    async fn acknowledge(&mut self) -> Result<(), Error> {
        if !self.is_time() {
            return Ok(());
        }
        let (due, up_to) = self.inbox.lock().due();
        if due.is_some() {
            fail_point::pass("rabbitmq.acknowledge");
        }
        match due {
            None => {}
            Some(Acknowledge::UpTo(tag)) => {
                self.channel
                    .basic_ack(tag, BasicAckOptions { multiple: true })
                    .await?;
            }
            Some(Acknowledge::Each(tags)) => {
                for tag in tags {
                    self.channel
                        .basic_ack(tag, BasicAckOptions { multiple: false })
                        .await?;
                }
            }
        }
        fail_point::pass("rabbitmq.acknowledged");
        let is_waited_for = {
            let state = self.inbox.lock();
            state.flushing > 0 && !state.waits_for_given_back()
        };
        if is_waited_for {
            // Acknowledgements are not answered, but a channel does one thing after the other.
            self.channel
                .basic_qos(self.window.first(), BasicQosOptions::default())
                .await?;
            self.inbox.settle(up_to);
        }
        Ok(())
    }

    /// Adds a consumer when all that may be in hand is given out and none of it acknowledged: an operator that commits late
    /// needs to see more.
    async fn widen(&mut self) -> Result<(), Error> {
        let in_hand = {
            let state = self.inbox.lock();
            let is_starved = state.hungry && state.waiting() == 0 && !self.cancelled;
            is_starved.then(|| state.in_hand())
        };
        match in_hand.and_then(|in_hand| self.window.starved(in_hand)) {
            Some(more) => self.consume(more).await,
            None => Ok(()),
        }
    }

    /// Takes back a consumer that was added when it has not been needed for long.
    async fn narrow(&mut self) -> Result<(), Error> {
        if self.cancelled {
            return Ok(());
        }
        if let [_, .., (_, last)] = self.consumers[..]
            && self.window.narrows(last)
            && let Some((consumer, _)) = self.consumers.pop()
        {
            self.cancel(consumer).await?;
        }
        Ok(())
    }

    async fn depth(&self) -> Result<u32, Error> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = self
            .channel
            .queue_declare(self.queue.into(), passive, FieldTable::default())
            .await?;
        Ok(found.message_count())
    }

    /// The end is proven, not inferred: after `cancel-ok` no message is on its way to us, and then we ask for more until
    /// there is none. The queue's depth only tells when it is worth to begin.
    async fn find_the_end(&mut self) -> Result<(), Error> {
        let has_to_look = {
            let state = self.inbox.lock();
            state.ending && !state.empty && state.waiting() == 0
        };
        if !has_to_look {
            return Ok(());
        }
        if !self.cancelled {
            if self.depth().await? > 0 {
                return Ok(());
            }
            for (consumer, _) in std::mem::take(&mut self.consumers) {
                self.cancel(consumer).await?;
            }
            self.cancelled = true;
        }
        for _ in 0..TAKEN_AT_ONCE {
            if self.inbox.lock().waiting() > 0 {
                return Ok(());
            }
            let options = BasicGetOptions::default();
            match self.channel.basic_get(self.queue.into(), options).await? {
                Some(message) => self.inbox.push([message.delivery]),
                None => {
                    self.inbox.lock().proven_empty();
                    self.inbox.filled.notify_one();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Consumes again, if more is asked for behind an end.
    async fn read_on(&mut self) -> Result<(), Error> {
        if self.cancelled && !self.inbox.lock().ending {
            self.cancelled = false;
            self.consume(self.window.first()).await?;
        }
        Ok(())
    }

    /// Cancels a consumer and takes in what was on its way.
    async fn cancel(&self, mut consumer: Consumer) -> Result<(), Error> {
        let options = BasicCancelOptions::default();
        self.channel.basic_cancel(consumer.tag(), options).await?;
        while let Some(delivery) = consumer.next().await {
            self.inbox.push([delivery?]);
        }
        Ok(())
    }

    /// Gives back what is not acknowledged, and then lets whoever comes next have it.
    async fn close(&mut self) {
        for (consumer, _) in std::mem::take(&mut self.consumers) {
            let _ = self.cancel(consumer).await;
        }
        let all = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        let _ = self.channel.basic_nack(0, all).await;
        let_go(&self.channel, self.holder).await;
        let _ = self.channel.close(200, "done".into()).await;
    }
}
