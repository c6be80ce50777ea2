//! Rows 21, 22 and 37: records that are long, that nobody can read, and that find no way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pypz_core::{Avro, Codec};

use super::{fold, meddling, shape};
use crate::ground::{Ground, Terms};
use crate::item::Item;
use crate::line::{Line, Transport};
use crate::meddler::Meddler;
use crate::play::Shape;
use crate::stage::{LIMIT, Stage};

/// How long everybody may take to end after a fault that ends the run.
const ENDED: Duration = Duration::from_secs(90);

/// The limit of the long records: 10 MiB.
const LONGEST: usize = 10 << 20;

/// Records that nobody made are in the relay's channel, and dead letters are kept: exactly those are there in the end, and
/// everything else arrives.
pub(super) async fn dead_letters(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 10;
    shape.port_settings = vec!["onPoison=dead-letter".to_owned()];
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let meddler = Meddler::at(terms.transport, ground.broker(terms.transport)?).await?;
    let channel = format!("{}.relay.input", stage.name);
    // A length of two gigabytes, and which of them it is.
    let poison: Vec<Vec<u8>> = (0..terms.rounds)
        .map(|number| [&[0xfe, 0xff, 0xff, 0xff, 0x0f][..], &number.to_be_bytes()].concat())
        .collect();
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    stage.disturbances += poison.len() as u64;
    meddler.write(&channel, &poison).await?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    let mut letters = meddler
        .letters(&format!("{channel}.dead-letters"), poison.len() + 1)
        .await?;
    letters.sort();
    letters.dedup();
    if letters != poison {
        line.breaks(format!(
            "{} different dead letters in place of the {} that were written",
            letters.len(),
            poison.len()
        ));
    }
    line.figures
        .insert("dead letters".to_owned(), letters.len() as u64);
    stage.tidy(&mut line);
    Ok(line)
}

/// A record of 10 MiB less what is about it travels; one that is a byte longer than the limit is refused before it is sent.
pub(super) async fn long(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let bytes = LONGEST - 300;
    let tries = [
        ("as long as allowed", bytes, Limit::Itself),
        ("a byte too long", bytes, Limit::AByteLess),
    ];
    each(&ground, &terms, &tries).await
}

/// A record of 50 MB is refused where 10 MiB is the limit, before it is sent; where it is allowed it travels.
pub(super) async fn huge(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let bytes = 50_000_000;
    let tries = [
        ("over 10 MiB", bytes, Limit::Bytes(LONGEST)),
        ("allowed", bytes, Limit::Itself),
    ];
    each(&ground, &terms, &tries).await
}

/// How long a record may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// As long as it is.
    Itself,
    /// A byte shorter than it is.
    AByteLess,
    /// So many bytes.
    Bytes(usize),
}

/// Runs a pipeline for each of these lengths of a payload; those over their limit have to be refused.
async fn each(ground: &Arc<Ground>, terms: &Terms, tries: &[(&str, usize, Limit)]) -> Result<Line> {
    let mut line = terms.line(ground);
    for (how, record_bytes, limit) in tries.iter().copied() {
        let mut shape = Shape {
            writers: 1,
            writer_replicas: 1,
            relays: 1,
            records: terms.records,
            batch: 1,
            record_bytes,
            ..shape(terms)
        };
        let name = Stage::new(ground, terms, shape.clone())?;
        let bytes = length(&Item::new(&name.name, "a@0", 1, 0, shape.record_bytes))?;
        let _ = std::fs::remove_dir_all(&name.folder);
        let most = match limit {
            Limit::Itself => bytes,
            Limit::AByteLess => bytes - 1,
            Limit::Bytes(most) => most,
        };
        shape.port_settings = vec![format!("maxRecordBytes={most}")];
        let mut stage = Stage::new(ground, terms, shape)?;
        stage.name.clone_from(&name.name);
        stage.start_all()?;
        stage.disturbances += 1;
        stage.all_end(ENDED).await?;
        let refused = bytes > most;
        let mut one = match refused {
            false => stage.complete()?,
            true => stage.line(|part| if part == "a@0" { 115 } else { 120 })?,
        };
        let words = format!("{bytes} bytes");
        if refused && (one.records > 0 || stage.arrived() > 0 || !stage.said("a@0").contains(&words)) {
            one.breaks(format!("{how}: a@0 does not say that its record has {words}"));
        }
        if !refused {
            let memory = (stage.peak_memory() << 10) * 10 / bytes as u64;
            line.figures
                .insert("memory of a process, tenths of a record".to_owned(), memory);
        }
        stage.tidy(&mut one);
        fold(&mut line, one);
    }
    Ok(line)
}

/// Records without a single byte travel as any other.
pub(super) async fn empty(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let shape = Shape {
        writers: 1,
        writer_replicas: 1,
        relays: 0,
        records: terms.records,
        blank: true,
        ..shape(&terms)
    };
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.all_end(ENDED).await?;
    let mut line = stage.complete()?;
    stage.tidy(&mut line);
    Ok(line)
}

/// The bytes of a record on its way.
fn length(item: &Item) -> Result<usize> {
    let mut codec = <Avro as Codec<Item>>::new()?;
    let mut bytes = Vec::new();
    codec.encode(item, &mut bytes)?;
    Ok(bytes.len())
}

/// Somebody takes the way from the exchange to the relay's queue away: what is returned was not sent, and nobody says that it
/// was.
pub(super) async fn unroutable(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    if terms.transport == Transport::Kafka {
        return Ok(terms.skipped(&ground, "Kafka has no bindings"));
    }
    let (mut stage, meddler, channel) = meddling::at_work(&ground, &terms).await?;
    meddler.unbind(&channel).await?;
    stage.all_end(ENDED).await?;
    let codes = stage.ended().clone();
    // Nothing that was acknowledged is lost: what was in the queue is read before its readers end.
    let mut line = stage.line(|part| codes.get(part).copied().unwrap_or(0))?;
    for (part, code) in &codes {
        if *code == 0 {
            line.breaks(format!("{part} ended with 0 although records had no way"));
        }
    }
    let said = |part: &&str| stage.said(part).contains("NO_ROUTE");
    if !["a@0", "a@1", "b"].iter().any(said) {
        line.breaks("no writer says that records were returned");
    }
    stage.tidy(&mut line);
    Ok(line)
}
