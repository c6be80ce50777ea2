//! Rows 8, 9, 10 and 19: brokers that go away, never were there, or are full.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::shape;
use crate::brokers::Stop;
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::{Line, Transport};
use crate::marks;
use crate::process::until;
use crate::proxy::{Fault, Proxy};
use crate::stage::{LIMIT, Stage};

/// The most of a processor that a process takes while it waits for a broker, in thousandths.
const IDLE: u64 = 20;

/// The broker is restarted in the middle of a run, in turn gracefully and by `kill -9`.
pub(super) async fn restarts(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / (terms.rounds * 8);
    shape.patience = 60.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let mut dice = Dice::new(terms.seed, "restarts");
    stage.start_all()?;
    let share = stage.shape.total() * 4 / 5 / terms.rounds;
    for round in 0..terms.rounds {
        stage.until_arrived(round * share + dice.within(1..share)).await?;
        let stop = if round % 2 == 0 {
            Stop::Graceful
        } else {
            Stop::Kill
        };
        stage.disturbances += 1;
        ground.broker(terms.transport)?.restart(stop).await?;
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// The broker is killed and does not come back: everybody ends, without burning the processor. When it is back everybody is
/// started again and finishes.
pub(super) async fn gone(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 20;
    shape.patience = 10.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 3).await?;
    stage.disturbances += 1;
    let broker = ground.broker(terms.transport)?.clone();
    broker.halt().await?;
    let load = load(&stage).await?;
    let ended = stage.all_end(Duration::from_secs(150)).await;
    broker.restart(Stop::Kill).await?;
    ended?;
    let codes = stage.ended().clone();
    let mut line = stage.resume().await?;
    for (part, code) in &codes {
        if *code == 0 {
            line.breaks(format!("{part} ended with 0 without its broker"));
        }
    }
    if load > IDLE {
        line.breaks(format!(
            "a process takes {load} thousandths of a processor while it waits for its broker"
        ));
    }
    line.figures
        .insert("waiting processor, thousandths".to_owned(), load);
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// The most of a processor that a process takes in some seconds, in thousandths.
async fn load(stage: &Stage) -> Result<u64> {
    let seconds = |part: &String| {
        let taken = stage
            .process(part)
            .ok()
            .and_then(|process| marks::processor_seconds(process.id()));
        taken.unwrap_or(0.0)
    };
    let parts = stage.parts();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begin, before) = (Instant::now(), parts.iter().map(seconds).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let elapsed = begin.elapsed().as_secs_f64();
    let took = parts
        .iter()
        .map(seconds)
        .zip(before)
        .map(|(after, before)| (after - before) / elapsed);
    Ok((took.fold(0.0, f64::max) * 1_000.0) as u64)
}

/// The broker is not there at the start and never comes: a named error after the patience.
pub(super) async fn nowhere(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.patience = 6.0;
    let broker = ground.broker(terms.transport)?;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let closed = closed.local_addr()?.port();
    let away = [
        ("closed port", broker.location_at(closed)),
        ("black hole", broker.location_at(silent.local_addr()?.port())),
        (
            "no such host",
            broker.location.replacen("127.0.0.1", "no-such-host.invalid", 1),
        ),
    ];
    let mut line = terms.line(&ground);
    for (how, location) in away {
        let mut stage = Stage::new(&ground, &terms, shape.clone())?;
        stage.name = format!("{}-{}", stage.name, how.replace(' ', "-"));
        stage.locations.insert(String::new(), location);
        let parts = ["a@0", "relay@1", "sink@0"];
        parts.iter().try_for_each(|part| stage.start(part))?;
        line.disturbances += 1;
        stage
            .all_end(Duration::from_secs(60))
            .await
            .with_context(|| how.to_owned())?;
        for part in parts {
            let code = stage.ended().get(part).copied().unwrap_or(0);
            line.exit_codes.insert(format!("{part} ({how})"), code);
            if code != 124 {
                line.breaks(format!("{how}: {part} ended with {code} in place of 124"));
            }
            if !stage.said(part).contains("error: ") {
                line.breaks(format!("{how}: {part} does not say why it ended"));
            }
        }
        line.seconds += stage.line(|_| 124)?.seconds;
        stage.tidy(&mut line);
    }
    Ok(line)
}

/// The broker is not there at the start and comes within the patience: the run is as any other.
pub(super) async fn late(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let broker = ground.broker(terms.transport)?;
    let way = ground.detour(terms.transport).await?;
    let mut stage = Stage::new(&ground, &terms, shape(&terms))?;
    stage
        .locations
        .insert(String::new(), broker.location_at(way.port));
    stage.start_all()?;
    stage.disturbances += 1;
    // Long enough that everybody has been refused.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let _proxy = Proxy::start(way.port, way.broker, Fault::None).await?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// The broker says that its disk is full, and for a while takes no records.
pub(super) async fn full(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    if terms.transport == Transport::Kafka {
        return Ok(terms.skipped(&ground, "Kafka ends itself when its disk is full: see row 10"));
    }
    let mut shape = shape(&terms);
    shape.rate = shape.records / 15;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    stage.disturbances += 1;
    limit_disk(&ground, "100000000000000").await?;
    let blocked = "blocked";
    let heard = stage.until_said("a@0", blocked, Duration::from_secs(30)).await;
    let at_alarm = stage.arrived();
    // Readers go on reading what is there; then nothing arrives while the alarm lasts.
    let mut last = (at_alarm, Instant::now());
    let stage_folder = stage.folder.clone();
    let settled = until(Duration::from_secs(30), "nothing more arrives", || {
        let arrived = crate::ledger::count(&stage_folder, "sink");
        if arrived != last.0 {
            last = (arrived, Instant::now());
        }
        Ok((last.1.elapsed() > Duration::from_secs(3)).then_some(()))
    });
    let settled = settled.await;
    limit_disk(&ground, "50000000").await?;
    heard?;
    settled?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// Sets how much of its disk must be free for RabbitMQ to take messages.
async fn limit_disk(ground: &Ground, free: &str) -> Result<()> {
    let broker = ground.broker(Transport::Rabbitmq)?;
    broker.control(&["set_disk_free_limit", free]).await
}
