//! Rows 32, 33 and 38: many starts at once, and ends that come quickly.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{fold, shape};
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::ledger;
use crate::line::Line;
use crate::play::Shape;
use crate::stage::Stage;

/// How long one of many small runs may take.
const SMALL: Duration = Duration::from_secs(90);

/// A writer and a reader, and as many records as lie about a limit at which ends have been missed: 101 to 199.
pub(super) async fn ends(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut dice = Dice::new(terms.seed, "ends");
    let mut line = terms.line(&ground);
    for round in 0..terms.rounds {
        let mut small = Shape {
            writers: 1,
            writer_replicas: 1,
            relays: 0,
            records: dice.within(101..200),
            batch: dice.within(1..120),
            ..shape(&terms)
        };
        small.sinks = 1 + (round % 2) as u32;
        let mut stage = Stage::new(&ground, &terms, small)?;
        stage.name = format!("{}-{round}", stage.name);
        stage.start_all()?;
        stage
            .all_end(SMALL)
            .await
            .with_context(|| format!("round {round}"))?;
        let mut one = stage.complete()?;
        stage.tidy(&mut one);
        fold(&mut line, one);
    }
    Ok(line)
}

/// Four operators as a process each, started at once in random orders.
pub(super) async fn starts(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut dice = Dice::new(terms.seed, "starts");
    let mut line = terms.line(&ground);
    for round in 0..terms.rounds {
        let small = Shape {
            writer_replicas: 1,
            relays: 1,
            records: 20,
            ..shape(&terms)
        };
        let mut stage = Stage::new(&ground, &terms, small)?;
        stage.name = format!("{}-{round}", stage.name);
        let mut parts = stage.parts();
        dice.shuffle(&mut parts);
        parts.iter().try_for_each(|part| stage.start(part))?;
        stage
            .all_end(SMALL)
            .await
            .with_context(|| format!("round {round}: {parts:?}"))?;
        let mut one = stage.complete()?;
        stage.tidy(&mut one);
        fold(&mut line, one);
    }
    line.figures.insert("starts".to_owned(), terms.rounds);
    Ok(line)
}

/// Two processes run the whole of one pipeline: one of them is refused, and no record of it is there.
pub(super) async fn twins(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut line = terms.line(&ground);
    for round in 0..terms.rounds {
        let mut small = shape(&terms);
        small.rate = small.records / 4;
        let mut stage = Stage::new(&ground, &terms, small)?;
        stage.name = format!("{}-{round}", stage.name);
        let whole = "a,b,relay,sink";
        stage.start(whole)?;
        let mut twin = stage.take(whole)?;
        stage.start(whole)?;
        line.disturbances += 1;
        let codes = tokio::join!(stage.end(whole, SMALL), twin.end(SMALL));
        let mut codes = [codes.0?, codes.1?];
        codes.sort_unstable();
        let mut one = stage.line(|_| codes[usize::from(stage.ended().get(whole) != Some(&0))])?;
        if codes != [0, 122] {
            one.breaks(format!(
                "round {round}: the twins ended with {codes:?} in place of 0 and 122"
            ));
        }
        let epochs: std::collections::BTreeSet<i64> = ledger::arrivals(&stage.folder, "sink")?
            .iter()
            .map(|record| record.epoch)
            .collect();
        if epochs.len() > 1 {
            one.breaks(format!("round {round}: records of both twins arrived"));
        }
        stage.tidy(&mut one);
        fold(&mut line, one);
    }
    Ok(line)
}
