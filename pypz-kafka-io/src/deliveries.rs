//! The context of a producer of data: counts deliveries, and wakes writers that wait for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;

use crate::acknowledge::Block;
use crate::trouble::Trouble;

/// The context of a producer of data.
pub(crate) struct Deliveries {
    pub(crate) trouble: Arc<Trouble>,
    room: Notify,
    full: AtomicBool,
    delivered: AtomicUsize,
}

impl Deliveries {
    pub(crate) fn new(trouble: Arc<Trouble>) -> Self {
        Self {
            trouble,
            room: Notify::new(),
            full: AtomicBool::new(false),
            delivered: AtomicUsize::new(0),
        }
    }

    /// Notes that the client's queue was full.
    pub(crate) fn is_full(&self) {
        self.full.store(true, Ordering::Release);
    }

    /// Waits until some hundred records have left the full queue.
    pub(crate) async fn room(&self) {
        if self.full.load(Ordering::Acquire) {
            self.room.notified().await;
        }
    }

    fn left(&self) {
        const WAKE_EVERY: usize = 512;
        if self.full.load(Ordering::Relaxed)
            && self
                .delivered
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(WAKE_EVERY)
        {
            self.full.store(false, Ordering::Release);
            self.room.notify_waiters();
        }
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.note(&error, reason);
    }

    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
        self.trouble.log(level, fac, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Block>;

    fn delivery(&self, result: &DeliveryResult<'_>, block: Arc<Block>) {
        self.left();
        match result {
            Ok(message) => block.acknowledge(message.partition(), message.offset()),
            Err((error, message)) => block.refuse(message.partition(), error),
        }
    }
}
