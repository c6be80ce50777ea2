//! Pipeline files: what pypz-python wrote is read, checked, run and written back.

#![cfg(feature = "files")]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod foreign;
mod hostile;
mod refused;
mod registry;
mod round_trip;
mod shop;

use std::path::{Path, PathBuf};

use pypz::{Pipeline, PipelineError};

/// A file that genuine pypz-python wrote; `shop.py` beside it says how.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/files/golden")
        .join(name)
}

/// What is wrong with a file, a line a problem.
fn problems(yaml: &str) -> Vec<String> {
    let error: PipelineError = match Pipeline::from_yaml(yaml) {
        Ok(pipeline) => match pipeline.validate() {
            Ok(()) => return Vec::new(),
            Err(error) => error,
        },
        Err(error) => error,
    };
    error.problems.iter().map(ToString::to_string).collect()
}
