//! Tasks of the workspace: `cargo xtask bench|brokers|chaos|setup|test|msrv`.
#![allow(clippy::print_stdout, reason = "what a task finds out is printed")]

mod bench;
mod brokers;
mod chaos;
mod msrv;
mod process;
mod python;
mod setup;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The command line of `cargo xtask`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Tasks of the pypz workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs real message brokers on the loopback interface, for development and for the tests
    #[command(subcommand)]
    Brokers(brokers::Action),
    /// Breaks running pipelines at random and counts the records: the matrix of faults, on brokers of its own
    ///
    /// `cargo xtask chaos --help` says what there is to choose.
    #[command(disable_help_flag = true)]
    Chaos {
        /// Arguments of the chaos program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Installs what a Debian machine with Rust lacks to build and to test the workspace
    Setup,
    /// Runs all tests, against a broker which it starts and stops if none is given
    ///
    /// PYPZ_TEST_KAFKA=HOST:PORT and PYPZ_TEST_AMQP=LOCATION name existing brokers to use instead, PYPZ_TEST_PYTHON an
    /// interpreter with pypz-python.
    Test {
        /// Runs only the pipelines of two languages, as often as they promise: takes hours
        #[arg(long)]
        mixed_full: bool,
        /// Further arguments of `cargo test`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Measures ports beside the bare clients on real brokers, and writes docs/performance.md
    ///
    /// PYPZ_TEST_KAFKA=HOST:PORT and PYPZ_TEST_AMQP=LOCATION name existing brokers to use instead.
    Bench {
        /// Few pairs of short runs
        #[arg(long)]
        quick: bool,
        /// Only these benchmarks: fanout, transport, hop, codec, protocol, lifecycle, pypz
        only: Vec<String>,
    },
    /// Checks that no dependency asks for a newer Rust than the workspace promises
    Msrv,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Bench { quick, only } => bench::run(quick, &only),
        Task::Brokers(action) => brokers::run(&action),
        Task::Chaos { arguments } => chaos::run(&arguments),
        Task::Setup => {
            setup::ensure(&[setup::BUILD, setup::KAFKA, setup::CHAOS].concat()).map(|()| ExitCode::SUCCESS)
        }
        Task::Test {
            mixed_full,
            arguments,
        } => test::run(mixed_full, &arguments),
        Task::Msrv => msrv::run(),
    }
}

/// Returns the root directory of the workspace.
fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(manifest)
        .join("..")
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("."))
}

/// Returns the cargo which runs this task.
fn cargo() -> std::process::Command {
    let mut command = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
