//! Genuine pypz-python for the tests: a virtual environment under `target/python`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, root, setup};

/// The environment variable in which the tests look for the interpreter.
pub(crate) const VARIABLE: &str = "PYPZ_TEST_PYTHON";

/// What the tests compare with.
const PACKAGES: [&str; 3] = [
    "pypz-core==0.10.2",
    "pypz-kafka-io==0.10.2",
    "pypz-rmq-io==0.10.2",
];

/// Returns an interpreter that has pypz-python: the one that the variable names, or that of the environment, which is made
/// if it is not there.
pub(crate) fn interpreter() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let environment = root().join("target/python");
    let interpreter = environment.join("bin/python");
    if !is_ready(&environment) {
        make(&environment, &interpreter)?;
    }
    Ok(interpreter)
}

fn note(environment: &Path) -> PathBuf {
    environment.join("packages.txt")
}

/// Tells whether the environment was finished, and with these packages.
fn is_ready(environment: &Path) -> bool {
    let installed = std::fs::read_to_string(note(environment)).unwrap_or_default();
    installed == PACKAGES.join("\n")
}

fn make(environment: &Path, interpreter: &Path) -> Result<()> {
    setup::ensure(setup::PYTHON)?;
    process::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(environment),
    )?;
    process::run(
        Command::new(interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES),
    )?;
    std::fs::write(note(environment), PACKAGES.join("\n"))
        .with_context(|| format!("cannot write into {}", environment.display()))
}
