//! What pypz-python does in some of the rows: a source and a sink of genuine pypz-python, measured and not judged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::{fold, shape};
use crate::brokers::Stop;
use crate::dice::Dice;
use crate::ground::{Ground, Terms};
use crate::line::{Line, Subject, Verdict};
use crate::play::Shape;
use crate::process::Code;
use crate::stage::Stage;

/// Names the interpreter that has pypz-python.
const INTERPRETER: &str = "PYPZ_TEST_PYTHON";

/// Which pypz-python it has: `cargo xtask` installs it.
const VERSION: &str = "0.10.2";

/// How long a run of a peer may take: its patience is two minutes.
pub(super) const PEER: Duration = Duration::from_secs(200);

/// How long a run of a peer may take until it is in the middle of its work.
const BEGUN: Duration = Duration::from_secs(60);

/// A killed process is not started again.
pub(super) async fn killed(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    // A reader of pypz-python may be ten seconds late, and the writer must not have finished then.
    let mut stage = match begun(&ground, &terms, terms.records / 60).await? {
        Start::Begun(stage) => stage,
        Start::Never(line) => return Ok(*line),
    };
    stage.kill("a@0").await?;
    ended(stage, PEER).await
}

/// The reader is asked to end, and started again.
pub(super) async fn drained(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut stage = match begun(&ground, &terms, terms.records / 20).await? {
        Start::Begun(stage) => stage,
        Start::Never(line) => return Ok(*line),
    };
    stage.signal("sink@0", "TERM").await?;
    stage.end("sink@0", PEER).await?;
    stage.start("sink@0")?;
    ended(stage, PEER).await
}

/// The broker is restarted.
pub(super) async fn restarted(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut stage = match begun(&ground, &terms, terms.records / 60).await? {
        Start::Begun(stage) => stage,
        Start::Never(line) => return Ok(*line),
    };
    stage.disturbances += 1;
    ground.broker(terms.transport)?.restart(Stop::Graceful).await?;
    ended(stage, PEER).await
}

/// Small runs, started in random order, with ends right behind their records.
pub(super) async fn many(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut dice = Dice::new(terms.seed, "peers");
    let mut line = terms.line(&ground);
    line.versions.clear();
    let (mut hung, mut early, mut failed) = (0, 0, 0);
    for _ in 0..terms.rounds {
        let Some(mut stage) = stage(&ground, &terms)? else {
            return Ok(missing(&ground, &terms));
        };
        stage.shape.records = dice.within(101..200);
        stage.shape.rate = 0;
        let mut parts = stage.parts();
        dice.shuffle(&mut parts);
        parts.iter().try_for_each(|part| stage.start(part))?;
        let is_hung = stage.all_end(Duration::from_secs(90)).await.is_err();
        let one = measured(&stage)?;
        hung += u64::from(is_hung);
        early += u64::from(!is_hung && one.lost > 0);
        failed += u64::from(!is_hung && one.exit_codes.values().any(|code| *code != 0));
        line.versions.clone_from(&one.versions);
        fold(&mut line, one);
        let _ = std::fs::remove_dir_all(&stage.folder);
    }
    line.verdict = Verdict::Measured;
    line.subject = Subject::Python;
    line.reasons = vec![format!(
        "of {} runs {hung} hung, {early} ended early, {failed} failed",
        terms.rounds
    )];
    Ok(line)
}

/// A source and a sink of pypz-python; `None` if there is none.
pub(super) fn stage(ground: &Arc<Ground>, terms: &Terms) -> Result<Option<Stage>> {
    let Some(interpreter) = std::env::var_os(INTERPRETER) else {
        return Ok(None);
    };
    let small = Shape {
        writers: 1,
        writer_replicas: 1,
        relays: 0,
        records: terms.records,
        rate: terms.records / 20,
        ..shape(terms)
    };
    let mut stage = Stage::new(ground, terms, small)?;
    let script = PathBuf::from("chaos/python/peer.py").canonicalize()?;
    stage.program = vec![interpreter.into(), script];
    Ok(Some(stage))
}

pub(super) fn missing(ground: &Ground, terms: &Terms) -> Line {
    Line {
        subject: Subject::Python,
        ..terms.skipped(ground, format!("{INTERPRETER} names no interpreter"))
    }
}

/// How often a peer is started that often hangs at its start.
const STARTS: u64 = 4;

/// A run that is in the middle of its work, or the line of one that never was.
pub(super) enum Start {
    /// A quarter of its records has arrived.
    Begun(Box<Stage>),
    /// There is nothing to disturb.
    Never(Box<Line>),
}

/// Starts a source and a sink at so many records a second, anew where too little arrives.
pub(super) async fn begun(ground: &Arc<Ground>, terms: &Terms, rate: u64) -> Result<Start> {
    let mut never = missing(ground, terms);
    for _ in 0..STARTS {
        let Some(mut stage) = stage(ground, terms)? else {
            break;
        };
        stage.shape.rate = rate;
        stage.start_all()?;
        if began(&mut stage).await {
            return Ok(Start::Begun(Box::new(stage)));
        }
        never = never_began(&stage)?;
    }
    Ok(Start::Never(Box::new(never)))
}

/// Whether a quarter of the records arrives in time.
pub(super) async fn began(stage: &mut Stage) -> bool {
    let quarter = stage.terms.records / 4;
    let arrived = tokio::time::timeout(BEGUN, stage.until_arrived(quarter)).await;
    matches!(arrived, Ok(Ok(())))
}

/// What became of a run that was disturbed.
pub(super) async fn ended(mut stage: Box<Stage>, limit: Duration) -> Result<Line> {
    let hung = stage.all_end(limit).await.is_err();
    let mut line = measured(&stage)?;
    let codes: Vec<&Code> = stage.ended().values().collect();
    let well = codes.iter().all(|code| **code == 0);
    let unsent = stage.shape.total().saturating_sub(line.records);
    let what = match (hung, line.lost) {
        (true, _) => format!("hung: not ended after {} s", limit.as_secs()),
        (_, 0) if well && unsent > 0 => {
            format!("nothing lost of what was sent; exit 0 although {unsent} records never were")
        }
        (_, 0) => "nothing lost".to_owned(),
        (_, lost) if well => format!("{lost} records lost, exit 0"),
        (_, lost) => format!("{lost} records lost"),
    };
    line.reasons = vec![what];
    let _ = std::fs::remove_dir_all(&stage.folder);
    Ok(line)
}

/// The line of a run in which nothing, or next to nothing, arrived before anybody disturbed it.
pub(super) fn never_began(stage: &Stage) -> Result<Line> {
    let mut line = measured(stage)?;
    line.reasons = vec!["nothing or too little arrived before anything was done to it".to_owned()];
    let _ = std::fs::remove_dir_all(&stage.folder);
    Ok(line)
}

/// The line without a verdict.
pub(super) fn measured(stage: &Stage) -> Result<Line> {
    let ended = stage.ended().clone();
    let mut line = stage.line(|part| ended.get(part).copied().unwrap_or(0))?;
    line.subject = Subject::Python;
    line.verdict = Verdict::Measured;
    line.versions.retain(|what, _| what == "broker");
    line.versions.insert("pypz-python".to_owned(), VERSION.to_owned());
    line.reasons.clear();
    Ok(line)
}
