//! Apache Kafka with TLS, passwords, client certificates and an authorizer: a broker beside the plain one.

use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::certificates::{CLIENT, Certificates};
use super::kafka::{LOG4J, SETTINGS, brokers_at, fetch, format, java, properties, session_ms};
use super::rights::{Operation, Resource, grant};
use super::site::Site;
use super::{Broker, PASSWORD, STRANGER, USER, WORK, WORKER, directory, write};
use crate::setup::{self, Need};

/// The secure Apache Kafka broker.
pub(crate) struct SecureKafka;

/// A listener: its name in the configuration, its protocol, and whose certificate it shows.
const LISTENERS: [(&str, &str, &str); 6] = [
    ("SECURE", "SASL_SSL", "server"),
    ("MUTUAL", "SSL", "server"),
    ("EXPIRED", "SASL_SSL", "expired"),
    ("ELSEWHERE", "SASL_SSL", "elsewhere"),
    ("PLAIN", "PLAINTEXT", ""),
    ("CONTROLLER", "PLAINTEXT", ""),
];

/// The place of the listener that asks nothing of its clients.
const PLAIN: u16 = 4;

impl Broker for SecureKafka {
    fn name(&self) -> &'static str {
        "secure-kafka"
    }

    fn needs(&self) -> &'static [Need] {
        setup::KAFKA
    }

    fn default_port(&self) -> u16 {
        19150
    }

    fn ports(&self) -> u16 {
        LISTENERS.len() as u16
    }

    fn location(&self, port: u16) -> String {
        format!("kafka://127.0.0.1:{port}")
    }

    /// The jars are those of the plain broker.
    fn prepare(&self, site: &Site, port: u16) -> Result<()> {
        let certificates = Certificates::made(&directory())?;
        fetch(&directory().join("kafka"))?;
        write(&site.home.join("log4j2.xml"), LOG4J)?;
        let text = configuration(&certificates, site, port);
        write(&properties(&site.home), &text)?;
        if !site.data.join("meta.properties").exists() {
            let user = |name: &str| format!("SCRAM-SHA-512=[name={name},password={PASSWORD}]");
            let users = [USER, WORKER, STRANGER].map(user);
            let arguments = users.iter().flat_map(|user| ["--add-scram", user]);
            format(site, &arguments.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn command(&self, site: &Site, _port: u16) -> Result<Command> {
        let mut command = java(&site.home);
        command
            .args(["-Xms128m", "-Xmx512m", "-XX:+UseParallelGC", "kafka.Kafka"])
            .arg(properties(&site.home));
        Ok(command)
    }

    /// Grants the worker what a pipeline needs.
    fn started(&self, _site: &Site, port: u16) -> Result<()> {
        let topics = [
            Operation::Create,
            Operation::Read,
            Operation::Write,
            Operation::Delete,
        ];
        let topics = topics.map(|operation| (Resource::Topics, operation));
        let groups = [Operation::Read, Operation::Delete].map(|operation| (Resource::Groups, operation));
        let rights = [&topics[..], &groups].concat();
        grant(port + PLAIN, WORKER, WORK, &rights)
    }

    fn answers(&self, port: u16) -> bool {
        brokers_at(port + PLAIN).is_ok_and(|count| count > 0)
    }

    fn details(&self, port: u16) -> Value {
        let certificates = Certificates::at(&directory());
        let at = |place: u16| self.location(port + place);
        json!({
            "channelConfig": {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": USER,
                "sasl.password": PASSWORD,
                "ssl.ca.location": certificates.authority().display().to_string(),
            },
            "userWithoutRights": STRANGER,
            "worker": WORKER,
            "workersPrefix": WORK,
            "listeners": {
                "clientCertificate": at(1),
                "expired": at(2),
                "wrongHost": at(3),
                "plaintext": at(PLAIN),
            },
            "certificates": certificates.to_json(),
        })
    }
}

fn configuration(certificates: &Certificates, site: &Site, port: u16) -> String {
    let addresses: Vec<String> = (port..)
        .zip(LISTENERS)
        .map(|(port, (name, ..))| format!("{name}://127.0.0.1:{port}"))
        .collect();
    let protocols = LISTENERS.map(|(name, protocol, _)| format!("{name}:{protocol}"));
    let controller = port + LISTENERS.len() as u16 - 1;
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
listeners={}
advertised.listeners={}
listener.security.protocol.map={}
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
broker.session.timeout.ms={}
log.dirs={}
sasl.enabled.mechanisms=SCRAM-SHA-512
ssl.truststore.type=PEM
ssl.truststore.location={}
listener.name.mutual.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{USER};User:CN={CLIENT}
{SETTINGS}",
        addresses.join(","),
        addresses[..addresses.len() - 1].join(","),
        protocols.join(","),
        session_ms(&site.data),
        site.data.display(),
        certificates.authority().display(),
    );
    for (name, protocol, certificate) in LISTENERS {
        let listener = format!("listener.name.{}", name.to_lowercase());
        if protocol.ends_with("SSL") {
            let file = certificates.server(certificate);
            text += &format!(
                "{listener}.ssl.keystore.type=PEM\n{listener}.ssl.keystore.location={}\n",
                file.display()
            );
        }
        if protocol.starts_with("SASL") {
            text += &format!(
                "{listener}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
            );
        }
    }
    text
}
