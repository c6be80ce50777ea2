//! Rows 1, 3 and 4: processes that are killed, and one that fails.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::shape;
use crate::ground::{Ground, Terms};
use crate::killer::{Moment, schedule};
use crate::line::Line;
use crate::operators::FAILURE;
use crate::play::Shape;
use crate::stage::{LIMIT, Stage};

/// How long a run takes without kills: so long for each of them, so that most come when the one before is over.
const SECONDS_PER_KILL: u64 = 3;

/// Random parts are killed and started again.
pub(super) async fn random(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let shape = shape(&terms);
    at_random(ground, terms, shape).await
}

/// As [`random`], with four relays and a sink that has two partitions, in which order is to be kept.
pub(super) async fn random_of_four(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let shape = Shape {
        relays: 4,
        sinks: 2,
        batch: 500,
        ..shape(&terms)
    };
    at_random(ground, terms, shape).await
}

async fn at_random(ground: Arc<Ground>, terms: Terms, mut shape: Shape) -> Result<Line> {
    shape.rate = shape.records / (terms.rounds * SECONDS_PER_KILL).max(1);
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    let parts = stage.parts();
    for kill in schedule(terms.seed, &parts, terms.rounds, stage.shape.total()) {
        match kill.moment {
            Moment::Arrived(count) => stage.until_arrived(count).await?,
            Moment::After(pause) => tokio::time::sleep(pause).await,
        }
        if stage.is_running(&kill.part)? {
            stage.kill(&kill.part).await?;
            stage.start(&kill.part)?;
        }
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// A writer is killed and nobody starts it again: its readers process what it sent and fail by its name.
pub(super) async fn for_good(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 10;
    shape.patience = 8.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    stage.kill("a@0").await?;
    stage.all_end(LIMIT).await?;
    let broken = after_a_writer(&stage, "a@0", ".a.output was lost")?;
    resumed(stage, broken).await
}

/// A writer fails: its readers process all that it sent, then end with its words.
pub(super) async fn failure(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 5;
    shape.fail_at = Some(shape.records / 2);
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.disturbances += 1;
    stage.all_end(Duration::from_secs(60)).await?;
    let mut broken = after_a_writer(&stage, "a@0", FAILURE)?;
    if stage.ended().get("a@0") != Some(&115) {
        broken.push("a@0 failed and did not end with 115".to_owned());
    }
    stage.shape.fail_at = None;
    resumed(stage, broken).await
}

/// What is not as promised after the end of a writer: its readers have processed all that it sent, ended with 120 and said why.
fn after_a_writer(stage: &Stage, writer: &str, words: &str) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let lost = stage.findings_of(writer)?.lost;
    if lost > 0 {
        broken.push(format!(
            "{lost} records of {writer} were not processed before its readers ended"
        ));
    }
    for part in ["relay@0", "relay@1", "sink@0"] {
        match stage.ended().get(part) {
            Some(120) => {}
            code => broken.push(format!("{part} ended with {code:?} in place of 120")),
        }
    }
    for part in ["relay@0", "relay@1"] {
        if !stage.said(part).contains(words) {
            broken.push(format!("{part} does not say '{words}'"));
        }
    }
    Ok(broken)
}

/// Everybody is started again and finishes: nothing was deleted.
async fn resumed(mut stage: Stage, broken: Vec<String>) -> Result<Line> {
    let codes = stage.ended().clone();
    let mut line = stage.resume().await?;
    line.exit_codes = codes;
    broken.into_iter().for_each(|reason| line.breaks(reason));
    stage.tidy(&mut line);
    Ok(line)
}
