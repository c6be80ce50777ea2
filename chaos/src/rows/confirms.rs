//! Row 37 on RabbitMQ: confirms that never come, and messages that the broker refuses to take.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::shape;
use crate::ground::{Ground, Terms};
use crate::ledger;
use crate::line::Line;
use crate::process::until;
use crate::proxy::{Fault, Proxy};
use crate::stage::{LIMIT, Stage};

/// How long something may take that a fault brings about.
const NOTICED: Duration = Duration::from_secs(60);

/// How many batches a source sends before it has them acknowledged.
const BATCHES_IN_FLIGHT: u64 = 4;

/// The first source's connections are as they were, only the broker's confirms are missing: nothing that it sends from then on
/// counts as sent, it ends by its deadline and says for what it waited; and when everybody is started again nothing is missing.
pub(super) async fn never(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    shape.rate = shape.records / 20;
    shape.patience = 6.0;
    let broker = ground.broker(terms.transport)?;
    let way = ground.detour(terms.transport).await?;
    let proxy = Proxy::of_amqp(way.port, way.broker).await?;
    let mut stage = Stage::new(&ground, &terms, shape)?;
    let sources = ["a@0", "a@1"];
    for part in sources {
        stage
            .locations
            .insert(part.to_owned(), broker.location_at(way.port));
    }
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 4).await?;
    stage.disturbances += 1;
    proxy.set(Fault::Unconfirmed);
    let withheld = || Ok((proxy.withheld() > 0).then_some(()));
    until(NOTICED, "a confirm that is withheld", withheld).await?;
    let before = acknowledged(&stage)?;
    stage.all_end(NOTICED).await?;
    let (after, codes) = (acknowledged(&stage)?, stage.ended().clone());
    let (withheld, words) = (proxy.withheld(), sources.map(|part| stage.said(part)));
    proxy.set(Fault::None);
    let mut line = stage.resume().await?;
    // What was confirmed right before may not have been noted yet, by each of the two.
    let counted = after - before;
    if counted > 2 * BATCHES_IN_FLIGHT * stage.shape.batch {
        line.breaks(format!("{counted} records count as sent that nobody confirmed"));
    }
    for (part, said) in sources.into_iter().zip(words) {
        let code = codes.get(part).copied().unwrap_or(0);
        if code != 124 {
            line.breaks(format!("{part} ended with {code} in place of 124"));
        }
        if !said.contains("the broker to acknowledge") {
            line.breaks(format!("{part} does not say that it waited for acknowledgements"));
        }
    }
    for part in ["relay@0", "relay@1", "sink@0"] {
        let code = codes.get(part).copied().unwrap_or(0);
        if code != 120 {
            line.breaks(format!("{part} ended with {code} in place of 120"));
        }
    }
    line.figures.insert("confirms withheld".to_owned(), withheld);
    line.exit_codes = codes;
    stage.tidy(&mut line);
    Ok(line)
}

/// How many records of the first source are noted as acknowledged.
fn acknowledged(stage: &Stage) -> Result<u64> {
    let all = ledger::acknowledged(&stage.folder)?;
    let ours = all.iter().filter(|range| range.writer.starts_with("a@"));
    Ok(ours.map(|range| (range.to - range.from).unsigned_abs()).sum())
}

/// The relay's queue is full for a while and the broker refuses what comes (`basic.nack`): the writers say so, send again in
/// order, and nothing is missing.
pub(super) async fn refused(ground: Arc<Ground>, terms: Terms) -> Result<Line> {
    let mut shape = shape(&terms);
    // It takes seconds to set a policy, and the writers must not be done by then.
    shape.rate = shape.records / 30;
    shape.patience = 30.0;
    shape.channel_config = vec!["prefetch=1".to_owned(), "recordsPerMessage=1".to_owned()];
    let broker = ground.broker(terms.transport)?.clone();
    let mut stage = Stage::new(&ground, &terms, shape)?;
    stage.start_all()?;
    stage.until_arrived(stage.shape.total() / 8).await?;
    stage.disturbances += 1;
    let (policy, queue) = (stage.name.clone(), format!(r"^{}\.relay\.input$", stage.name));
    let full = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    broker
        .control(&["set_policy", "--apply-to", "queues", &policy, &queue, full])
        .await?;
    // Nobody takes anything out of it meanwhile.
    let relays = ["relay@0", "relay@1"];
    for part in relays {
        stage.signal(part, "STOP").await?;
    }
    let said = stage.until_said("b", "(nack)", NOTICED).await;
    let heard = stage.said("b").matches("(nack)").count() as u64;
    broker.control(&["clear_policy", &policy]).await?;
    for part in relays {
        stage.signal(part, "CONT").await?;
    }
    said?;
    stage.all_end(LIMIT).await?;
    let mut line = stage.complete()?;
    line.figures
        .insert("refusals that a writer spoke of".to_owned(), heard);
    stage.tidy(&mut line);
    Ok(line)
}
