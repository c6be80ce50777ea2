//! TLS, passwords, certificates and rights on real brokers, those of `cargo xtask brokers up --secure`; secrets, which
//! show nowhere; and hostile words from the wire.

#![cfg(all(feature = "kafka-tls", feature = "rabbitmq-tls"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod hostile;
mod kafka;
mod rabbitmq;
mod secrets;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pypz_testkit::{brokers, names};
use serde_json::Value;

/// Within this time a refusal must be said. It takes less than five seconds where nothing else runs.
const SOON: Duration = Duration::from_secs(20);

/// Properties of the broker's client.
type Config = Vec<(String, String)>;

/// A secure broker.
struct Site(Value);

impl Site {
    fn new(broker: &str) -> Self {
        Self(brokers::secure(broker))
    }

    fn location(&self) -> String {
        self.0["location"].as_str().unwrap().to_owned()
    }

    /// A listener that is not the usual one.
    fn listener(&self, name: &str) -> String {
        self.text(&["listeners", name])
    }

    fn certificate(&self, name: &str) -> String {
        self.text(&["certificates", name])
    }

    fn text(&self, path: &[&str]) -> String {
        let value = path.iter().fold(&self.0["connect"], |value, key| &value[*key]);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{path:?} is no text"))
            .to_owned()
    }

    /// What lets a client in, with some of it changed; nothing in place of a property takes it away.
    fn config(&self, changed: &[(&str, &str)]) -> Config {
        let usual = self.0["connect"]["channelConfig"].as_object().unwrap();
        let kept = usual
            .iter()
            .filter(|(key, _)| !changed.iter().any(|(other, _)| other == key));
        let kept = kept.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
        let new = changed.iter().filter(|(_, value)| !value.is_empty());
        let new = new.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        kept.chain(new).collect()
    }
}

/// How a run of the example ended.
struct Run {
    code: Option<i32>,
    /// All that it said.
    said: String,
    took: Duration,
}

/// Runs the example. `timeout` ends it where it hangs.
fn run(arguments: &[&str], log: Option<&str>, environment: &[(&str, &str)]) -> Run {
    let test = std::env::current_exe().unwrap();
    let example = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/pipelines");
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "120"]).arg(example).args(arguments);
    command.env_remove("RUST_LOG").envs(environment.iter().copied());
    if let Some(log) = log {
        command.env("RUST_LOG", log);
    }
    let start = Instant::now();
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        took: start.elapsed(),
        said: [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat(),
    }
}

/// Runs a job at a location.
fn job(job: &[&str], location: &str, config: &Config) -> Run {
    named(&names::unique("secure"), job, location, config)
}

fn named(name: &str, job: &[&str], location: &str, config: &Config) -> Run {
    let pairs: Vec<String> = config
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let config = pairs.iter().flat_map(|pair| ["--channel-config", pair]);
    let arguments: Vec<&str> = job
        .iter()
        .copied()
        .chain(["--location", location, "--name", name])
        .chain(config)
        .collect();
    run(&arguments, None, &[])
}

/// The run is refused soon, with this code, and says where and why.
fn is_refused(case: &str, code: i32, location: &str, config: &Config, words: &[&str]) {
    let run = job(
        &["hello", "--replicas", "2", "--patience", "60"],
        location,
        config,
    );
    eprintln!(
        "{case}: exit {:?} after {:.1} s",
        run.code,
        run.took.as_secs_f64()
    );
    assert_eq!(run.code, Some(code), "{case}:\n{}", run.said);
    assert!(run.took < SOON, "{case}: {:?}", run.took);
    says(case, &run, words);
}

/// The run ends at its deadline, and says what it met.
fn is_overdue(case: &str, location: &str, config: &Config, words: &[&str]) {
    let run = job(&["hello", "--replicas", "2", "--patience", "4"], location, config);
    assert_eq!(run.code, Some(124), "{case}:\n{}", run.said);
    says(case, &run, words);
}

fn says(case: &str, run: &Run, words: &[&str]) {
    let missing: Vec<_> = words.iter().filter(|word| !run.said.contains(**word)).collect();
    assert!(
        missing.is_empty(),
        "{case} does not say {missing:?}:\n{}",
        run.said
    );
}

/// Twenty thousand records arrive.
fn works(location: &str, config: &Config) {
    works_as("secure-", location, config);
}

/// The same with a pipeline whose name begins with `prefix`; it creates and deletes what it needs.
fn works_as(prefix: &str, location: &str, config: &Config) {
    let fanout = ["fanout", "--replicas", "2", "--records", "20000", "--json"];
    let name = format!("{prefix}{}", names::unique("fanout"));
    let run = named(&name, &fanout, location, config);
    assert_eq!(run.code, Some(0), "{}", run.said);
    says("fanout", &run, &["\"sent\":20000", "\"received\":20000"]);
}
