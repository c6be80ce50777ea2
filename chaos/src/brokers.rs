//! The brokers that rows break: those of `cargo xtask brokers --chaos`, which nobody else uses.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::line::Transport;

/// Where the program is that starts and stops brokers.
const XTASK: &str = "PYPZ_XTASK";

/// A running broker.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    transport: Transport,
    xtask: PathBuf,
    /// Where clients find it.
    pub(crate) location: String,
    /// Its port for clients.
    pub(crate) port: u16,
    /// For Kafka, listeners whose clients are told to come to another port: where it listens, and what it tells them.
    pub(crate) detours: Vec<(u16, u16)>,
    /// Its version.
    pub(crate) version: String,
    /// What its tools need to know of it, by name.
    pub(crate) details: BTreeMap<String, String>,
}

/// How a broker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It may finish what it does.
    Graceful,
    /// `kill -9`.
    Kill,
}

impl Broker {
    /// Starts the broker unless it runs.
    pub(crate) async fn up(transport: Transport) -> Result<Self> {
        let xtask = std::env::var_os(XTASK)
            .map(PathBuf::from)
            .with_context(|| format!("{XTASK} is not set: run `cargo xtask chaos`"))?;
        let mut broker = Self {
            transport,
            xtask,
            location: String::new(),
            port: 0,
            detours: Vec::new(),
            version: String::new(),
            details: BTreeMap::new(),
        };
        let state = broker.ask(&["up"]).await?;
        broker
            .read(&state)
            .with_context(|| format!("the state of a broker is unclear: {state}"))?;
        Ok(broker)
    }

    fn read(&mut self, state: &Value) -> Option<()> {
        let connect = &state["connect"];
        self.location = state["location"].as_str()?.to_owned();
        self.port = connect["port"].as_u64()?.try_into().ok()?;
        self.version = connect["version"].as_str()?.to_owned();
        for pair in connect["detours"].as_array().into_iter().flatten() {
            self.detours.push((
                pair[0].as_u64()?.try_into().ok()?,
                pair[1].as_u64()?.try_into().ok()?,
            ));
        }
        for (name, value) in connect["details"].as_object().into_iter().flatten() {
            self.details.insert(name.clone(), value.as_str()?.to_owned());
        }
        Some(())
    }

    /// Stops and starts it; its data stays.
    pub(crate) async fn restart(&self, stop: Stop) -> Result<()> {
        match stop {
            Stop::Graceful => self.ask(&["restart"]).await?,
            Stop::Kill => self.ask(&["restart", "--kill"]).await?,
        };
        Ok(())
    }

    /// Kills it and leaves it dead; [`Broker::restart`] revives it.
    pub(crate) async fn halt(&self) -> Result<()> {
        self.ask(&["halt"]).await.map(drop)
    }

    /// Stops it and removes its data.
    pub(crate) async fn down(&self) -> Result<()> {
        self.ask(&["down"]).await.map(drop)
    }

    /// Where clients find it by another port of this machine.
    pub(crate) fn location_at(&self, port: u16) -> String {
        self.location
            .replacen(&format!(":{}", self.port), &format!(":{port}"), 1)
    }

    /// Has RabbitMQ's own tool do something at the broker.
    pub(crate) async fn control(&self, told: &[&str]) -> Result<()> {
        let tool = self.details.get("control");
        let mut command = Command::new(tool.context("the broker's tool is unknown")?);
        command.args(told);
        command.envs(self.details.iter().filter(|(name, _)| *name != "control"));
        let output = command.output().await.context("cannot run rabbitmqctl")?;
        if !output.status.success() {
            bail!("rabbitmqctl: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    async fn ask(&self, action: &[&str]) -> Result<Value> {
        let kind = match self.transport {
            Transport::Kafka => "kafka",
            Transport::Rabbitmq => "rabbitmq",
        };
        let mut command = Command::new(&self.xtask);
        command
            .arg("brokers")
            .args(action)
            .args(["--chaos", "--json", kind]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .await
            .context("cannot run xtask")?;
        if !output.status.success() {
            bail!(
                "brokers {action:?} {kind}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let answer: Value = serde_json::from_slice(&output.stdout).context("xtask printed no JSON")?;
        let answer = answer
            .as_object()
            .and_then(|brokers| brokers.values().next().cloned());
        Ok(answer.unwrap_or_default())
    }
}
