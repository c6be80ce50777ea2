//! Rows 11 and 13: a network between operators and broker that is cut, slow or silent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::shape;
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::Line;
use crate::proxy::{Fault, Proxy};
use crate::stage::{LIMIT, Stage};

/// The first source's replicas are cut off from the broker for a part of the patience, without any sign of it: nobody gives up.
pub(super) async fn cut_off(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / (10 * terms.rounds + 10);
    shape.patience = 20.0;
    let broker = ground.broker(terms.transport)?;
    let way = ground.detour(terms.transport).await?;
    let proxy = Proxy::start(way.port, way.broker, Fault::None).await?;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    for part in ["a@0", "a@1"] {
        stage
            .locations
            .insert(part.to_owned(), broker.location_at(way.port));
    }
    stage.start_all()?;
    let share = stage.shape.total() / 2 / terms.rounds;
    for round in 0..terms.rounds {
        stage.until_arrived((round + 1) * share / 2).await?;
        stage.disturbances += 1;
        proxy.set(Fault::BlackHole);
        tokio::time::sleep(Duration::from_secs(8)).await;
        proxy.set(Fault::None);
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// A relay is cut off for longer than everybody's patience: it gives up by itself, its peers fail by its name, and when
/// everybody is started again nothing is missing.
pub(super) async fn cut_off_for_good(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 15;
    shape.patience = 6.0;
    let broker = ground.broker(terms.transport)?;
    let way = ground.detour(terms.transport).await?;
    let proxy = Proxy::start(way.port, way.broker, Fault::None).await?;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage
        .locations
        .insert("relay@1".to_owned(), broker.location_at(way.port));
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 3).await?;
    stage.disturbances += 1;
    proxy.set(Fault::BlackHole);
    stage.all_end(LIMIT).await?;
    let codes = stage.ended().clone();
    proxy.set(Fault::Reset);
    proxy.set(Fault::None);
    let mut line = stage.resume().await?;
    for part in ["relay@0", "relay@1", "sink@0"] {
        if codes.get(part) == Some(&0) {
            line.breaks(format!("{part} ended with 0 although relay@1 was cut off"));
        }
    }
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// Everything between operators and broker goes by a proxy that makes the network bad, in a way that follows from the seed.
pub(super) async fn bad(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / (4 * terms.rounds);
    let broker = ground.broker(terms.transport)?;
    let way = ground.detour(terms.transport).await?;
    let proxy = Proxy::start(way.port, way.broker, Fault::None).await?;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage
        .locations
        .insert(String::new(), broker.location_at(way.port));
    stage.start_all()?;
    let mut dice = Dice::new(terms.seed, "faults");
    let share = stage.shape.total() * 4 / 5 / terms.rounds;
    for (round, fault) in (0..).zip(Fault::draw(&mut dice, terms.rounds)) {
        stage.until_arrived(round * share + 1).await?;
        stage.disturbances += 1;
        proxy.set(fault);
        tokio::time::sleep(Duration::from_millis(dice.within(500..6_000))).await;
        proxy.set(Fault::None);
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}
