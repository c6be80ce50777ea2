//! RabbitMQ with TLS, client certificates and users of its own: a node beside the plain one.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::rabbitmq::{RabbitMq, greets, server};
use super::site::Site;
use super::{Broker, PASSWORD, STRANGER, USER, WORK, WORKER, directory, write};
use crate::setup::{self, Need};

/// The secure RabbitMQ broker.
pub(crate) struct SecureRabbitMq;

/// The ports behind those that every node has: the one without TLS, then each with a certificate of its own.
const PLAIN: u16 = 4;
const MUTUAL: u16 = 5;
const EXPIRED: u16 = 6;
const ELSEWHERE: u16 = 7;

impl Broker for SecureRabbitMq {
    fn name(&self) -> &'static str {
        "secure-rabbitmq"
    }

    fn needs(&self) -> &'static [Need] {
        setup::RABBITMQ
    }

    fn default_port(&self) -> u16 {
        15720
    }

    fn ports(&self) -> u16 {
        8
    }

    fn location(&self, port: u16) -> String {
        format!("amqps://{USER}:{PASSWORD}@127.0.0.1:{port}/")
    }

    fn prepare(&self, site: &Site, port: u16) -> Result<()> {
        let certificates = Certificates::made(&directory())?;
        let (authority, shown) = (certificates.authority(), certificates.server("server"));
        let (plain, streams, definitions) = (port + PLAIN, port + 2, site.home.join("definitions.json"));
        let [authority, shown, loaded] = [&authority, &shown, &definitions].map(|path| path.display());
        write(
            &site.home.join("rabbitmq.conf"),
            &format!(
                "listeners.tcp.1 = 127.0.0.1:{plain}
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {shown}
ssl_options.keyfile = {shown}
ssl_options.verify = verify_none
stream.listeners.tcp.1 = 127.0.0.1:{streams}
load_definitions = {loaded}
log.file.level = warning
"
            ),
        )?;
        write(&definitions, &users().to_string())?;
        write(&site.home.join("enabled_plugins"), "[rabbitmq_stream].\n")
    }

    fn command(&self, site: &Site, port: u16) -> Result<Command> {
        Ok(server(setup::RABBITMQ_SERVER, site, port, port + PLAIN))
    }

    /// Opens the listeners that have certificates of their own, which no configuration file can say.
    fn started(&self, site: &Site, port: u16) -> Result<()> {
        let certificates = Certificates::at(&directory());
        let listener = |place: u16, certificate: &str, verify: &str| {
            let (authority, shown) = (certificates.authority(), certificates.server(certificate));
            let (authority, shown) = (authority.display(), shown.display());
            format!(
                "rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {}}}, [{{cacertfile, \"{authority}\"}}, \
                 {{certfile, \"{shown}\"}}, {{keyfile, \"{shown}\"}}, {verify}], 2)",
                port + place
            )
        };
        let none = "{verify, verify_none}";
        let opened = [
            listener(
                MUTUAL,
                "server",
                "{verify, verify_peer}, {fail_if_no_peer_cert, true}",
            ),
            listener(EXPIRED, "expired", none),
            listener(ELSEWHERE, "elsewhere", none),
        ];
        let mut control = server(setup::RABBITMQ_CONTROL, site, port, port + PLAIN);
        let output = control
            .args(["eval", &format!("{}.", opened.join(", "))])
            .output()
            .context("cannot run rabbitmqctl")?;
        if !output.status.success() {
            bail!(
                "{} opens no further listeners: {}{}",
                self.name(),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn answers(&self, port: u16) -> bool {
        greets(port + PLAIN).unwrap_or(false)
    }

    fn details(&self, port: u16) -> Value {
        let certificates = Certificates::at(&directory());
        let at = |place: u16| self.location(port + place);
        json!({
            "channelConfig": {"caCertificate": certificates.authority().display().to_string()},
            "userWithoutRights": STRANGER,
            "worker": WORKER,
            "workersPrefix": WORK,
            "listeners": {
                "clientCertificate": at(MUTUAL),
                "expired": at(EXPIRED),
                "wrongHost": at(ELSEWHERE),
                "plaintext": at(PLAIN).replacen("amqps", "amqp", 1),
            },
            "certificates": certificates.to_json(),
        })
    }

    fn clean_up(&self, port: u16) {
        RabbitMq.clean_up(port);
    }
}

/// One who may do everything, one who may do what a pipeline does, and one who may only come in.
fn users() -> Value {
    let user = |name: &str| json!({"name": name, "password": PASSWORD, "tags": ""});
    let may = |name: &str, own: &str, write: &str| json!({"user": name, "vhost": "/", "configure": own, "write": write, "read": own});
    let (work, publish) = (format!("^{WORK}"), format!("^({WORK}|amq\\.default$)"));
    json!({
        "users": [user(USER), user(WORKER), user(STRANGER)],
        "vhosts": [{"name": "/"}],
        "permissions": [may(USER, ".*", ".*"), may(WORKER, &work, &publish), may(STRANGER, "^$", "^$")],
    })
}
