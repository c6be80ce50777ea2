//! `channelConfig` and location: what the user may set.

use std::time::Duration;

use lapin::uri::AMQPUri;
use pypz_core::channel::{
    ChannelConfig, ChannelSpec, Location, METRICS_ENABLED, Pem, metrics_problem, pem_problem,
};

/// The settings of `channelConfig`, each with its default and meaning.
pub const SETTINGS: [(&str, &str, &str); 7] = [
    (
        "prefetch",
        "what bufferBytes holds, 16 to 512",
        "messages that a replica has in hand, not acknowledged",
    ),
    (
        "deliveryLimit",
        "1000",
        "attempts before a message goes to the dead letters",
    ),
    (
        "recordsPerMessage",
        "1000",
        "the most records that travel in one message; 1: each by itself",
    ),
    ("heartbeatSeconds", "10", "AMQP heartbeats of both connections"),
    (
        "caCertificate",
        "the system's",
        "PEM file with certificates to trust (amqps)",
    ),
    (
        "clientCertificate",
        "none",
        "PEM file with the client's certificate (amqps)",
    ),
    (
        "clientKey",
        "none",
        "PEM file with the key of the client's certificate (amqps)",
    ),
];

/// pypz-python's own settings, accepted so that one file serves both. The first is what `prefetch` is here.
const PYPZ_SETTINGS: [&str; 3] = [
    "max_poll_records",
    "data_consumer_timeout_sec",
    "status_consumer_timeout_sec",
];

/// What says how often both sides of a connection show that they are there, and how often they do if nothing says it.
const HEARTBEAT: &str = "heartbeatSeconds";
const HEARTBEAT_SECONDS: u16 = 10;

/// The bytes of an AMQP frame: small, for lapin keeps buffers of many frames a connection.
const FRAME_BYTES: u32 = 8_192;

/// What one location's connections need.
#[derive(Clone)]
pub(crate) struct ConnectionConfig {
    pub(crate) uri: AMQPUri,
    pub(crate) ca: Option<String>,
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a channel configures that is not right, each with the mend.
pub(crate) fn problems(spec: &ChannelSpec) -> Vec<String> {
    let mut problems: Vec<String> = uri(&spec.location).err().into_iter().collect();
    let configs = std::iter::once(&spec.reader_config).chain(&spec.writer_config);
    let mut given: Vec<(&String, &String)> = configs.flatten().collect();
    given.sort();
    given.dedup();
    for (key, value) in given {
        problems.extend(setting_problems(&spec.location, key, value));
    }
    for config in std::iter::once(&spec.reader_config).chain(&spec.writer_config) {
        for (one, other) in [
            ("clientCertificate", "clientKey"),
            ("clientKey", "clientCertificate"),
        ] {
            if config.contains_key(one) && !config.contains_key(other) {
                problems.push(format!("channelConfig: '{one}' needs '{other}' beside it"));
            }
        }
    }
    problems.dedup();
    if spec.location.scheme() == "amqps" && !cfg!(feature = "tls") {
        problems.push("channelLocation amqps:// needs the feature 'rabbitmq-tls' of pypz".to_owned());
    }
    problems
}

/// What is wrong with one setting.
fn setting_problems(location: &Location, key: &str, value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let shown = key.escape_debug();
    match key {
        "prefetch" | "max_poll_records" if number(value, 1, 65_535).is_none() => {
            problems.push(format!("channelConfig: '{shown}' takes a number from 1 to 65535"));
        }
        "deliveryLimit" if number(value, 1, 1_000_000).is_none() => {
            problems.push(format!(
                "channelConfig: '{shown}' takes a number from 1 to 1000000"
            ));
        }
        "recordsPerMessage" if number(value, 1, 1_000).is_none() => {
            problems.push(format!("channelConfig: '{shown}' takes a number from 1 to 1000"));
        }
        "heartbeatSeconds" if number(value, 1, 3_600).is_none() => {
            problems.push(format!("channelConfig: '{shown}' takes a number from 1 to 3600"));
        }
        "caCertificate" | "clientCertificate" | "clientKey" => {
            let wanted = match key {
                "clientKey" => Pem::PlainKey,
                _ => Pem::Certificates,
            };
            problems.extend(pem_problem(key, value, wanted));
            if location.scheme() != "amqps" {
                problems.push(format!(
                    "channelConfig: '{shown}' has no effect: write amqps:// in place of {}://",
                    location.scheme()
                ));
            }
        }
        known if SETTINGS.iter().any(|(setting, ..)| *setting == known) => {}
        METRICS_ENABLED => problems.extend(metrics_problem(value)),
        known if PYPZ_SETTINGS.contains(&known) => {}
        _ => {
            let known: Vec<&str> = SETTINGS.iter().map(|(setting, ..)| *setting).collect();
            problems.push(format!(
                "channelConfig: '{shown}' is not a setting of RabbitMQ channels: there are {}",
                known.join(", ")
            ));
        }
    }
    problems
}

fn number(value: &str, least: u32, most: u32) -> Option<u32> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
}

