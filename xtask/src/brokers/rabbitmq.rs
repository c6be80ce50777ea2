//! RabbitMQ: Debian's package, as a node of its own with streams.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use super::site::{Site, mark};
use super::{Broker, connect, write};
use crate::process;
use crate::setup::{self, Need};

/// The RabbitMQ broker.
pub(crate) struct RabbitMq;

impl Broker for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn needs(&self) -> &'static [Need] {
        setup::RABBITMQ
    }

    fn default_port(&self) -> u16 {
        15673
    }

    /// AMQP, distribution, streams, and Erlang's port mapper.
    fn ports(&self) -> u16 {
        4
    }

    fn location(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/")
    }

    fn prepare(&self, site: &Site, port: u16) -> Result<()> {
        let streams = port + 2;
        write(
            &site.home.join("rabbitmq.conf"),
            &format!(
                "listeners.tcp.1 = 127.0.0.1:{port}\nstream.listeners.tcp.1 = 127.0.0.1:{streams}\nlog.file.level = warning\n"
            ),
        )?;
        write(&site.home.join("enabled_plugins"), "[rabbitmq_stream].\n")
    }

    fn command(&self, site: &Site, port: u16) -> Result<Command> {
        Ok(server(setup::RABBITMQ_SERVER, site, port, port))
    }

    fn answers(&self, port: u16) -> bool {
        greets(port).unwrap_or(false)
    }

    /// Ends the port mapper, which the server starts and leaves behind.
    ///
    /// It refuses as long as it has not noticed that the server is gone.
    fn clean_up(&self, port: u16) {
        let mapper = port + 3;
        let gone = || {
            let mut command = Command::new("epmd");
            command.args(["-port", &mapper.to_string(), "-kill"]);
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            Ok(connect(mapper).is_err().then_some(()))
        };
        // If it stays, the next start says that its port is taken.
        let _ = process::wait_until(Duration::from_secs(5), gone);
    }
}

/// Returns a program of RabbitMQ for the node at `port`, which speaks AMQP without TLS at `plain`.
///
/// The directory is on the server's command line because Erlang puts the home directory there.
pub(super) fn server(program: &str, site: &Site, port: u16, plain: u16) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(&site.home)
        .env("HOME", &site.home)
        // Replaces the script by the server, which then gets the signals.
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env_remove("NOTIFY_SOCKET")
        .env("ERL_EPMD_PORT", (port + 3).to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env(
            "RABBITMQ_NODENAME",
            format!("pypz-{}@localhost", mark(&site.home)),
        )
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", plain.to_string())
        .env("RABBITMQ_DIST_PORT", (port + 1).to_string())
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1}",
        )
        .env("RABBITMQ_MNESIA_BASE", &site.data)
        .env("RABBITMQ_LOG_BASE", site.home.join("log"))
        .env("RABBITMQ_PID_FILE", site.home.join("pid"))
        .env("RABBITMQ_CONF_ENV_FILE", site.home.join("none"))
        .env("RABBITMQ_CONFIG_FILE", site.home.join("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", site.home.join("enabled_plugins"));
    command
}

/// Opens an AMQP 0-9-1 connection and tells whether the server answers with `Connection.Start`.
pub(super) fn greets(port: u16) -> std::io::Result<bool> {
    let mut stream = connect(port)?;
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    let mut answer = [0; 11];
    stream.read_exact(&mut answer)?;
    Ok(answer[0] == 1 && answer[7..] == [0, 10, 0, 10])
}
