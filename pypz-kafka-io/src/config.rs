//! Properties for librdkafka: ours, the user's, and those the user may not set.

use std::collections::BTreeMap;
use std::time::Duration;

use pypz_core::channel::{ChannelSpec, Location, TransactionScope};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::security;

use crate::clients::{Clients, Producing};

/// The properties that `channelConfig` may not set, each with the reason.
pub const RESERVED: [(&str, &str); 22] = [
    ("bootstrap.servers", "it is the channelLocation"),
    ("metadata.broker.list", "it is the channelLocation"),
    ("group.id", "positions are kept under the channel's own name"),
    ("group.instance.id", "partitions are assigned by replica index"),
    ("group.protocol", "partitions are assigned by replica index"),
    (
        "partition.assignment.strategy",
        "partitions are assigned by replica index",
    ),
    ("transactional.id", "it identifies the replica"),
    (
        "enable.auto.commit",
        "positions are committed after outputs are acknowledged",
    ),
    (
        "auto.commit.enable",
        "positions are committed after outputs are acknowledged",
    ),
    (
        "enable.auto.offset.store",
        "positions are committed after outputs are acknowledged",
    ),
    ("auto.offset.reset", "a lost position is an error, not a jump"),
    ("enable.partition.eof", "the protocol proves the end"),
    ("isolation.level", "readers read what is committed"),
    ("acks", "a record is sent when all in-sync replicas have it"),
    (
        "request.required.acks",
        "a record is sent when all in-sync replicas have it",
    ),
    ("enable.idempotence", "a retry must not double or reorder records"),
    (
        "enable.gapless.guarantee",
        "a retry must not double or reorder records",
    ),
    (
        "max.in.flight.requests.per.connection",
        "a retry must not double or reorder records",
    ),
    (
        "allow.auto.create.topics",
        "the principal reader creates the topics",
    ),
    ("message.max.bytes", "it follows from maxRecordBytes"),
    ("plugin.library.paths", "it would load foreign code"),
    ("client.id", "it names the pipeline"),
];

/// What only a producer understands: kept from consumers, which would warn.
const PRODUCER_ONLY: [&str; 14] = [
    "linger.ms",
    "queue.buffering",
    "batch.",
    "compression.",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "message.send.max.retries",
    "retries",
    "request.timeout.ms",
    "partitioner",
    "sticky.partitioning",
    "delivery.report.only.error",
    "transaction.timeout.ms",
    "message.copy",
];

/// What only a consumer understands.
const CONSUMER_ONLY: [&str; 8] = [
    "fetch.",
    "queued.",
    "max.poll.interval.ms",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "check.crcs",
    "coordinator.",
    "consume.",
];

/// pypz-python's own settings, accepted so that one file serves both; they have no effect here.
const PYPZ_SETTINGS: [&str; 1] = ["metricsEnabled"];

/// How long a transaction may be open, if nothing says otherwise.
const TRANSACTION: Duration = Duration::from_secs(60);

/// The bytes that a record's key, headers and framing may add to the longest record.
pub(crate) const FRAMING_BYTES: usize = 10_000;

/// What a channel configures that is not right, each with the mend.
pub(crate) fn problems(spec: &ChannelSpec) -> Vec<String> {
    let mut problems = bad_addresses(&spec.location);
    let configs = std::iter::once(&spec.reader_config).chain(&spec.writer_config);
    for problem in configs.clone().flat_map(security::problems) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    let mut given: Vec<(&String, &String)> = configs.flatten().collect();
    given.sort();
    given.dedup();
    for (key, value) in given {
        if PYPZ_SETTINGS.contains(&key.as_str()) {
            continue;
        }
        if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| reserved == key) {
            problems.push(format!("channelConfig: '{key}' is reserved: {reason}"));
        } else if let Err(error) = ClientConfig::new().set(key, value).create_native_config() {
            // librdkafka repeats the value, which may be a secret.
            let said = error.to_string();
            let what = if said.contains("OpenSSL not available") {
                "needs the feature 'kafka-tls' of pypz".to_owned()
            } else if said.contains("No such configuration property") {
                "is not a property of librdkafka".to_owned()
            } else {
                format!("does not take this value ({} characters)", value.len())
            };
            problems.push(format!("channelConfig: '{}' {what}", key.escape_debug()));
        }
    }
    problems
}

