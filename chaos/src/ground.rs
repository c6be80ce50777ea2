//! What all runs stand on: brokers, this program, a folder.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::brokers::Broker;
use crate::line::{Guarantee, Line, Subject, Transport, Verdict};

/// What all runs share.
#[derive(Debug)]
pub(crate) struct Ground {
    brokers: BTreeMap<Transport, Broker>,
    /// One for each detour of Kafka; who has it goes that way.
    ways: Vec<Arc<Mutex<()>>>,
    /// How many runs have begun.
    runs: AtomicU64,
    /// This program, which also is the system under test.
    pub(crate) program: PathBuf,
    /// Where ledgers and logs are, each run's in a folder of its own.
    pub(crate) folder: PathBuf,
}

/// A way to a broker by a proxy, which nobody else uses meanwhile.
#[derive(Debug)]
pub(crate) struct Detour {
    /// Where the broker is.
    pub(crate) broker: u16,
    /// Where the proxy has to listen.
    pub(crate) port: u16,
    /// Gives the way back.
    _held: Option<OwnedMutexGuard<()>>,
}

/// Which run it is.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The row of the matrix.
    pub(crate) row: u32,
    /// Which of the row's cases.
    pub(crate) case: &'static str,
    /// Where the records travel.
    pub(crate) transport: Transport,
    /// What is promised.
    pub(crate) guarantee: Guarantee,
    /// What the schedule follows from.
    pub(crate) seed: u64,
    /// How many records all sources make together.
    pub(crate) records: u64,
    /// How often something is done that a row does many times.
    pub(crate) rounds: u64,
}

impl Ground {
    /// Starts the brokers that are needed.
    pub(crate) async fn new(folder: PathBuf, transports: &[Transport]) -> Result<Self> {
        let mut brokers = BTreeMap::new();
        for transport in transports {
            brokers.insert(*transport, Broker::up(*transport).await?);
        }
        let detours = brokers.values().map(|broker| broker.detours.len()).sum();
        let program = std::env::current_exe().context("where this program is")?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        Ok(Self {
            brokers,
            ways: (0..detours).map(|_| Arc::default()).collect(),
            runs: AtomicU64::new(0),
            program,
            folder,
        })
    }

    /// The broker of a transport.
    pub(crate) fn broker(&self, transport: Transport) -> Result<&Broker> {
        self.brokers
            .get(&transport)
            .with_context(|| format!("no broker was started for {transport:?}"))
    }

    /// A number below 256 that the last 255 runs do not have.
    pub(crate) fn number(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed) % 256
    }

    /// A way to the broker by a proxy; waits until one is free. Kafka's clients come to the port that the broker tells them, so it
    /// has a listener for each way.
    pub(crate) async fn detour(&self, transport: Transport) -> Result<Detour> {
        let broker = self.broker(transport)?;
        if broker.detours.is_empty() {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .context("a free port")?;
            return Ok(Detour {
                broker: broker.port,
                port: free.local_addr()?.port(),
                _held: None,
            });
        }
        let waits = self.ways.iter().map(|way| Box::pin(Arc::clone(way).lock_owned()));
        let (held, which, _) = futures::future::select_all(waits).await;
        let (behind, port) = broker
            .detours
            .get(which)
            .copied()
            .context("a way without a listener")?;
        Ok(Detour {
            broker: behind,
            port,
            _held: Some(held),
        })
    }

    /// Stops the brokers and removes their data.
    pub(crate) async fn down(&self) -> Result<()> {
        for broker in self.brokers.values() {
            broker.down().await?;
        }
        Ok(())
    }
}

impl Terms {
    /// A line without findings.
    pub(crate) fn line(&self, ground: &Ground) -> Line {
        let client = match self.transport {
            Transport::Kafka => "rdkafka",
            Transport::Rabbitmq => "lapin",
        };
        let mut versions = BTreeMap::from([
            ("pypz".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            (client.to_owned(), locked(client)),
        ]);
        if let Some(broker) = ground.brokers.get(&self.transport) {
            versions.insert("broker".to_owned(), broker.version.clone());
        }
        Line {
            row: self.row,
            case: self.case.to_owned(),
            subject: Subject::Ours,
            transport: self.transport,
            guarantee: self.guarantee,
            seed: self.seed,
            versions,
            disturbances: 0,
            records: 0,
            lost: 0,
            duplicated: 0,
            reread: 0,
            reordered: 0,
            invented: 0,
            broken: 0,
            recovery_p50_ms: None,
            recovery_p99_ms: None,
            max_rss_mib: 0,
            exit_codes: BTreeMap::new(),
            seconds: 0.0,
            verdict: Verdict::Held,
            reasons: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    /// A line that says why the run did not take place.
    pub(crate) fn skipped(&self, ground: &Ground, why: impl Into<String>) -> Line {
        Line {
            verdict: Verdict::Skipped,
            reasons: vec![why.into()],
            ..self.line(ground)
        }
    }
}

/// The version of a package that the workspace is built with.
fn locked(package: &str) -> String {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let entry = format!("name = \"{package}\"\nversion = \"");
    let version = LOCK
        .split_once(&entry)
        .and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_a_client_is_that_of_the_lock_file() {
        assert!(super::locked("rdkafka").starts_with("0."));
        assert_eq!(super::locked("no-such-package"), "unknown");
    }
}
