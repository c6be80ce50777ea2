//! The brokers that `cargo xtask chaos` breaks: the plain ones once more, with places of their own.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::kafka::{self, Kafka};
use super::rabbitmq::{RabbitMq, server};
use super::site::Site;
use super::{Broker, directory, write};
use crate::setup::{self, Need};

/// How many listeners of Kafka tell their clients to come to another port, where a proxy is expected.
const DETOURS: u16 = 4;

/// Apache Kafka, with listeners for clients that come by a proxy.
pub(crate) struct ChaosKafka;

impl ChaosKafka {
    /// The ports of the detours: where the broker listens, and what it advertises there.
    fn detours(port: u16) -> Vec<(u16, u16)> {
        (0..DETOURS)
            .map(|at| (port + 2 + at, port + 2 + DETOURS + at))
            .collect()
    }
}

impl Broker for ChaosKafka {
    fn name(&self) -> &'static str {
        "chaos-kafka"
    }

    fn needs(&self) -> &'static [Need] {
        Kafka.needs()
    }

    fn default_port(&self) -> u16 {
        19470
    }

    /// One for clients, one for the controller, and the detours; the ports that these advertise are the proxies'.
    fn ports(&self) -> u16 {
        2 + DETOURS
    }

    fn location(&self, port: u16) -> String {
        Kafka.location(port)
    }

    /// The jars are those of the plain broker.
    fn prepare(&self, site: &Site, port: u16) -> Result<()> {
        kafka::fetch(&directory().join("kafka"))?;
        write(&site.home.join("log4j2.xml"), kafka::LOG4J)?;
        let text = kafka::configuration(&site.data, port, &Self::detours(port));
        write(&kafka::properties(&site.home), &text)?;
        if !site.data.join("meta.properties").exists() {
            kafka::format(site, &[])?;
        }
        Ok(())
    }

    fn command(&self, site: &Site, port: u16) -> Result<Command> {
        Kafka.command(site, port)
    }

    fn answers(&self, port: u16) -> bool {
        Kafka.answers(port)
    }

    fn details(&self, port: u16) -> Value {
        json!({"port": port, "version": kafka::VERSION, "detours": Self::detours(port)})
    }
}

/// RabbitMQ, whose clients may come by a proxy as they like.
pub(crate) struct ChaosRabbitMq;

impl Broker for ChaosRabbitMq {
    fn name(&self) -> &'static str {
        "chaos-rabbitmq"
    }

    fn needs(&self) -> &'static [Need] {
        RabbitMq.needs()
    }

    fn default_port(&self) -> u16 {
        15950
    }

    fn ports(&self) -> u16 {
        RabbitMq.ports()
    }

    fn location(&self, port: u16) -> String {
        RabbitMq.location(port)
    }

    fn prepare(&self, site: &Site, port: u16) -> Result<()> {
        RabbitMq.prepare(site, port)
    }

    fn command(&self, site: &Site, port: u16) -> Result<Command> {
        RabbitMq.command(site, port)
    }

    fn answers(&self, port: u16) -> bool {
        RabbitMq.answers(port)
    }

    /// With the command line tool's environment, by which a row fills the disk.
    fn details(&self, port: u16) -> Value {
        let site = Site::new(self.name(), port);
        let tool = server(setup::RABBITMQ_CONTROL, &site, port, port);
        let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
        let mut details: serde_json::Map<String, Value> = tool
            .get_envs()
            .filter_map(|(name, value)| Some((text(name), text(value?).into())))
            .collect();
        details.insert("control".to_owned(), text(tool.get_program()).into());
        let package = Command::new("dpkg-query")
            .args(["-W", "-f", "${Version}", "rabbitmq-server"])
            .output();
        let version = package.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        json!({"port": port, "version": version.unwrap_or_default(), "details": details})
    }

    fn clean_up(&self, port: u16) {
        RabbitMq.clean_up(port);
    }
}