fn bad_addresses(location: &Location) -> Vec<String> {
    let is_good = |address: &str| {
        let Some((host, port)) = address.rsplit_once(':') else {
            return false;
        };
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) && !host.contains(['/', '@', ' '])
    };
    let addresses = location.address().trim_end_matches('/');
    // An address with an @ has a password in it, or what somebody took for one.
    if addresses.contains('@') {
        return vec![format!(
            "channelLocation {location} has a user in it: say who you are with sasl.username and sasl.password in channelConfig"
        )];
    }
    let bad = addresses.split(',').filter(|address| !is_good(address));
    bad.map(|address| {
        // Not what stands in the place of the port, which may be a password without its host.
        let host = address.split(':').next().unwrap_or_default();
        format!(
            "channelLocation {location}: the address of host '{}' is not host:port",
            host.escape_debug()
        )
    })
    .collect()
}

/// The user's properties of several channels as one set, for clients that they share.
///
/// # Errors
///
/// The key on which they differ.
pub(crate) fn merged(
    configs: impl Iterator<Item = BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, String> {
    let mut merged: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in configs.flatten() {
        if merged.get(&key).is_some_and(|known| *known != value) {
            return Err(key);
        }
        merged.insert(key, value);
    }
    merged.retain(|key, _| !PYPZ_SETTINGS.contains(&key.as_str()));
    Ok(merged)
}

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
    // Why a connection failed is a line of this level to librdkafka, and often no error.
    config.set_log_level(RDKafkaLogLevel::Info);
    // A new topic is looked for again soon, and a broker that comes back is found soon.
    config.set("topic.metadata.refresh.fast.interval.ms", "20");
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "1000");
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
    config.set("allow.auto.create.topics", "false");
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
    // long. A fetch names every partition, so that of a thousand does not go out that often.
    config.set("fetch.wait.max.ms", (partitions / 2).clamp(50, 500).to_string());
    config.set(
        "fetch.message.max.bytes",
        spec.max_record_bytes.clamp(1 << 20, 1_000_000_000).to_string(),
    );
    for (key, value) in spec
        .reader_config
        .iter()
        .filter(|(key, _)| !is_one_of(key, &PRODUCER_ONLY))
    {
        if !PYPZ_SETTINGS.contains(&key.as_str()) {
            set(&mut config, key, value);
        }
    }
    config.set("group.id", group);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "error");
    config.set("isolation.level", "read_committed");
    config.set("allow.auto.create.topics", "false");
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
    fn channels_that_share_a_producer_must_agree_on_its_properties() {
        let config = |value: &str| BTreeMap::from([("linger.ms".to_owned(), value.to_owned())]);
        assert_eq!(
            merged([config("5"), config("5")].into_iter()).unwrap(),
            config("5")
        );
        assert_eq!(
            merged([config("5"), config("6")].into_iter()).unwrap_err(),
            "linger.ms"
        );
    }

    #[test]
    fn addresses_are_host_and_port() {
        for (text, bad) in [
            ("kafka://localhost:9092", 0),
            ("kafka://a:1,b:2/", 0),
            ("kafka://", 1),
            ("kafka://a", 1),
            ("kafka://a:0,b:x", 2),
            ("kafka://a:1,user:hunter2@b:2", 1),
            ("kafka://a:1,user:hunter2", 1),
        ] {
            let problems = bad_addresses(&Location::parse(text).unwrap());
            assert_eq!(problems.len(), bad, "{text}");
            assert!(
                !problems.iter().any(|problem| problem.contains("hunter2")),
                "{problems:?}"
            );
        }
    }

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
