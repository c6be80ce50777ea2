//! `cargo xtask brokers`: real message brokers on the loopback interface.
//!
//! Each one lives in `target/brokers/<name>/`; `target/brokers/<name>.json` says where it runs. A secure one has a name of
//! its own, so that it runs beside the plain one.

mod certificates;
mod chaos;
mod kafka;
mod lifecycle;
mod rabbitmq;
mod rights;
mod secure_kafka;
mod secure_rabbitmq;
mod site;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

pub(crate) use kafka::VERSION as KAFKA_VERSION;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::setup::Need;
use lifecycle::Status;
use site::Site;

/// The user of the secure brokers who may do everything.
const USER: &str = "pypz";

/// The user of the secure brokers who may do nothing.
const STRANGER: &str = "stranger";

/// The user of the secure brokers who may do what a pipeline does, on objects whose names begin with [`WORK`].
const WORKER: &str = "worker";

/// See [`WORKER`].
const WORK: &str = "work-";

/// The password of all: these brokers hold nothing and listen on the loopback interface.
const PASSWORD: &str = "open-sesame";

/// A broker which this task knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Kafka,
    Rabbitmq,
}

/// What a broker is for. Those for different purposes run beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Development and tests.
    Plain,
    /// Tests of who is let in.
    Secure,
    /// To be broken by `cargo xtask chaos`.
    Chaos,
}

impl Kind {
    fn broker(self, purpose: Purpose) -> &'static dyn Broker {
        match (self, purpose) {
            (Self::Kafka, Purpose::Plain) => &kafka::Kafka,
            (Self::Kafka, Purpose::Secure) => &secure_kafka::SecureKafka,
            (Self::Kafka, Purpose::Chaos) => &chaos::ChaosKafka,
            (Self::Rabbitmq, Purpose::Plain) => &rabbitmq::RabbitMq,
            (Self::Rabbitmq, Purpose::Secure) => &secure_rabbitmq::SecureRabbitMq,
            (Self::Rabbitmq, Purpose::Chaos) => &chaos::ChaosRabbitMq,
        }
    }
}

/// What a kind of broker knows about itself; the [`lifecycle`] is the same for all.
trait Broker {
    /// Names the broker, its directory and its state file.
    fn name(&self) -> &'static str;

    /// Returns what must be installed on the machine.
    fn needs(&self) -> &'static [Need];

    /// Returns the port for clients if none is asked for.
    fn default_port(&self) -> u16;

    /// Returns how many ports it takes, which follow the one for clients.
    fn ports(&self) -> u16;

    /// Returns the location for clients.
    fn location(&self, port: u16) -> String;

    /// Writes the configuration, and what must be fetched or initialised once.
    fn prepare(&self, site: &Site, port: u16) -> Result<()>;

    /// Returns the command which runs it in the foreground, with `site.home` on its command line.
    fn command(&self, site: &Site, port: u16) -> Result<Command>;

    /// Tells whether it answers a client's request.
    fn answers(&self, port: u16) -> bool;

    /// Does what can only be done once it answers.
    fn started(&self, _site: &Site, _port: u16) -> Result<()> {
        Ok(())
    }

    /// Returns what a client needs beside the location.
    fn details(&self, _port: u16) -> Value {
        Value::Null
    }

    /// Ends the helpers which it leaves behind.
    fn clean_up(&self, _port: u16) {}
}

/// What to do with the brokers.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Starts them unless they run, and prints their locations
    Up {
        #[command(flatten)]
        selection: Selection,
        /// The port for clients, instead of the usual one
        #[arg(long, requires = "name", value_parser = clap::value_parser!(u16).range(1024..=65000))]
        port: Option<u16>,
    },
    /// Stops them and removes their data
    Down(Selection),
    /// Kills them; their data stays, and `restart` revives them
    Halt(Selection),
    /// Prints whether they run; the exit code is not zero if one does not
    Status(Selection),
    /// Stops and starts them; their data stays
    Restart {
        #[command(flatten)]
        selection: Selection,
        /// Stops them with SIGKILL
        #[arg(long)]
        kill: bool,
    },
}

/// Which brokers, and how to print.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// The broker; without it both
    name: Option<Kind>,
    /// The secure ones, with TLS, users and certificates, which run beside the plain ones
    #[arg(long)]
    secure: bool,
    /// Those of `cargo xtask chaos`, which run beside the others
    #[arg(long, conflicts_with = "secure")]
    chaos: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

