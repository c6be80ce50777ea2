//! Row 20: a disk of the operators' own host that is full.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::shape;
use crate::disk::Disk;
use crate::ground::{Ground, Terms};
use crate::line::Line;
use crate::stage::{LIMIT, Stage};

/// How long everybody may take to end when one cannot write.
const ENDED: Duration = Duration::from_secs(90);

/// What the sink can note before its disk is full, in bytes.
const ROOM: u64 = 256 << 10;

/// The disk is full that the sink writes what it was given to: it fails and says why, and acknowledges nothing that it did not
/// write. With room again everybody is started again and finishes.
pub(super) async fn ledger(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 10;
    shape.patience = 10.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let disk = match Disk::mount(&stage.folder) {
        Ok(disk) => disk,
        Err(why) => return Ok(unmounted(&ground, &terms, &stage, &why)),
    };
    disk.takes("sink@0.1.arrived")?;
    disk.fill(ROOM)?;
    stage.disturbances += 1;
    stage.start_all()?;
    stage.all_end(ENDED).await?;
    let (codes, said) = (stage.ended().clone(), stage.said("sink@0"));
    disk.clear()?;
    let mut line = resumed(&mut stage).await?;
    if codes.get("sink@0") != Some(&115) {
        let code = codes.get("sink@0");
        line.breaks(format!("sink@0 ended with {code:?} in place of 115"));
    }
    if !said.contains("No space left") {
        line.breaks("sink@0 does not say that its disk is full");
    }
    panicked(&stage, &mut line);
    line.exit_codes = codes;
    disk.leave()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// The disk is full that everybody's log is on, who has much to say: the work goes on without it.
pub(super) async fn logs(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut stage = Stage::new(&ground, &terms, shape(&terms))?;
    let disk = match Disk::mount(&stage.folder) {
        Ok(disk) => disk,
        Err(why) => return Ok(unmounted(&ground, &terms, &stage, &why)),
    };
    without_room(&disk, &stage)?;
    let talkative = ("RUST_LOG".to_owned(), "debug,lapin=off".to_owned());
    stage.environment.insert(String::new(), vec![talkative]);
    stage.disturbances += 1;
    stage.start_all()?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    panicked(&stage, &mut line);
    disk.leave()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// As [`logs`], of a run that fails: the exit codes are those that they are with a log.
pub(super) async fn last_words(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.patience = 10.0;
    shape.fail_at = Some(shape.records / 2);
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let disk = match Disk::mount(&stage.folder) {
        Ok(disk) => disk,
        Err(why) => return Ok(unmounted(&ground, &terms, &stage, &why)),
    };
    without_room(&disk, &stage)?;
    stage.disturbances += 1;
    stage.start_all()?;
    stage.all_end(ENDED).await?;
    let codes = stage.ended().clone();
    disk.clear()?;
    stage.shape.fail_at = None;
    let mut line = resumed(&mut stage).await?;
    for (part, expected) in [("a@0", 115), ("relay@0", 120), ("relay@1", 120), ("sink@0", 120)] {
        let code = codes.get(part);
        if code != Some(&expected) {
            line.breaks(format!("{part} ended with {code:?} in place of {expected}"));
        }
    }
    line.exit_codes = codes;
    disk.leave()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// Puts everybody's log on the disk and fills it.
fn without_room(disk: &Disk, stage: &Stage) -> Result<()> {
    for part in stage.parts() {
        disk.takes(&format!("{part}.1.log"))?;
    }
    disk.fill(0)
}

/// Starts those again that did not finish. Whoever ended with 0 has closed its run and would begin another one.
async fn resumed(stage: &mut Stage) -> Result<Line> {
    let mut unfinished = stage.ended().clone();
    unfinished.retain(|_, code| *code != 0);
    unfinished.keys().try_for_each(|part| stage.start(part))?;
    stage.all_end(LIMIT).await?;
    stage.complete()
}

fn panicked(stage: &Stage, line: &mut Line) {
    for part in stage.parts() {
        if stage.said(&part).contains("panicked at") {
            line.breaks(format!("{part} panicked"));
        }
    }
}

fn unmounted(ground: &Ground, terms: &Terms, stage: &Stage, why: &str) -> Line {
    let _ = std::fs::remove_dir_all(&stage.folder);
    terms.skipped(ground, format!("no small disk can be mounted here: {why}"))
}
