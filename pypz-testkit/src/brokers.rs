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
    if let Ok(address) = std::env::var("PYPZ_TEST_KAFKA") {
        return address;
    }
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/brokers/kafka.json");
    let started = std::fs::read_to_string(state).unwrap_or_default();
    let address = started
        .split("kafka://")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let Some(address) = address else {
        panic!(
            "this test needs Apache Kafka: run `cargo xtask brokers up kafka`, or set PYPZ_TEST_KAFKA=host:port"
        );
    };
    address.to_owned()
}
