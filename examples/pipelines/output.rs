//! What the jobs print on stdout, and the files they write.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

static QUIET: AtomicBool = AtomicBool::new(false);

/// Keeps stdout free for the line of `--json`.
pub(crate) fn quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Prints a line on stdout. Unlike `println!` it does not panic when nobody reads on, as in `pipelines hello | head`.
pub(crate) fn line(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// Prints a line of JSON on stdout, quiet or not.
pub(crate) fn json_line(value: &impl Serialize) {
    let mut stdout = std::io::stdout().lock();
    let _ = serde_json::to_writer(&mut stdout, value);
    let _ = writeln!(stdout);
}

/// Writes a file of indented JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let pretty = PrettyFormatter::with_indent(b" ");
    value.serialize(&mut Serializer::with_formatter(&mut text, pretty))?;
    text.push(b'\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A value of a table, or a dash.
pub(crate) fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}
