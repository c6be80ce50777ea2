//! `cargo xtask chaos`: breaks running pipelines at random and counts the records, with brokers of its own.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{cargo, process, python, root, setup};

/// Builds the chaos program and runs it with these arguments; returns its exit code.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    setup::ensure(&[setup::BUILD, setup::CHAOS].concat())?;
    process::run(cargo().args(["build", "--quiet", "-p", "pypz-chaos", "--all-features"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    // The peer is installed for those who ask for it.
    let peer = match arguments.iter().any(|argument| argument == "--python") {
        true => Some((python::VARIABLE, python::interpreter()?)),
        false => None,
    };
    let status = Command::new(target.join("debug/pypz-chaos"))
        .arg("run")
        .args(arguments)
        .current_dir(root())
        .envs(peer)
        .env("PYPZ_XTASK", std::env::current_exe()?)
        .status()
        .context("cannot run pypz-chaos")?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}
