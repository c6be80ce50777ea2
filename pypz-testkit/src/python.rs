//! Genuine pypz-python. A test that needs it fails without it; it is never skipped.

use std::path::{Path, PathBuf};

/// A Python interpreter that has pypz-core, pypz-kafka-io and pypz-rmq-io.
///
/// `PYPZ_TEST_PYTHON` names it; without that it is the one that `cargo xtask test` made.
///
/// # Panics
///
/// If there is none, with what to do.
#[must_use]
pub fn interpreter() -> PathBuf {
    if let Some(named) = std::env::var_os("PYPZ_TEST_PYTHON") {
        return named.into();
    }
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    assert!(
        made.exists(),
        "this test needs pypz-python: run `cargo xtask test`, which installs it, or set PYPZ_TEST_PYTHON"
    );
    made
}