impl Selection {
    /// The selected brokers; all that there are only if neither a name nor a purpose says which.
    fn brokers(&self, action: &Action) -> Vec<&'static dyn Broker> {
        let kinds = self
            .name
            .map_or(Kind::value_variants().to_vec(), |kind| vec![kind]);
        let purposes: &[Purpose] = match (self.secure, self.chaos, self.name, action) {
            (true, ..) => &[Purpose::Secure],
            (_, true, ..) => &[Purpose::Chaos],
            (.., None, Action::Down(_)) => &[Purpose::Plain, Purpose::Secure, Purpose::Chaos],
            _ => &[Purpose::Plain],
        };
        let of = |purpose: &Purpose| kinds.iter().map(|kind| kind.broker(*purpose)).collect::<Vec<_>>();
        purposes.iter().flat_map(of).collect()
    }
}

/// Carries out an action on the selected brokers and prints how they are then.
pub(crate) fn run(action: &Action) -> Result<ExitCode> {
    let (Action::Up { selection, .. }
    | Action::Down(selection)
    | Action::Restart { selection, .. }
    | Action::Halt(selection)
    | Action::Status(selection)) = action;
    let brokers = selection.brokers(action);
    let mut found = Vec::new();
    for broker in brokers {
        let status = match action {
            Action::Up { port, .. } => Some(lifecycle::up(broker, *port)?.0),
            Action::Restart { kill, .. } => Some(lifecycle::restart(broker, *kill)?),
            Action::Status(_) => lifecycle::status(broker)?,
            Action::Halt(_) => {
                lifecycle::halt(broker)?;
                None
            }
            Action::Down(_) => {
                lifecycle::down(broker)?;
                None
            }
        };
        found.push((broker.name(), status));
    }
    print(&found, selection.json);
    let ready = found
        .iter()
        .all(|(_, status)| status.as_ref().is_some_and(|status| status.ready));
    Ok(if ready || matches!(action, Action::Down(_) | Action::Halt(_)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(found: &[(&str, Option<Status>)], as_json: bool) {
    if as_json {
        let entry = |status: &Option<Status>| match status {
            None => json!({"running": false}),
            Some(Status {
                pid,
                location,
                ready,
                details,
            }) => {
                let mut entry = json!({"running": ready, "location": location, "pid": pid});
                if !details.is_null() {
                    entry["connect"] = details.clone();
                }
                entry
            }
        };
        let object: Map<String, Value> = found
            .iter()
            .map(|(name, status)| ((*name).to_owned(), entry(status)))
            .collect();
        println!("{}", Value::Object(object));
        return;
    }
    for (name, status) in found {
        match status {
            None => println!("{name} not running"),
            Some(Status {
                location,
                ready: true,
                details,
                ..
            }) => {
                println!("{name} {location}");
                if !details.is_null() {
                    println!("{details:#}");
                }
            }
            Some(Status { location, .. }) => println!("{name} {location} does not answer"),
        }
    }
}

/// A broker in use by a task, which stops it in the end only if it had to start it.
pub(crate) struct Borrowed {
    broker: &'static dyn Broker,
    location: String,
    started: bool,
}

/// Returns a running broker; if the usual port is taken by somebody else it runs on another one.
pub(crate) fn borrow(kind: Kind, purpose: Purpose) -> Result<Borrowed> {
    let broker = kind.broker(purpose);
    let (status, started) = lifecycle::up_on_a_free_port(broker)?;
    Ok(Borrowed {
        broker,
        location: status.location,
        started,
    })
}

impl Borrowed {
    /// Returns the location for clients.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// Stops the broker if it was started for this task.
    pub(crate) fn give_back(self) -> Result<()> {
        if self.started {
            lifecycle::down(self.broker)
        } else {
            Ok(())
        }
    }
}

/// Returns the directory of all brokers.
fn directory() -> PathBuf {
    crate::root().join("target/brokers")
}

/// Connects to a port of this machine, with a limit on this and on each read.
fn connect(port: u16) -> std::io::Result<TcpStream> {
    const LIMIT: Duration = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Writes a file, and the directory it is in.
fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
