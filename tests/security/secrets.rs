//! Planted secrets show nowhere, whatever is logged and however a run ends.

use pypz::prelude::*;

use crate::{Config, Site, run};

/// A part of every planted secret, which nothing else has.
const MARK: &str = "xyzzy";

/// The broker's own password.
const PASSWORD: &str = "open-sesame";

/// How often a secret shows: as it is, as bytes in decimal (as Rust's `Debug` has them), in hexadecimal, or in Base 64.
fn shown(text: &str) -> Vec<String> {
    let mut ways = Vec::new();
    for secret in [MARK, PASSWORD] {
        let bytes = secret.bytes();
        ways.push(secret.to_owned());
        ways.push(
            bytes
                .clone()
                .map(|byte| byte.to_string())
                .collect::<Vec<_>>()
                .join(", "),
        );
        ways.push(bytes.map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    // The three ways in which Base 64 may begin within each of them.
    for encoded in [
        "eHl6enkt",
        "h5enp5",
        "4eXp6eS0",
        "b3Blbi1zZXNh",
        "9wZW4tc2VzYW1l",
        "vcGVuLXNlc2Ft",
    ] {
        ways.push(encoded.to_owned());
    }
    ways.retain(|way| text.contains(way));
    ways
}

/// A run of the example: what it is given, and how it ends.
struct Planted {
    case: &'static str,
    code: i32,
    location: String,
    config: Config,
}

impl Planted {
    fn new(case: &'static str, code: i32, location: &str, config: Config) -> Self {
        let location = location.to_owned();
        Self {
            case,
            code,
            location,
            config,
        }
    }
}

/// Passwords in locations.
fn in_locations(rabbitmq: &Site) -> Vec<Planted> {
    let amqps = |case, password: &str| {
        let location = rabbitmq.location().replacen(PASSWORD, password, 1);
        Planted::new(case, 125, &location, rabbitmq.config(&[]))
    };
    let plain = |case, code, location: &str| Planted::new(case, code, location, Config::new());
    let without_tls = rabbitmq.listener("plaintext").replacen(PASSWORD, "xyzzy-03", 1);
    vec![
        amqps("wrong", "xyzzy-01"),
        amqps("encoded", "%40xyzzy-02%3A%2F"),
        plain("without TLS", 125, &without_tls),
        plain("nobody listens", 124, "amqp://user:xyzzy-04@127.0.0.1:1/"),
        plain("variable", 124, "${env:PLANTED_LOCATION}"),
        plain("no port", 64, "amqp://user:xyzzy-05@host:port/"),
        plain("no host", 64, "amqp://user:xyzzy-06"),
        plain("no scheme", 64, "user:xyzzy-07@host"),
        plain("kafka", 64, "kafka://user:xyzzy-08@127.0.0.1:1"),
        plain("kafka, no host", 64, "kafka://a:1,user:xyzzy-09"),
    ]
}

/// Passwords and keys in properties. With `debug` librdkafka says all it knows.
fn in_properties(kafka: &Site, rabbitmq: &Site) -> Vec<Planted> {
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nxyzzy-20\n-----END PRIVATE KEY-----";
    let property = |code, key: &'static str, value: &str| {
        let config = kafka.config(&[(key, value), ("debug", "all")]);
        Planted::new(key, code, &kafka.location(), config)
    };
    let setting = |key: &'static str, value: &str| {
        Planted::new(key, 64, &rabbitmq.location(), rabbitmq.config(&[(key, value)]))
    };
    let good = |site: &Site, config: Config| Planted::new("good", 0, &site.location(), config);
    vec![
        property(125, "sasl.password", "xyzzy-11"),
        property(125, "sasl.password", "${env:PLANTED}"),
        property(125, "sasl.password", "${env:PYPZ_NO_SUCH:-xyzzy-13}"),
        property(64, "sasl.password", "a${xyzzy-14"),
        property(0, "ssl.key.password", "xyzzy-15"),
        property(0, "ssl.keystore.password", "xyzzy-16"),
        property(64, "bootstrap.servers", "xyzzy-17"),
        property(64, "no.such.property", "xyzzy-18"),
        property(64, "linger.ms", "xyzzy-19"),
        property(64, "ssl.key.pem", KEY),
        setting("prefetch", "xyzzy-21"),
        setting("password", "xyzzy-22"),
        setting("clientKey", KEY),
        // No KEY=VALUE at all.
        setting("", "xyzzy-24"),
        good(kafka, kafka.config(&[("debug", "all")])),
        good(rabbitmq, rabbitmq.config(&[])),
    ]
}

