//! The properties of each client: ours, and the user's.

use std::collections::BTreeMap;
use std::time::Duration;

use pypz_core::channel::{ChannelSpec, Location, METRICS_ENABLED, TransactionScope};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::clients::{Clients, Producing};
use crate::properties::{CONSUMER_ONLY, PRODUCER_ONLY};
use crate::security;

/// How long a transaction may be open, if nothing says otherwise.
const TRANSACTION: Duration = Duration::from_secs(60);

/// The bytes that a record's key, headers and framing may add to the longest record.
pub(crate) const FRAMING_BYTES: usize = 10_000;

fn is_one_of(key: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| key.starts_with(prefix))
}

/// Sets a property of the user's.
fn set(config: &mut ClientConfig, key: &str, value: &str) {
    if key == "debug" {
        config.set_log_level(RDKafkaLogLevel::Debug);
    }
    config.set(key, value);
}

/// What every client has: where the broker is, and the user's properties except those that only the other kind knows.
fn base(location: &Location, user: &BTreeMap<String, String>, not_for: &[&str]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", location.address().trim_end_matches('/'));
    config.set("client.id", "pypz");
    // What somebody deletes stays deleted.
    config.set("allow.auto.create.topics", "false");
    // Why a connection failed is a line of this level to librdkafka, and often no error.
    config.set_log_level(RDKafkaLogLevel::Info);
    // A new topic is looked for again soon.
    config.set("topic.metadata.refresh.fast.interval.ms", "20");
    // A broker that is away is left alone for longer and longer, up to a second.
    config.set("reconnect.backoff.ms", "100");
    config.set("reconnect.backoff.max.ms", "1000");
    // A client that connects to brokers only when it needs one waits half of `reconnect.backoff.ms` between the broker that it was
    // told of and the first that it learns of, at every start; and while none is there, it looks for one that often for ever.
    config.set("enable.sparse.connections", "false");
    for (key, value) in user.iter().filter(|(key, _)| !is_one_of(key, not_for)) {
        set(&mut config, key, value);
    }
    config
}

/// The producer of a process: idempotent, acknowledged by all in-sync replicas, bounded.
pub(crate) fn producer(
    location: &Location,
    user: &BTreeMap<String, String>,
    buffer_bytes: usize,
    longest: usize,
) -> ClientConfig {
    let mut config = base(location, &BTreeMap::new(), &[]);
    // What comes while requests are on their way fills the next ones: records of a batch wait for nothing.
    config.set("linger.ms", "0");
    config.set("queue.buffering.max.messages", "100000");
    config.set(
        "queue.buffering.max.kbytes",
        (buffer_bytes / 1024).clamp(1024, 2_097_151).to_string(),
    );
    config.set("message.timeout.ms", "120000");
    for (key, value) in user.iter().filter(|(key, _)| !is_one_of(key, &CONSUMER_ONLY)) {
        set(&mut config, key, value);
    }
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set(
        "message.max.bytes",
        (longest + FRAMING_BYTES)
            .clamp(1_000_000, 1_000_000_000)
            .to_string(),
    );
    config
}

/// The producer of an operator's transactions.
pub(crate) fn transactional(clients: &Clients, scope: &TransactionScope, id: &str) -> ClientConfig {
    let user = &clients.user;
    let Producing {
        buffer_bytes,
        longest,
    } = clients.producing;
    let mut config = producer(&clients.location, user, buffer_bytes, longest);
    // A record that cannot be delivered must be known before its transaction runs out.
    let patience = scope.outputs.iter().map(|channel| channel.timing.patience).max();
    let message = user
        .get("message.timeout.ms")
        .and_then(|given| given.parse().ok());
    let timeout = patience
        .unwrap_or(TRANSACTION)
        .clamp(Duration::from_secs(10), Duration::from_secs(600))
        .max(Duration::from_millis(message.unwrap_or(0)));
    if !user.contains_key("transaction.timeout.ms") {
        config.set("transaction.timeout.ms", timeout.as_millis().to_string());
    }
    if !user.contains_key("message.timeout.ms") {
        let limit = config.get("transaction.timeout.ms").unwrap_or("10000").to_owned();
        config.set("message.timeout.ms", limit);
    }
    // Offsets right after records otherwise wait 100 ms for the coordinator to be done with those.
    config.set("retry.backoff.ms", "5");
    config.set("transactional.id", id);
    config
}

