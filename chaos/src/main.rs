//! `cargo xtask chaos`: breaks running pipelines at random, and counts the records in a ledger outside of them.
#![allow(clippy::print_stdout, reason = "what a run finds out is printed")]

mod blanks;
mod brokers;
mod checker;
mod dice;
mod disk;
mod form;
mod ground;
mod item;
mod killer;
mod ledger;
mod line;
mod marks;
mod meddler;
mod operators;
mod page;
mod play;
mod process;
mod proxy;
mod rows;
mod run;
mod sieve;
mod stage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask chaos",
    about = "Breaks running pipelines at random and counts the records"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs rows of the matrix of faults
    Run(run::Options),
    /// Runs a part of a pipeline under test
    #[command(hide = true)]
    Operator(Box<play::Part>),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Operator(part) => play::run(&part).await,
        Task::Run(options) => run::run(&options).await.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }),
    }
}
