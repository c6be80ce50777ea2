//! A producer whose events are polled on a thread of its own.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, ProducerContext};

/// How long the thread waits for an event, and so how long an end waits for the thread at most.
///
/// rdkafka spends what is left of the wait below a whole millisecond spinning. Of whole milliseconds nearly one is left, which is
/// half a percent of a core for each idle `ThreadedProducer`; of this little more than whole ones, nothing: a wait ends a bit late.
const WAIT: Duration = Duration::from_micros(100_020);

/// A producer, and the thread that polls it; the thread ends with the last clone.
pub(crate) struct PolledProducer<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    polling: Arc<Polling>,
}

struct Polling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<C: ProducerContext + 'static> FromClientConfigAndContext<C> for PolledProducer<C> {
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        let stop = Arc::new(AtomicBool::new(false));
        let polled = (Arc::clone(&producer), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("pypz-kafka-sent".to_owned());
        let thread = thread.spawn(move || {
            let (producer, stop) = polled;
            while !stop.load(Ordering::Acquire) {
                producer.poll(WAIT);
            }
        });
        let thread = thread.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        let thread = Some(thread);
        Ok(Self {
            producer,
            polling: Arc::new(Polling { stop, thread }),
        })
    }
}

impl<C: ProducerContext + 'static> Clone for PolledProducer<C> {
    fn clone(&self) -> Self {
        Self {
            producer: Arc::clone(&self.producer),
            polling: Arc::clone(&self.polling),
        }
    }
}

impl<C: ProducerContext + 'static> Deref for PolledProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of a callback was printed when it happened.
            let _ = thread.join();
        }
    }
}
