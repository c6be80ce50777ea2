//! What pypz-python does in rows 16, 17, 24, 31 and 38.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::peers::{PEER, Start, began, begun, ended, measured, missing, never_began, stage};
use super::{clocks, fold, meddling};
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::{Line, Subject, Verdict};
use crate::meddler::{Meddler, Status};

/// How long a run may take of which nobody expects that it waits for a patience.
const BOUND: Duration = Duration::from_secs(110);

/// The sink is killed while records wait for it, and comes back with another replica.
pub(super) async fn repartitioned(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut stage = match begun(&ground, &terms, terms.records / 20).await? {
        Start::Begun(stage) => stage,
        Start::Never(line) => return Ok(*line),
    };
    stage.kill("sink@0").await?;
    stage.shape.sinks = 2;
    stage.start("sink@0")?;
    stage.start("sink@1")?;
    ended(stage, PEER).await
}

/// A status of many messages of an earlier run is there when a run starts.
pub(super) async fn stale(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let Some(mut first) = stage(&ground, &terms)? else {
        return Ok(missing(&ground, &terms));
    };
    first.shape.keep = true;
    first.shape.rate = 0;
    first.start_all()?;
    if first.all_end(BOUND).await.is_err() {
        return never_began(&first);
    }
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let channel = format!("{}.sink.input", first.name);
    for of in [Status::Readers, Status::Writers] {
        let status = meddler.status(&channel, of);
        let old = meddler.read(&status, 1_000).await?;
        let many: Vec<Vec<u8>> = old.iter().cycle().take(terms.rounds as usize).cloned().collect();
        meddler.write(&status, &many).await?;
    }
    let Some(mut again) = stage(&ground, &terms)? else {
        return Ok(missing(&ground, &terms));
    };
    again.name.clone_from(&first.name);
    let _ = std::fs::remove_dir_all(&first.folder);
    again.disturbances = 1;
    again.start_all()?;
    let mut line = ended(Box::new(again), PEER).await?;
    line.figures.insert("stale messages".to_owned(), 2 * terms.rounds);
    Ok(line)
}

/// Bytes that are no status, or lie about who says it, are written into the status of a channel in the middle of a run.
pub(super) async fn hostile(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut stage = match begun(&ground, &terms, terms.records / 20).await? {
        Start::Begun(stage) => stage,
        Start::Never(line) => return Ok(*line),
    };
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let channel = format!("{}.sink.input", stage.name);
    let mut dice = Dice::new(terms.seed, "hostile");
    for of in [Status::Readers, Status::Writers] {
        let status = meddler.status(&channel, of);
        let genuine = meddler.read(&status, 50).await?;
        let lies = meddling::lies(&mut dice, &genuine);
        stage.disturbances += lies.len() as u64;
        meddler.write(&status, &lies).await?;
    }
    ended(stage, PEER).await
}

/// The clocks of both processes are off, each in its own way, and step in the middle of the run.
pub(super) async fn skewed(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let Some(mut stage) = stage(&ground, &terms)? else {
        return Ok(missing(&ground, &terms));
    };
    let mut dice = Dice::new(terms.seed, "clocks");
    clocks::set(&stage, &mut dice)?;
    let skewed = PathBuf::from("chaos/python/skewed").canonicalize()?;
    for part in stage.parts() {
        let clock = clocks::clock(&stage.folder, &part);
        let variables = [("PYTHONPATH", &skewed), ("CHAOS_CLOCK", &clock)];
        let variables = variables.map(|(name, path)| (name.to_owned(), path.display().to_string()));
        stage.environment.insert(part, variables.to_vec());
    }
    stage.start_all()?;
    if began(&mut stage).await {
        clocks::set(&stage, &mut dice)?;
    }
    stage.disturbances += 2;
    ended(Box::new(stage), PEER).await
}

/// A source and a sink, started at once in random orders; all starts of a run of this row side by side.
pub(super) async fn starts(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut dice = Dice::new(terms.seed, "peer starts");
    let mut line = terms.line(&ground);
    line.versions.clear();
    let mut stages = Vec::new();
    for _ in 0..terms.rounds {
        let Some(mut stage) = stage(&ground, &terms)? else {
            return Ok(missing(&ground, &terms));
        };
        (stage.shape.records, stage.shape.rate) = (20, 0);
        let mut parts = stage.parts();
        dice.shuffle(&mut parts);
        parts.iter().try_for_each(|part| stage.start(part))?;
        stages.push(stage);
    }
    let ends = stages.iter_mut().map(|stage| stage.all_end(BOUND));
    let ends = futures::future::join_all(ends).await;
    let (mut hung, mut early, mut failed) = (0, 0, 0);
    for (stage, end) in stages.iter().zip(ends) {
        let one = measured(stage)?;
        hung += u64::from(end.is_err());
        early += u64::from(end.is_ok() && one.lost > 0);
        failed += u64::from(end.is_ok() && one.exit_codes.values().any(|code| *code != 0));
        line.versions.clone_from(&one.versions);
        fold(&mut line, one);
        let _ = std::fs::remove_dir_all(&stage.folder);
    }
    line.verdict = Verdict::Measured;
    line.subject = Subject::Python;
    line.reasons = vec![format!(
        "of {} starts {hung} hung ({} s), {early} ended early, {failed} failed",
        terms.rounds,
        BOUND.as_secs()
    )];
    Ok(line)
}