fn setting(config: &ChannelConfig, key: &str) -> Option<u32> {
    config.get(key).and_then(|value| value.parse().ok())
}

/// The location as lapin takes it.
pub(crate) fn uri(location: &Location) -> Result<AMQPUri, String> {
    let text = format!("{}://{}", location.scheme(), location.address());
    let wrong = |reason: &str| {
        format!("channelLocation {location} is not amqp://user:password@host:port/vhost: {reason}")
    };
    let mut uri: AMQPUri = text.parse().map_err(|reason: String| {
        // What is repeated of a text that is no URI may be a part of the password.
        let known = ["invalid port number", "empty host"];
        let said = known.into_iter().find(|known| reason.contains(known));
        wrong(said.unwrap_or("it cannot be parsed; in a password, write %40 for @, %3A for : and %2F for /"))
    })?;
    if uri.authority.host.is_empty() {
        return Err(wrong("it names no host"));
    }
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    Ok(uri)
}

/// The connections of one location, for all channels there.
///
/// # Errors
///
/// What is wrong, and the mend.
pub(crate) fn connection(channels: &[std::sync::Arc<ChannelSpec>]) -> Result<ConnectionConfig, String> {
    let Some(first) = channels.first() else {
        return Err("no channels".to_owned());
    };
    let mut uri = uri(&first.location)?;
    let shared = |key: &str| -> Result<Option<String>, String> {
        let configs = channels
            .iter()
            .flat_map(|spec| std::iter::once(&spec.reader_config).chain(&spec.writer_config));
        let mut values: Vec<&String> = configs.filter_map(|config| config.get(key)).collect();
        values.dedup();
        match values[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            _ => Err(format!(
                "channelConfig '{key}' differs between ports that share the connections to {}: give all the same",
                first.location
            )),
        }
    };
    let file = |key: &str| -> Result<Option<Vec<u8>>, String> {
        let read = |path: String| std::fs::read(&path).map_err(|error| format!("{key}: {path}: {error}"));
        shared(key)?.map(read).transpose()
    };
    let heartbeat = shared(HEARTBEAT)?.and_then(|seconds| seconds.parse().ok());
    uri.query.heartbeat = Some(heartbeat.unwrap_or(HEARTBEAT_SECONDS));
    uri.query.frame_max = Some(FRAME_BYTES);
    uri.query.connection_timeout = Some(Duration::from_secs(5).as_millis() as u64);
    let ca = file("caCertificate")?.map(|pem| String::from_utf8_lossy(&pem).into_owned());
    let identity = file("clientCertificate")?.zip(file("clientKey")?);
    Ok(ConnectionConfig { uri, ca, identity })
}

/// The pause between two AMQP heartbeats of the connections that a channel uses.
pub(crate) fn heartbeat(spec: &ChannelSpec) -> Duration {
    let mut configs = std::iter::once(&spec.reader_config).chain(&spec.writer_config);
    let seconds = configs.find_map(|config| setting(config, HEARTBEAT));
    Duration::from_secs(seconds.unwrap_or(HEARTBEAT_SECONDS.into()).into())
}

/// How many messages a reader may have in hand: as many of the longest as its share of the buffer holds.
pub(crate) fn prefetch(spec: &ChannelSpec) -> u16 {
    let share = spec.buffer_bytes / spec.local_readers.len().max(1);
    let fitting = u32::try_from(share / spec.max_record_bytes.max(1)).unwrap_or(u32::MAX);
    let config = &spec.reader_config;
    let asked = setting(config, "prefetch").or_else(|| setting(config, "max_poll_records"));
    u16::try_from(asked.unwrap_or_else(|| fitting.clamp(16, 512))).unwrap_or(u16::MAX)
}

/// How many records of a writer may travel in one message.
pub(crate) fn records_per_message(spec: &ChannelSpec, writer: u32) -> usize {
    const RECORDS: u32 = 1_000;
    let config = spec.writer_config.get(writer as usize);
    let asked = config.and_then(|config| setting(config, "recordsPerMessage"));
    asked.unwrap_or(RECORDS) as usize
}

/// After how many attempts a message goes to the dead letters.
pub(crate) fn delivery_limit(spec: &ChannelSpec) -> i32 {
    const DELIVERY_LIMIT: i32 = 1_000;
    setting(&spec.reader_config, "deliveryLimit")
        .and_then(|limit| i32::try_from(limit).ok())
        .unwrap_or(DELIVERY_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_uri_and_its_password_is_never_repeated() {
        for (text, good) in [
            ("amqp://localhost", true),
            ("amqp://user:secret@host:5673/vhost", true),
            ("amqp://guest:guest@127.0.0.1:15673/", true),
            ("amqp://user:secret@host:port/", false),
        ] {
            let location = Location::parse(text).unwrap();
            let parsed = uri(&location);
            assert_eq!(parsed.is_ok(), good, "{text}: {parsed:?}");
            if let Err(problem) = parsed {
                assert!(!problem.contains("secret"), "{problem}");
            }
        }
        let root = uri(&Location::parse("amqp://a/").unwrap()).unwrap();
        assert_eq!(root.vhost, "/");
    }
}
