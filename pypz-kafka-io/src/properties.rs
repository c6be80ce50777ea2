//! What the user may set in `channelConfig`: librdkafka's properties, but for those that are ours.

use std::collections::BTreeMap;

use pypz_core::channel::{ChannelSpec, Location, METRICS_ENABLED, metrics_problem};
use rdkafka::ClientConfig;

use crate::security;

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
pub(crate) const PRODUCER_ONLY: [&str; 14] = [
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
pub(crate) const CONSUMER_ONLY: [&str; 8] = [
    "fetch.",
    "queued.",
    "max.poll.interval.ms",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "check.crcs",
    "coordinator.",
    "consume.",
];

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
        if key == METRICS_ENABLED {
            problems.extend(metrics_problem(value));
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
    for (key, value) in configs.flatten().filter(|(key, _)| key != METRICS_ENABLED) {
        if merged.get(&key).is_some_and(|known| *known != value) {
            return Err(key);
        }
        merged.insert(key, value);
    }
    Ok(merged)
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
}