/// The producer of status: each report at once.
pub(crate) fn status_producer(location: &Location, user: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = base(location, user, &[&CONSUMER_ONLY[..], &PRODUCER_ONLY[..]].concat());
    config.set("linger.ms", "0");
    config.set("acks", "all");
    config.set("enable.idempotence", "true");
    config.set("message.timeout.ms", "10000");
    config
}

/// The consumer of status: everything from the start, no group.
pub(crate) fn status_consumer(location: &Location, user: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = base(location, user, &[&CONSUMER_ONLY[..], &PRODUCER_ONLY[..]].concat());
    config.set("group.id", "pypz.status");
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("fetch.wait.max.ms", "100");
    config.set("queued.max.messages.kbytes", "4096");
    config
}

/// The consumer of a channel's records, shared by the replicas of the process.
///
/// What lets a client in is the same for all clients of a location, `shared` of all their ports.
pub(crate) fn consumer(
    spec: &ChannelSpec,
    shared: &BTreeMap<String, String>,
    group: &str,
    partitions: usize,
) -> ClientConfig {
    let mut config = base(&spec.location, &BTreeMap::new(), &[]);
    for (key, value) in shared.iter().filter(|(key, _)| security::is_of_connections(key)) {
        set(&mut config, key, value);
    }
    let each = spec.buffer_bytes / partitions.max(1);
    // librdkafka counts these limits once a partition queue; its fetcher sleeps a second once one is full.
    config.set(
        "queued.max.messages.kbytes",
        (each / 1024).clamp(16, 65_536).to_string(),
    );
    config.set(
        "queued.min.messages",
        (100_000 / partitions.max(1)).clamp(100, 100_000).to_string(),
    );
    config.set("fetch.queue.backoff.ms", "2");
    // One fetch at a time: a partition whose queue was full when it was sent waits until the others have records, or for this
    // long. One alone waits for nobody, and a fetch names every partition, so that of a thousand does not go out that often.
    let wait = match partitions {
        0 | 1 => 100,
        many => (many / 2).clamp(50, 500),
    };
    config.set("fetch.wait.max.ms", wait.to_string());
    config.set(
        "fetch.message.max.bytes",
        spec.max_record_bytes.clamp(1 << 20, 1_000_000_000).to_string(),
    );
    for (key, value) in spec
        .reader_config
        .iter()
        .filter(|(key, _)| !is_one_of(key, &PRODUCER_ONLY))
    {
        if key != METRICS_ENABLED {
            set(&mut config, key, value);
        }
    }
    config.set("group.id", group);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "error");
    config.set("isolation.level", "read_committed");
    config
}

/// The admin client. Asked for the end of a log, it tells of open transactions, too.
pub(crate) fn admin(location: &Location, user: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = base(location, user, &[&CONSUMER_ONLY[..], &PRODUCER_ONLY[..]].concat());
    config.set("isolation.level", "read_uncommitted");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_that_is_set_here_is_reserved_or_the_users_to_change() {
        let location = Location::parse("kafka://localhost:9092").unwrap();
        let user = BTreeMap::from([("linger.ms".to_owned(), "50".to_owned())]);
        assert_eq!(
            producer(&location, &user, 64 << 20, 1_000_000).get("linger.ms"),
            Some("50")
        );
        for config in [
            status_producer(&location, &user),
            status_consumer(&location, &user),
            admin(&location, &user),
        ] {
            assert_ne!(config.get("linger.ms"), Some("50"), "status is never delayed");
            config.create_native_config().unwrap();
        }
    }
}
