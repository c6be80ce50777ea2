//! What a Debian machine with Rust lacks: a C toolchain, the libraries of librdkafka, Java, Maven, RabbitMQ.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::process;

/// Something a task needs, the Debian package which has it, and how to see that it is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    name: &'static str,
    package: &'static str,
    present: fn() -> bool,
}

/// What it takes to build the workspace with all features.
pub(crate) const BUILD: &[Need] = &[
    Need {
        name: "gcc",
        package: "gcc",
        present: || runs("gcc"),
    },
    Need {
        name: "g++",
        package: "g++",
        present: || runs("g++"),
    },
    Need {
        name: "the C library's headers",
        package: "libc6-dev",
        present: || header("stdio.h"),
    },
    Need {
        name: "make",
        package: "make",
        present: || runs("make"),
    },
    Need {
        name: "pkg-config",
        package: "pkg-config",
        present: || runs("pkg-config"),
    },
    Need {
        name: "zlib",
        package: "zlib1g-dev",
        present: || library("zlib"),
    },
    Need {
        name: "OpenSSL",
        package: "libssl-dev",
        present: || library("openssl"),
    },
    Need {
        name: "Cyrus SASL",
        package: "libsasl2-dev",
        present: || library("libsasl2"),
    },
];

/// What it takes to break pipelines: clocks that are wrong, signals.
pub(crate) const CHAOS: &[Need] = &[
    Need {
        name: "faketime",
        package: "faketime",
        present: || runs("faketime"),
    },
    Need {
        name: "kill",
        package: "procps",
        present: || succeeds(Command::new("kill").arg("-l")),
    },
];

/// What it takes to install pypz-python.
pub(crate) const PYTHON: &[Need] = &[Need {
    name: "Python with venv and pip",
    package: "python3-venv",
    present: || succeeds(Command::new("python3").args(["-m", "ensurepip", "--version"])),
}];

/// What it takes to fetch and to run Apache Kafka.
pub(crate) const KAFKA: &[Need] = &[
    Need {
        name: "Java 17 or newer",
        package: "default-jre-headless",
        present: java,
    },
    Need {
        name: "Maven",
        package: "maven",
        present: || runs("mvn"),
    },
];

/// What it takes to run RabbitMQ.
pub(crate) const RABBITMQ: &[Need] = &[Need {
    name: "RabbitMQ",
    package: "rabbitmq-server",
    present: || Path::new(RABBITMQ_SERVER).exists(),
}];

/// The start script of Debian's RabbitMQ, without the wrapper which changes the user.
pub(crate) const RABBITMQ_SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Its command line tool, likewise.
pub(crate) const RABBITMQ_CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// Installs those of the needs which are missing, or says what to install if it may not.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    if !runs("apt-get") {
        bail!(
            "missing on this machine, which has no apt-get: {}",
            names.join(", ")
        );
    }
    if !is_root() {
        bail!(
            "missing on this machine: {}; as root, run: apt-get update && apt-get install -y --no-install-recommends {}",
            names.join(", "),
            packages.join(" ")
        );
    }
    eprintln!("installing {}", packages.join(" "));
    process::run(apt().args(["-q", "update"]))?;
    process::run(
        apt()
            .args(["-q", "install", "-y", "--no-install-recommends"])
            .args(&packages),
    )?;
    let still: Vec<&str> = self::missing(needs).iter().map(|need| need.name).collect();
    if !still.is_empty() {
        bail!(
            "installed {}, yet these are missing: {}",
            packages.join(" "),
            still.join(", ")
        );
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().filter(|need| !(need.present)()).copied().collect()
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn runs(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn library(name: &str) -> bool {
    succeeds(Command::new("pkg-config").args(["--exists", name]))
}

fn header(name: &str) -> bool {
    succeeds(Command::new("gcc").args(["-E", "-x", "c", "-include", name, "/dev/null"]))
}

fn succeeds(command: &mut Command) -> bool {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn java() -> bool {
    let output = Command::new("java").arg("-version").output();
    output.is_ok_and(|output| {
        java_major(&String::from_utf8_lossy(&output.stderr)).is_some_and(|major| major >= 17)
    })
}

/// Reads the major version out of `openjdk version "17.0.15" 2025-04-15`.
fn java_major(version: &str) -> Option<u32> {
    let number = version.split('"').nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::java_major;

    #[test]
    fn the_major_version_of_java_is_the_first_number_in_quotes() {
        assert_eq!(java_major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(java_major("openjdk version \"21-ea\" 2023-09-19\n"), Some(21));
        assert_eq!(java_major("java version \"1.8.0_402\"\n"), Some(1));
        assert_eq!(java_major("command not found"), None);
    }
}
