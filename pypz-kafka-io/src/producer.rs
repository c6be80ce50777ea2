//! A producer whose events are polled on a thread of its own.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use crate::polling::Polling;

/// How long the thread waits for an event, and so how long an end waits for the thread at most.
///
/// rdkafka spends what is left of the wait below a whole millisecond spinning. Of whole milliseconds nearly one is left, which is
/// half a percent of a core for each idle `ThreadedProducer`; of this little more than whole ones, nothing: a wait ends a bit late.
const WAIT: Duration = Duration::from_micros(100_020);

/// How long it waits while records are on their way or were lately: last words come shortly before an end.
const WAIT_WHEN_BUSY: Duration = Duration::from_micros(10_020);

/// How long nothing has been on its way when it waits longer.
const QUIET_AFTER: Duration = Duration::from_millis(300);

/// A producer, and the thread that polls it; the thread ends with the last clone.
pub(crate) struct PolledProducer<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    polling: Arc<Polling>,
}

impl<C: ProducerContext + 'static> FromClientConfigAndContext<C> for PolledProducer<C> {
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        let polled = Arc::clone(&producer);
        let mut busy = Instant::now();
        let polling = Polling::start("pypz-kafka-sent", move || {
            if polled.in_flight_count() > 0 {
                busy = Instant::now();
            }
            let is_quiet = busy.elapsed() >= QUIET_AFTER;
            polled.poll(if is_quiet { WAIT } else { WAIT_WHEN_BUSY });
        });
        let polling = polling.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self {
            producer,
            polling: Arc::new(polling),
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
