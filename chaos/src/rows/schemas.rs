//! Row 36: the schema of a channel's records is another one when a drained run goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::shape;
use crate::form::Form;
use crate::ground::{Ground, Terms};
use crate::line::Line;
use crate::process::{Code, until};
use crate::stage::{LIMIT, Stage};

/// How long a second run may take that does not get far.
const ENDED: Duration = Duration::from_secs(90);

/// More records than can be between the relays and the ledger of the sink.
const MOST_IN_HAND: u64 = 500;

/// The records get a field more that has a default: those that wait are read with it, and the run ends as any other.
pub(super) async fn compatible(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let (mut stage, unread) = drained(&ground, &terms).await?;
    stage.shape.form = Form::Added;
    stage.start_all()?;
    stage.all_end(ENDED).await?;
    let codes = stage.ended().clone();
    let line = match codes.values().all(|code| *code == 0) {
        true => stage.complete()?,
        false => {
            stage.shape.form = Form::Usual;
            let mut line = stage.resume().await?;
            line.breaks("the run did not end with the new schema");
            line
        }
    };
    Ok(told(&stage, line, unread, codes))
}

/// A number of the records becomes a text: whoever comes with the new schema is refused, and with the old one nothing is missing.
pub(super) async fn incompatible(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let (mut stage, unread) = drained(&ground, &terms).await?;
    stage.shape.form = Form::Changed;
    stage.start_all()?;
    stage.all_end(ENDED).await?;
    let codes = stage.ended().clone();
    let said = stage.said("relay@0") + &stage.said("relay@1");
    stage.shape.form = Form::Usual;
    let mut line = stage.resume().await?;
    for (part, code) in &codes {
        if *code != 123 {
            line.breaks(format!("{part} ended with {code} in place of 123"));
        }
    }
    if !said.contains("sequence") {
        line.breaks("no relay names the field");
    }
    Ok(told(&stage, line, unread, codes))
}

/// The line with what both cases tell.
fn told(stage: &Stage, mut line: Line, unread: u64, codes: BTreeMap<String, Code>) -> Line {
    line.figures.insert("unread records".to_owned(), unread);
    line.exit_codes = codes;
    stage.tidy(&mut line);
    line
}

/// A run whose relays were killed and whose other parts were asked to end while records waited for the relays; and how many
/// records waited.
async fn drained(ground: &Arc<Ground>, terms: &Terms) -> Result<(Stage, u64)> {
    let mut shape = shape(terms);
    shape.rate = shape.records / 8;
    shape.patience = 8.0;
    let mut stage = Stage::new(ground, terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    for part in ["relay@0", "relay@1"] {
        stage.kill(part).await?;
    }
    let waiting = || Ok(Some(stage.findings()?.lost).filter(|waiting| *waiting >= MOST_IN_HAND));
    until(LIMIT, "records wait for the relays", waiting).await?;
    for part in ["a@0", "a@1", "b", "sink@0"] {
        stage.signal(part, "TERM").await?;
        stage.end(part, LIMIT).await?;
    }
    let waiting = stage.findings()?.lost;
    Ok((stage, waiting))
}
