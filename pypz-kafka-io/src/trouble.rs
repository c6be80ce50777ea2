//! What clients complain about, for whoever waits for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::error::{hint, is_refusal, words};

/// How long what a client said of its brokers is taken for true.
const RECENT: Duration = Duration::from_secs(2);

/// How long a refusal (password, certificate) may repeat itself before it is believed.
const REFUSED_AFTER: Duration = Duration::from_secs(2);

/// The last thing that the clients of a location complained about.
#[derive(Default)]
pub(crate) struct Trouble {
    last: Mutex<Option<String>>,
    refused: Mutex<Option<(Instant, String)>>,
    all_down: Mutex<Option<Instant>>,
}

impl Trouble {
    pub(crate) fn note(&self, error: &KafkaError, reason: &str) {
        let refused = is_refusal(error, reason);
        let reason = format!("{}: {}{}", words(error), reason.escape_debug(), hint(reason));
        tracing::debug!("{reason}");
        if refused {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert_with(|| (Instant::now(), reason.clone()));
        }
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if all_down {
            *self.all_down.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down says less than why the last one was.
        if last.is_none() || !all_down {
            *last = Some(reason);
        }
    }

    /// Whether a client has said not long ago that no broker is there. It says so with each attempt to find one.
    pub(crate) fn is_nobody_there(&self) -> bool {
        let all_down = self.all_down.lock().unwrap_or_else(PoisonError::into_inner);
        all_down.is_some_and(|at| at.elapsed() < RECENT)
    }

    /// Passes a log line of librdkafka on, without control characters.
    pub(crate) fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        if fac == "FAIL" {
            // A broker that hangs up is no error to librdkafka, only a line.
            let said = message.split_once("]: ").map_or(message, |(_, said)| said);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(format!("{}{}", said.escape_debug(), hint(said)));
        }
        let message = message.escape_debug();
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!("librdkafka {fac}: {message}");
            }
            // A connection that cannot be made is logged by whoever waits for it, with the time that is left.
            _ => tracing::debug!("librdkafka {fac}: {message}"),
        }
    }

    pub(crate) fn last(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.unwrap_or_else(|| "no answer".to_owned())
    }

    /// The broker's refusal, once it has lasted.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .as_ref()
            .filter(|(since, _)| since.elapsed() >= REFUSED_AFTER)
            .map(|(_, reason)| reason.clone())
    }
}

/// The context of clients that have no callbacks of their own.
#[derive(Clone)]
pub(crate) struct Listener(pub(crate) Arc<Trouble>);

impl ClientContext for Listener {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.log(level, fac, message);
    }
}

impl ConsumerContext for Listener {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_there_when_all_brokers_are_down_and_not_when_one_is() {
        let trouble = Trouble::default();
        trouble.note(
            &KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure),
            "1/2 brokers are down",
        );
        assert!(!trouble.is_nobody_there());
        trouble.note(
            &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "2/2 brokers are down",
        );
        assert!(trouble.is_nobody_there());
        assert!(
            trouble.last().contains("1/2"),
            "the cause is what the last broker failed with"
        );
    }
}
