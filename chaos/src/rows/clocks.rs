//! Row 31: clocks that are wrong, each process's in its own way, and steps in the middle of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::shape;
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::{Line, Transport};
use crate::stage::{LIMIT, Stage};

/// Where Debian has the library that lies about the time.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Each process has a clock that is up to `terms.rounds` minutes off, and off by another time in the middle of the run. Time that
/// only runs, which the protocol goes by, is as it is.
pub(super) async fn skewed(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).exists()) else {
        return Ok(terms.skipped(
            &ground,
            "libfaketime is not installed: cargo xtask setup installs it",
        ));
    };
    if terms.transport == Transport::Kafka {
        let why = "librdkafka waits until times of day, by calls that libfaketime does not reach: under it no wait ends as it should";
        return Ok(terms.skipped(&ground, why));
    }
    let mut shape = shape(&terms);
    shape.rate = shape.records / 12;
    shape.patience = 15.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let mut dice = Dice::new(terms.seed, "clocks");
    let parts = stage.parts();
    set(&stage, &mut dice)?;
    let folder = stage.folder.clone();
    let lies = |part: &String| {
        let variables = [
            ("LD_PRELOAD", (*library).to_owned()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                clock(&folder, part).display().to_string(),
            ),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        (part.clone(), variables.to_vec())
    };
    let environment = parts.iter().map(lies).collect();
    stage.environment = environment;
    stage.start_all()?;
    for at in [1, 2] {
        stage.until_arrived(stage.shape.total() * at / 4).await?;
        set(&stage, &mut dice)?;
        stage.disturbances += parts.len() as u64;
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    // Measured with the clocks that lie.
    (line.recovery_p50_ms, line.recovery_p99_ms) = (None, None);
    stage.tidy(&mut line);
    Ok(line)
}

/// The file that says how far off the clock of a part is.
pub(super) fn clock(folder: &Path, part: &str) -> PathBuf {
    folder.join(format!("{part}.clock"))
}

/// Sets all clocks, at once for whoever looks.
pub(super) fn set(stage: &Stage, dice: &mut Dice) -> Result<()> {
    let most = stage.terms.rounds as i64;
    for part in stage.parts() {
        let minutes = dice.within(0..2 * stage.terms.rounds + 1) as i64 - most;
        let clock = clock(&stage.folder, &part);
        let next = clock.with_extension("next");
        std::fs::write(&next, format!("{minutes:+}m\n"))?;
        std::fs::rename(&next, &clock).with_context(|| format!("cannot set {}", clock.display()))?;
    }
    Ok(())
}
