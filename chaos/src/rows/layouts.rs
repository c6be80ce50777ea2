//! Rows 16, 18, 34 and 35: replicas that are slow, late, missing, lost, more or fewer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::{fold, shape};
use crate::ground::{Ground, Terms};
use crate::line::{Line, Transport};
use crate::meddler::{Meddler, Status};
use crate::stage::{LIMIT, Stage};

/// A replica of a reader comes late: nobody sends before, and nothing is missing.
pub(super) async fn late(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut stage = Stage::new(&ground, &terms, shape(&terms))?;
    let parts = stage.parts();
    for part in parts.iter().filter(|part| *part != "relay@1") {
        stage.start(part)?;
    }
    stage.disturbances += 1;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let early = stage.arrived();
    stage.start("relay@1")?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    if early > 0 {
        line.breaks(format!("{early} records arrived before all readers were there"));
    }
    stage.tidy(&mut line);
    Ok(line)
}

/// A replica of a reader never comes: everybody who waits for it says so by name and ends with 124.
pub(super) async fn never(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.patience = 6.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let parts = stage.parts();
    for part in parts.iter().filter(|part| *part != "relay@1") {
        stage.start(part)?;
    }
    stage.disturbances += 1;
    stage.all_end(LIMIT).await?;
    let codes = stage.ended().clone();
    let named = stage.said("a@0").contains("relay_0");
    let mut line = stage.resume().await?;
    for (part, code) in &codes {
        if *code != 124 && *code != 120 {
            line.breaks(format!("{part} ended with {code} in place of 124 or 120"));
        }
    }
    if codes.get("a@0") != Some(&124) || !named {
        line.breaks("a@0 does not end with 124 and the name of the replica that never came");
    }
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// A replica of a reader is killed and nobody starts it again: nobody who depends on it ends well.
pub(super) async fn lost(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.patience = 8.0;
    shape.rate = shape.records / 10;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 3).await?;
    stage.kill("relay@1").await?;
    stage.all_end(LIMIT).await?;
    let codes = stage.ended().clone();
    let mut line = stage.resume().await?;
    for part in ["relay@0", "sink@0"] {
        if codes.get(part) == Some(&0) {
            line.breaks(format!("{part} ended with 0 although relay@1 was lost"));
        }
    }
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// The same pipeline with two, four and one relays, one run after the other: nothing of the runs before is left.
pub(super) async fn scaled(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut line = terms.line(&ground);
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let mut name = None;
    for relays in [2, 4, 1] {
        let mut shape = shape(&terms);
        shape.relays = relays;
        let mut stage = Stage::new(&ground, &terms, shape)?;
        stage.name = name.get_or_insert_with(|| stage.name.clone()).clone();
        stage.start_all()?;
        stage.all_end(LIMIT).await?;
        stage.disturbances += 1;
        let mut one = stage.complete()?;
        for channel in ["relay.input", "sink.input"].map(|port| format!("{}.{port}", stage.name)) {
            let status = meddler.status(&channel, Status::Readers);
            for object in [channel, status] {
                if meddler.is_there(&object).await? {
                    one.breaks(format!("{object} is left behind by {relays} relays"));
                }
            }
        }
        stage.tidy(&mut one);
        fold(&mut line, one);
    }
    Ok(line)
}

/// A run is broken off and started again with another number of relays: refused, and the former number finishes it.
pub(super) async fn repartitioned(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    if terms.transport == Transport::Rabbitmq {
        return Ok(terms.skipped(
            &ground,
            "replicas that compete for a queue may change their number",
        ));
    }
    let mut shape = shape(&terms);
    shape.rate = shape.records / 8;
    shape.patience = 10.0;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    for part in stage.parts() {
        stage.signal(&part, "TERM").await?;
    }
    stage.all_end(LIMIT).await?;
    stage.shape.relays = 3;
    stage.start("relay@0")?;
    let code = stage.end("relay@0", LIMIT).await?;
    stage.shape.relays = 2;
    let mut line = stage.resume().await?;
    if code != 123 {
        line.breaks(format!(
            "relay@0 ended with {code} in place of 123 when there were to be three"
        ));
    }
    line.exit_codes.insert("relay@0 of 3".to_owned(), code);
    stage.tidy(&mut line);
    Ok(line)
}

/// A sink takes a tenth of a second for every batch, and its writers wait: what waits in a process stays within a bound. Started
/// again without its slowness it finishes.
pub(super) async fn slow(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    /// Buffers of both ends, and what the program takes without any.
    const MOST_MIB: u64 = 192;
    let mut shape = shape(&terms);
    shape.record_bytes = 4_000;
    shape.batch = 200;
    shape.sink_pause = 100;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 10).await?;
    stage.signal("sink@0", "TERM").await?;
    stage.end("sink@0", LIMIT).await?;
    stage.shape.sink_pause = 0;
    stage.start("sink@0")?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    if line.max_rss_mib > MOST_MIB {
        line.breaks(format!(
            "a process took {} MiB in place of {MOST_MIB} at most",
            line.max_rss_mib
        ));
    }
    stage.tidy(&mut line);
    Ok(line)
}
