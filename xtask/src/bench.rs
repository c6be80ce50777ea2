//! `cargo xtask bench`: measures on real brokers and writes `docs/performance.md`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::brokers::{self, Borrowed};
use crate::{cargo, python, root, setup, test};

const BENCHES: [&str; 8] = [
    "fanout",
    "transport",
    "hop",
    "codec",
    "protocol",
    "lifecycle",
    "pypz",
    "mixed",
];

/// The variables that the benchmarks read.
const FIGURES: &str = "PYPZ_BENCH_FIGURES";
const QUICK: &str = "PYPZ_BENCH_QUICK";
const BROKERS: &str = "PYPZ_BENCH_BROKERS";

/// Runs the benchmarks, each a process of its own, and writes the report.
pub(crate) fn run(quick: bool, only: &[String]) -> Result<ExitCode> {
    for name in only {
        ensure!(
            BENCHES.contains(&name.as_str()),
            "there is no benchmark '{name}', only {}",
            BENCHES.join(", ")
        );
    }
    setup::ensure(setup::BUILD)?;
    let mut borrowed = Vec::new();
    let outcome = measure(&mut borrowed, quick, only);
    let given_back: Vec<_> = borrowed.into_iter().map(Borrowed::give_back).collect();
    given_back.into_iter().collect::<Result<()>>()?;
    outcome.map(|()| ExitCode::SUCCESS)
}

fn measure(borrowed: &mut Vec<Borrowed>, quick: bool, only: &[String]) -> Result<()> {
    let folder = root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let figures = folder.join("figures.jsonl");
    std::fs::write(&figures, "")?;
    let criterion = root().join("target/criterion");
    if criterion.exists() {
        std::fs::remove_dir_all(&criterion)?;
    }
    let chosen: Vec<&str> = BENCHES
        .into_iter()
        .filter(|name| only.is_empty() || only.iter().any(|chosen| chosen == name))
        .collect();
    let mut command = cargo();
    command.args(["bench", "--package", "pypz-benches"]);
    command.args(chosen.iter().flat_map(|name| ["--bench", name]));
    command.env(FIGURES, &figures);
    if quick {
        command.env(QUICK, "1");
    }
    command.env(python::VARIABLE, python::interpreter()?);
    test::plain_brokers(borrowed, &mut command)?;
    succeed(&mut command)?;
    let mut report = cargo();
    report.args([
        "run",
        "--release",
        "--package",
        "pypz-benches",
        "--bin",
        "report",
        "--",
    ]);
    report.arg(&figures).arg(&criterion).arg(root().join("docs"));
    if quick {
        report.env(QUICK, "1");
    }
    report.env(BROKERS, versions());
    succeed(&mut report)?;
    println!("wrote docs/performance.md");
    Ok(())
}

/// What the brokers are that the project starts.
fn versions() -> String {
    let said = Command::new("rabbitmqctl").arg("version").output();
    let rabbitmq = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "Apache Kafka {}, RabbitMQ {}",
        brokers::KAFKA_VERSION,
        rabbitmq.unwrap_or_default()
    )
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
