//! Where the brokers of tests are. A test that needs one fails without it; it is never skipped.

use std::path::Path;

/// The address of the Kafka broker for tests, `host:port`.
///
/// `PYPZ_TEST_KAFKA` names it; without that it is the one that `cargo xtask brokers up kafka` started.
///
/// # Panics
///
/// If there is none, with what to do.
#[must_use]
pub fn kafka() -> String {
    let location = location("kafka", "kafka://", "PYPZ_TEST_KAFKA");
    location.trim_start_matches("kafka://").to_owned()
}

/// The location of the RabbitMQ broker for tests, `amqp://user:password@host:port/vhost`.
///
/// `PYPZ_TEST_AMQP` names it; without that it is the one that `cargo xtask brokers up rabbitmq` started.
///
/// # Panics
///
/// If there is none, with what to do.
#[must_use]
pub fn rabbitmq() -> String {
    location("rabbitmq", "amqp://", "PYPZ_TEST_AMQP")
}

/// What `cargo xtask brokers up --secure` says of its `secure-kafka` or `secure-rabbitmq`: the location, and under `connect`
/// what a client needs to be let in and where it must not be.
///
/// # Panics
///
/// If it does not run, with what to do.
#[must_use]
pub fn secure(broker: &str) -> serde_json::Value {
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/brokers/{broker}.json"));
    let started = std::fs::read_to_string(state).unwrap_or_default();
    serde_json::from_str(&started)
        .unwrap_or_else(|_| panic!("this test needs {broker}: run `cargo xtask brokers up --secure`"))
}

fn location(broker: &str, scheme: &str, variable: &str) -> String {
    if let Ok(location) = std::env::var(variable) {
        return location;
    }
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/brokers/{broker}.json"));
    let started = std::fs::read_to_string(state).unwrap_or_default();
    let location = started.split('"').find(|part| part.starts_with(scheme));
    let Some(location) = location else {
        panic!("this test needs {broker}: run `cargo xtask brokers up {broker}`, or set {variable}");
    };
    location.to_owned()
}
