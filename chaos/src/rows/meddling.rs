//! Rows 15, 17, 22, 24 and 37: what somebody else does at the broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::shape;
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::Line;
use crate::meddler::{Meddler, Status};
use crate::stage::{LIMIT, Stage};

/// How long it may take until everybody has ended whose channel is gone.
const NOTICED: Duration = Duration::from_secs(10);

/// The relay's topic or queue is deleted in the middle of a run: everybody stops, and nobody makes it again.
pub(super) async fn deleted(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    gone(ground, terms, Afterwards::Nothing).await
}

/// The relay's topic is deleted in the middle of a run and made again at once: nobody takes it for the one that was there.
pub(super) async fn made_again(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    gone(ground, terms, Afterwards::MadeAgain).await
}

/// What somebody does who has deleted a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Nothing,
    MadeAgain,
}

fn is_source(part: &str) -> bool {
    !part.starts_with("relay") && !part.starts_with("sink")
}

/// A stage that is in the middle of its work, and who meddles with the channel of its relays.
pub(super) async fn at_work(ground: &Arc<Ground>, terms: &Terms) -> Result<(Stage, Meddler, String)> {
    let mut shape = shape(terms);
    shape.rate = shape.records / 20;
    shape.patience = 15.0;
    let mut stage = Stage::new(ground, terms, shape)?;
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let channel = format!("{}.relay.input", stage.name);
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    stage.disturbances += 1;
    Ok((stage, meddler, channel))
}

async fn gone(ground: Arc<Ground>, terms: Terms, afterwards: Afterwards) -> Result<Line> {
    let (mut stage, meddler, channel) = at_work(&ground, &terms).await?;
    meddler.delete(&channel).await?;
    if afterwards == Afterwards::MadeAgain {
        meddler.make(&channel, 2).await?;
    }
    let begun = Instant::now();
    stage.all_end(Duration::from_secs(90)).await?;
    let noticed = begun.elapsed();
    let codes = stage.ended().clone();
    // What was in it is lost, and not by us.
    let mut line = terms.line(&ground);
    let findings = stage.findings()?;
    line.take(&findings);
    line.lost = 0;
    line.disturbances = stage.disturbances;
    line.seconds = stage.seconds();
    line.max_rss_mib = stage.peak_memory() >> 10;
    line.figures
        .insert("deleted with the channel".to_owned(), findings.lost);
    // What is written into a topic that was made again is held by the broker: only readers need know where they were.
    let concerned = |part: &str| afterwards == Afterwards::Nothing || !is_source(part);
    for (part, code) in &codes {
        if *code == 0 && concerned(part) {
            line.breaks(format!("{part} ended with 0 although its channel was deleted"));
        }
    }
    for part in ["relay@0", "relay@1"] {
        if codes.get(part) != Some(&123) {
            line.breaks(format!("{part} ended with {:?} in place of 123", codes.get(part)));
        }
    }
    let milliseconds = u64::try_from(noticed.as_millis()).unwrap_or(u64::MAX);
    line.figures
        .insert("milliseconds until all had ended".to_owned(), milliseconds);
    if afterwards == Afterwards::Nothing && noticed > NOTICED {
        line.breaks(format!("it took {milliseconds} ms until all had ended"));
    }
    if afterwards == Afterwards::Nothing && meddler.is_there(&channel).await? {
        line.breaks(format!("{channel} was made again"));
    }
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// A record that nobody made is in the relay's channel: its reader stops at it, and says where.
pub(super) async fn poisoned(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let (mut stage, meddler, channel) = at_work(&ground, &terms).await?;
    // A length of two gigabytes.
    meddler
        .write(&channel, &[vec![0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]])
        .await?;
    stage.all_end(Duration::from_secs(90)).await?;
    let codes = stage.ended().clone();
    let mut line = terms.line(&ground);
    line.take(&stage.findings()?);
    // What waits behind it is in the channel still.
    line.figures.insert("waiting behind it".to_owned(), line.lost);
    line.lost = 0;
    line.disturbances = stage.disturbances;
    line.seconds = stage.seconds();
    line.max_rss_mib = stage.peak_memory() >> 10;
    let stopped = ["relay@0", "relay@1"]
        .into_iter()
        .find(|part| codes.get(*part) == Some(&121));
    match stopped {
        None => line.breaks("no reader ended with 121"),
        Some(part) if !stage.said(part).contains(&channel) => {
            line.breaks(format!("{part} does not say where"))
        }
        Some(_) => {}
    }
    if codes.get("sink@0") == Some(&0) {
        line.breaks("sink@0 ended with 0 although its writer failed");
    }
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// A status of many messages of an older run is read before anything begins.
pub(super) async fn stale(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.keep = true;
    let mut stage = Stage::new(&ground, &terms, shape.clone())?;
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let channel = format!("{}.relay.input", stage.name);
    stage.start_all()?;
    stage.all_end(LIMIT).await?;
    let first = stage.complete()?;
    for of in [Status::Readers, Status::Writers] {
        let status = meddler.status(&channel, of);
        let old = meddler.read(&status, 1_000).await?;
        let many: Vec<Vec<u8>> = old.iter().cycle().take(terms.rounds as usize).cloned().collect();
        meddler.write(&status, &many).await?;
    }
    let mut again = Stage::new(&ground, &terms, shape)?;
    again.name.clone_from(&stage.name);
    again.shape.keep = false;
    again.disturbances = 1;
    let begun = crate::marks::now();
    again.start_all()?;
    again.all_end(LIMIT).await?;
    let mut line = again.complete()?;
    line.figures.insert("stale messages".to_owned(), 2 * terms.rounds);
    line.figures
        .insert("milliseconds of the run".to_owned(), crate::marks::now() - begun);
    first.reasons.into_iter().for_each(|reason| line.breaks(reason));
    again.tidy(&mut line);
    let _ = std::fs::remove_dir_all(&stage.folder);
    Ok(line)
}

/// Bytes that are no status, or lie about who says it, are in the status of a channel all the time.
pub(super) async fn hostile(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / (10 * terms.rounds);
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let channel = format!("{}.relay.input", stage.name);
    let mut dice = Dice::new(terms.seed, "hostile");
    stage.start_all()?;
    let share = stage.shape.total() / 2 / terms.rounds;
    for round in 0..terms.rounds {
        stage.until_arrived((round * share).max(1)).await?;
        for of in [Status::Readers, Status::Writers] {
            let status = meddler.status(&channel, of);
            let genuine = meddler.read(&status, 50).await?;
            let lies = lies(&mut dice, &genuine);
            stage.disturbances += lies.len() as u64;
            meddler.write(&status, &lies).await?;
        }
    }
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// Messages that are none, and changed copies of genuine ones.
pub(super) fn lies(dice: &mut Dice, genuine: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut lies = vec![
        Vec::new(),
        b"null".to_vec(),
        b"{".to_vec(),
        vec![0xff; 100],
        [b"[".repeat(50_000), b"]".repeat(50_000)].concat(),
        format!("{{\"channel_name\":\"{}\"}}", "x".repeat(900_000)).into_bytes(),
    ];
    for _ in 0..100 {
        let Some(copy) = dice.one_of(genuine) else { break };
        // Other names, other states, other types: a byte is another one.
        let mut copy = copy.clone();
        for _ in 0..dice.within(1..4) {
            let at = dice.within(0..copy.len() as u64) as usize;
            if let Some(byte) = copy.get_mut(at) {
                *byte = dice.within(0..256) as u8;
            }
        }
        lies.push(copy);
    }
    lies
}
