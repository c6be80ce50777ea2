//! Apache Kafka: one node which is broker and controller, from the jars of Maven Central.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::site::Site;
use super::{Broker, connect, directory, write};
use crate::process;
use crate::setup::{self, Need};

/// The version of Apache Kafka that is fetched.
pub(crate) const VERSION: &str = "4.1.1";

/// The Apache Kafka broker.
pub(crate) struct Kafka;

impl Broker for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn needs(&self) -> &'static [Need] {
        setup::KAFKA
    }

    fn default_port(&self) -> u16 {
        19092
    }

    /// One for clients and one for the controller.
    fn ports(&self) -> u16 {
        2
    }

    fn location(&self, port: u16) -> String {
        format!("kafka://127.0.0.1:{port}")
    }

    fn prepare(&self, site: &Site, port: u16) -> Result<()> {
        fetch(&site.home)?;
        write(&site.home.join("log4j2.xml"), LOG4J)?;
        write(&properties(&site.home), &configuration(&site.data, port, &[]))?;
        if !site.data.join("meta.properties").exists() {
            format(site, &[])?;
        }
        Ok(())
    }

    fn command(&self, site: &Site, _port: u16) -> Result<Command> {
        let mut command = java(&site.home);
        command
            .args(["-Xms256m", "-Xmx768m", "-XX:+UseParallelGC", "kafka.Kafka"])
            .arg(properties(&site.home));
        Ok(command)
    }

    fn answers(&self, port: u16) -> bool {
        brokers_at(port).is_ok_and(|count| count > 0)
    }
}

pub(super) fn properties(home: &Path) -> PathBuf {
    home.join("server.properties")
}

/// Java with the jars, which all brokers of this kind share.
pub(super) fn java(home: &Path) -> Command {
    let mut command = Command::new("java");
    let logging = format!("-Dlog4j2.configurationFile={}", home.join("log4j2.xml").display());
    command
        .arg(logging)
        .arg("-cp")
        .arg(directory().join("kafka/jars/*"))
        .current_dir(home);
    command
}

/// Downloads the jars, unless those of this version are there.
pub(super) fn fetch(home: &Path) -> Result<()> {
    let jars = home.join("jars");
    let marker = jars.join("complete");
    if fs::read_to_string(&marker).is_ok_and(|version| version == VERSION) {
        return Ok(());
    }
    eprintln!("fetching Apache Kafka {VERSION}");
    if jars.exists() {
        fs::remove_dir_all(&jars).with_context(|| format!("cannot remove {}", jars.display()))?;
    }
    let project = home.join("pom.xml");
    write(&project, &POM.replace("VERSION", VERSION))?;
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "-f"])
        .arg(&project)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    process::run(maven.arg(format!("-DoutputDirectory={}", jars.display())))?;
    write(&marker, VERSION)
}

/// Gives the empty data directory its identity.
pub(super) fn format(site: &Site, arguments: &[&str]) -> Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64;
    // Sixteen bytes in base 64, whose last digit has four bits only.
    let cluster = format!("{now:016x}{:05x}A", std::process::id() & 0xf_ffff);
    let mut tool = java(&site.home);
    tool.args([
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "kafka.tools.StorageTool",
        "format",
    ]);
    tool.args(["-t", &cluster, "-c"]).arg(properties(&site.home));
    process::run(tool.args(arguments))
}

/// How long the broker may be silent towards its own controller.
///
/// One that is starved by the processes around it must not be taken for dead: all its partitions would lose their leader.
/// One that was killed is let in again only after this time, and leaves no mark of a clean shutdown.
pub(super) fn session_ms(data: &Path) -> u32 {
    let was_killed = data.exists() && !data.join(".kafka_cleanshutdown").exists();
    if was_killed { 5_000 } else { 60_000 }
}

/// The configuration of a broker; `detours` are further listeners for clients, each with the port that it tells them.
pub(super) fn configuration(data: &Path, port: u16, detours: &[(u16, u16)]) -> String {
    let (controller, session) = (port + 1, session_ms(data));
    let named = |separator: &str, of: fn(usize, (u16, u16)) -> String| -> String {
        let detours = detours.iter().enumerate();
        detours
            .map(|(at, ports)| format!("{separator}{}", of(at, *ports)))
            .collect()
    };
    let listeners = named(",", |at, (here, _)| format!("DETOUR{at}://127.0.0.1:{here}"));
    let advertised = named(",", |at, (_, there)| format!("DETOUR{at}://127.0.0.1:{there}"));
    let protocols = named(",", |at, _| format!("DETOUR{at}:PLAINTEXT"));
    format!(
        "process.roles=broker,controller
node.id=1
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=CLIENTS://127.0.0.1:{port}{advertised}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
broker.session.timeout.ms={session}
log.dirs={}
{SETTINGS}",
        data.display()
    )
}

/// Settings which do not depend on the place: a single node, small internal topics, quick reactions.
pub(super) const SETTINGS: &str = "\
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
log.segment.delete.delay.ms=1000
";

/// The project whose runtime dependencies are the broker; the last one carries its log messages.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pypz</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"#;

pub(super) const LOG4J: &str = r#"<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
    <Logger name="org.apache.kafka.coordinator.group.GroupMetadataManager" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"#;

/// Asks for the metadata of no topic (version 1) and returns the number of brokers in the answer.
///
/// The broker lists itself once it serves clients; the port is open before that.
pub(super) fn brokers_at(port: u16) -> std::io::Result<u32> {
    let mut stream = connect(port)?;
    stream.write_all(METADATA)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(u32::from_be_bytes([a, b, c, d]))
}

/// Size 19; request 3 in version 1; correlation 1; client `xtask`; no topics.
const METADATA: &[u8] = b"\0\0\0\x13\0\x03\0\x01\0\0\0\x01\0\x05xtask\0\0\0\0";
