//! The context of a producer of data: counts deliveries, wakes writers that wait for room, knows which topics are known.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::{Notify, OnceCell};

use crate::acknowledge::Block;
use crate::trouble::Trouble;

/// How fetching a topic's metadata went.
type Fetched = OnceCell<Result<(), KafkaError>>;

/// The context of a producer of data.
pub(crate) struct Deliveries {
    pub(crate) trouble: Arc<Trouble>,
    room: Notify,
    full: AtomicBool,
    delivered: AtomicUsize,
    /// Topics whose metadata the producer has, or is about to have.
    topics: Mutex<HashMap<String, Arc<Fetched>>>,
}

impl Deliveries {
    pub(crate) fn new(trouble: Arc<Trouble>) -> Self {
        Self {
            trouble,
            room: Notify::new(),
            full: AtomicBool::new(false),
            delivered: AtomicUsize::new(0),
            topics: Mutex::default(),
        }
    }

    /// Fetches a topic's metadata for the first writer that asks; the others wait for it, and fail as it does.
    pub(crate) async fn know(
        &self,
        topic: &str,
        fetch: impl Future<Output = Result<(), KafkaError>> + Send,
    ) -> Result<(), KafkaError> {
        let known = {
            let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(topics.entry(topic.to_owned()).or_default())
        };
        known.get_or_init(|| fetch).await.clone()
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