#[test]
fn no_planted_secret_shows_in_whatever_a_run_says_at_any_level() {
    let (kafka, rabbitmq) = (Site::new("secure-kafka"), Site::new("secure-rabbitmq"));
    let environment = [
        ("PLANTED", "xyzzy-12"),
        ("PLANTED_LOCATION", "amqp://user:xyzzy-10@127.0.0.1:1/"),
    ];
    let mut cases = in_locations(&rabbitmq);
    cases.extend(in_properties(&kafka, &rabbitmq));
    assert!(cases.len() > 20, "{} secrets", cases.len());
    for (
        number,
        Planted {
            case,
            location,
            config,
            code,
        },
    ) in cases.iter().enumerate()
    {
        let name = pypz_testkit::names::unique("planted");
        let pairs: Vec<String> = config
            .iter()
            .map(|(key, value)| match key.as_str() {
                "" => value.clone(),
                key => format!("{key}={value}"),
            })
            .collect();
        let mut arguments = vec![
            "hello",
            "--records",
            "3",
            "--replicas",
            "1",
            "--patience",
            "8",
            "--json",
        ];
        arguments.extend(["--location", location, "--name", &name]);
        arguments.extend(pairs.iter().flat_map(|pair| ["--channel-config", pair]));
        // The highest level has all that the lower ones have.
        let run = run(&arguments, Some("trace"), &environment);
        assert_eq!(run.code, Some(*code), "{number} ({case}): {}", tail(&run.said));
        let shown = shown(&run.said);
        assert!(
            shown.is_empty(),
            "{number} ({case}) shows {shown:?}: {}",
            around(&run.said, &shown).join("\n")
        );
    }
    let help = run(&["--help"], Some("trace"), &environment).said;
    assert!(shown(&help).is_empty(), "{help}");
}

fn tail(text: &str) -> &str {
    let from = text.char_indices().rev().nth(2_000).map_or(0, |(at, _)| at);
    &text[from..]
}

fn around<'a>(text: &'a str, shown: &[String]) -> Vec<&'a str> {
    text.lines()
        .filter(|line| shown.iter().any(|way| line.contains(way)))
        .take(3)
        .collect()
}

#[derive(OperatorSpec, Default, Debug)]
struct Keeper {
    /// A password.
    #[parameter(required)]
    password: Secret,
    /// A password that has a default.
    #[parameter]
    other: Secret,
    /// A number.
    #[parameter]
    count: u64,
}

impl Operator for Keeper {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        assert!(self.count > 7, "{self:?} {:?} {}", self.password, self.other);
        Err(pypz::channel::Location::parse("user:xyzzy-33@x")
            .unwrap_err()
            .into())
    }
}

#[tokio::test]
async fn no_secret_shows_in_descriptions_errors_and_panics() {
    let mut said = Vec::new();
    for count in ["7", "8", "\"xyzzy-31\"", "\"${xyzzy-32}\""] {
        let mut pipeline = Pipeline::new("keeper");
        pipeline.operator::<Keeper>("keeper");
        pipeline.set_parameter("keeper.password", "xyzzy-30");
        pipeline.set_parameter("keeper.other", "xyzzy-30");
        let count: serde_json::Value = serde_json::from_str(count).unwrap();
        pipeline.set_parameter("keeper.count", count);
        let error = pipeline.execute().await.unwrap_err();
        said.push(format!("{error} {error:?}"));
        pipeline.set_parameter(
            ">>channelConfig",
            serde_json::json!({"sasl.password": "xyzzy-34"}),
        );
        let (text, picture) = (pipeline.describe(), pipeline.describe_mermaid());
        said.push(format!("{pipeline:?} {text} {picture}"));
    }
    let said = said.join("\n");
    for word in [
        "panicked",
        "parameter 'count'",
        "is not a template",
        "wants u64",
        "***",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(shown(&said).is_empty(), "{said}");
}
