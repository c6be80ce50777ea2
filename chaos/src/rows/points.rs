//! Rows 2 and 7: a process that dies at a named point, and is started again.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::future::BoxFuture;
use pypz_core::fail_point;

use super::{fold, shape};
use crate::ground::{Ground, Terms};
use crate::line::{Guarantee, Line, Transport};
use crate::play::Shape;
use crate::process::Code;
use crate::stage::{LIMIT, Stage};

/// How many points are tried side by side.
const AT_ONCE: usize = 3;

/// How a process ends that aborts.
const ABORTED: Code = -6;

/// Behind this point a relay's readers may end, close their run and delete it, while its own run is not closed yet.
const LAST_WORD: &str = "outputs.closed";

/// Behind these the process has closed its run: it is not started again, because that would be another run.
const AT_THE_END: [&str; 5] = [
    "ports.closed",
    "resources.deleted",
    "kafka.topics.deleted",
    "resources.delete",
    "rabbitmq.queue.deleted",
];

/// A point, which pass of it, and what became of it.
type Try = (&'static str, u64, Result<Option<Line>>);

/// The principal relay, which passes every point there is, dies at each of them.
pub(super) async fn everywhere(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut line = terms.line(&ground);
    let passes: &[u64] = if terms.rounds > 1 { &[1, 2, 7] } else { &[1] };
    let mut tries: Vec<BoxFuture<'static, Try>> = Vec::new();
    for point in points(&terms).into_iter().filter(|point| *point != LAST_WORD) {
        for pass in passes.iter().copied() {
            let (ground, terms) = (Arc::clone(&ground), terms.clone());
            tries.push(Box::pin(async move {
                (point, pass, at(ground, terms, point, pass).await)
            }));
        }
    }
    let mut reached = 0;
    let mut done = futures::stream::iter(tries).buffer_unordered(AT_ONCE);
    while let Some((point, pass, outcome)) = done.next().await {
        match outcome {
            Ok(Some(one)) => {
                reached += 1;
                fold(&mut line, one);
            }
            // Points that are passed once have no second pass.
            Ok(None) if pass > 1 => {}
            Ok(None) => line.breaks(format!("{point}: nobody passes it")),
            Err(error) => line.breaks(format!("{point}:{pass}: {error:#}")),
        }
    }
    line.figures.insert("points".to_owned(), reached);
    Ok(line)
}

/// The principal relay dies when it has said its last word to its readers and its own run is open still.
pub(super) async fn behind_the_last_word(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let tried = at(Arc::clone(&ground), terms.clone(), LAST_WORD, 1).await?;
    Ok(tried.unwrap_or_else(|| {
        let mut line = terms.line(&ground);
        line.breaks(format!("{LAST_WORD}: nobody passes it"));
        line
    }))
}

/// The points that a run of this kind passes.
fn points(terms: &Terms) -> Vec<&'static str> {
    let once = terms.guarantee == Guarantee::ExactlyOnce;
    let of_transport: &[&str] = match terms.transport {
        Transport::Kafka => &fail_point::KAFKA,
        Transport::Rabbitmq => &fail_point::RABBITMQ,
    };
    let is_passed = |point: &&str| match *point {
        "round.commit" | "round.committed" => once,
        "commit.due" | "kafka.commit" | "kafka.committed" => !once,
        point => once || !point.starts_with("kafka.transaction"),
    };
    fail_point::POINTS
        .iter()
        .chain(of_transport)
        .copied()
        .filter(|point| is_passed(point))
        .collect()
}

/// The relay dies at a point and is started again; `None` if it never came there.
async fn at(ground: Arc<Ground>, terms: Terms, point: &'static str, pass: u64) -> Result<Option<Line>> {
    let records = terms.records;
    let small = Shape {
        writers: 1,
        writer_replicas: 1,
        relays: 1,
        records,
        rate: records / 2,
        patience: 12.0,
        ..shape(&terms)
    };
    let mut stage = Stage::new(&ground, &terms, small)?;
    stage.name = format!("{}-{}-{pass}", stage.name, point.replace('.', "-"));
    let fails = vec![("PYPZ_FAIL_AT".to_owned(), format!("{point}:{pass}"))];
    stage.environment.insert("relay@0".to_owned(), fails);
    stage.start_all()?;
    let code = stage.end("relay@0", LIMIT).await?;
    stage.environment.clear();
    if code != ABORTED {
        stage.all_end(LIMIT).await?;
        let mut line = stage.complete()?;
        stage.tidy(&mut line);
        return Ok(None);
    }
    stage.disturbances += 1;
    if !AT_THE_END.contains(&point) {
        stage.start("relay@0")?;
    }
    stage
        .all_end(LIMIT)
        .await
        .with_context(|| format!("after {point}:{pass}"))?;
    let mut line = stage.line(|part| match part == "relay@0" && AT_THE_END.contains(&point) {
        true => ABORTED,
        false => 0,
    })?;
    line.exit_codes.clear();
    let missing = stage.shape.total().saturating_sub(line.records);
    if missing > 0 {
        line.breaks(format!("{missing} records were never acknowledged"));
    }
    stage.tidy(&mut line);
    line.reasons
        .iter_mut()
        .for_each(|reason| *reason = format!("{point}:{pass}: {reason}"));
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use pypz_core::fail_point;

    /// The points that are passed somewhere in a crate.
    fn passed(under: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(under).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                passed(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let points = text.split("fail_point::pass(\"").skip(1);
                found.extend(points.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
            }
        }
    }

    #[test]
    fn every_point_that_is_passed_is_listed_and_every_listed_one_is_passed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = BTreeSet::new();
        for under in ["pypz-core/src", "pypz-kafka-io/src", "pypz-rabbitmq-io/src"] {
            passed(&root.join(under), &mut found);
        }
        let listed = fail_point::POINTS
            .iter()
            .chain(&fail_point::KAFKA)
            .chain(&fail_point::RABBITMQ);
        let listed: BTreeSet<String> = listed.map(|point| (*point).to_owned()).collect();
        assert_eq!(found, listed);
    }
}
