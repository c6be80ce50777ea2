//! Rows 5, 6 and 14: processes that are asked to end, and processes that stand still.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::shape;
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::{Guarantee, Line};
use crate::process::until;
use crate::stage::{LIMIT, Stage};

/// How long a drain may take, on a machine that does other things, too.
const DRAIN: Duration = Duration::from_secs(40);

/// A second signal ends a process at once; on a machine that does other things, too, that takes a moment.
const AT_ONCE: Duration = Duration::from_secs(10);

/// At random moments a reader, a writer or everybody is asked to end, and started again when it has.
pub(super) async fn drained(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / (terms.rounds * 3);
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let mut dice = Dice::new(terms.seed, "drains");
    let mut broken = Vec::new();
    stage.start_all()?;
    let all = stage.parts();
    let total = stage.shape.total();
    for round in 0..terms.rounds {
        let share = total * 4 / 5 / terms.rounds;
        stage.until_arrived(round * share + dice.within(1..share)).await?;
        let parts = match dice.within(0..3) {
            0 => vec![dice.one_of(&all[..3]).cloned().unwrap_or_default()],
            1 => vec![dice.one_of(&all[3..]).cloned().unwrap_or_default()],
            _ => all.clone(),
        };
        for part in &parts {
            stage.signal(part, "TERM").await?;
        }
        for part in &parts {
            let code = stage.end(part, DRAIN).await?;
            // Whoever had just finished was not drained.
            if code != 143 && code != 0 {
                broken.push(format!("{part} ended with {code} after SIGTERM in place of 143"));
            }
        }
        for part in &parts {
            stage.start(part)?;
        }
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    broken.into_iter().for_each(|reason| line.breaks(reason));
    stage.tidy(&mut line);
    Ok(line)
}

/// Everybody is asked to end twice, the second time while it drains; then everybody is started again.
pub(super) async fn twice(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 10;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let mut broken = Vec::new();
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 3).await?;
    for part in stage.parts() {
        // The one that is asked first drains while its peers work; its second signal comes as soon as it has heard the first.
        stage.signal(&part, "TERM").await?;
        let process = stage.process(&part)?;
        until(AT_ONCE, "a process hears SIGTERM", || {
            Ok(process.said().contains("draining").then_some(()))
        })
        .await?;
        stage.signal(&part, "TERM").await?;
        let code = stage.end(&part, AT_ONCE).await?;
        if code != 143 {
            broken.push(format!(
                "{part} ended with {code} after a second SIGTERM in place of 143"
            ));
        }
    }
    let codes = stage.ended().clone();
    let mut line = stage.resume().await?;
    line.exit_codes = codes;
    broken.into_iter().for_each(|reason| line.breaks(reason));
    stage.tidy(&mut line);
    Ok(line)
}

/// A process stands still, is replaced, and goes on beside its replacement: it is fenced.
pub(super) async fn zombie(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 20;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let mut broken = Vec::new();
    stage.start_all()?;
    let total = stage.shape.total();
    for (turn, part) in ["a@0", "relay@1"].into_iter().enumerate() {
        // In the ledger of the sink nothing tells a zombie's records from those of its replacement: a reader's is left out where
        // it would only repeat them.
        if terms.guarantee == Guarantee::AtLeastOnce && turn == 1 {
            continue;
        }
        stage.until_arrived(total * (1 + 2 * turn as u64) / 5).await?;
        stage.signal(part, "STOP").await?;
        let mut zombie = stage.take(part)?;
        stage.start(part)?;
        stage.until_began(part).await?;
        zombie.signal("CONT").await?;
        let code = zombie.end(Duration::from_secs(60)).await?;
        if code != 116 {
            broken.push(format!("the zombie of {part} ended with {code} in place of 116"));
        }
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    broken.into_iter().for_each(|reason| line.breaks(reason));
    stage.tidy(&mut line);
    Ok(line)
}
