//! The members of one replica on their way into the runs of their channels.

use std::collections::HashMap;
use std::sync::Arc;

use super::last_words::{self, Work};
use super::run::RunShared;
use crate::channel::{ChannelReader, ChannelSession, ChannelSpec, Joined, Leave, transport_for};
use crate::error::ChannelError;
use crate::pipeline::{PlannedInput, PlannedReplica};
use crate::protocol::{LocalEvent, MemberId, RunPolicy, Side};

/// A member that has joined its channel's run.
pub(super) struct Place {
    pub(super) session: ChannelSession,
    pub(super) joined: Joined,
    pub(super) leave: Leave,
}

/// A reader that has joined, and the transport's end.
pub(super) type JoinedInput = (Place, Box<dyn ChannelReader>);

/// The members of a replica, each in its place.
pub(super) struct Members {
    /// Of each planned input; `None` if its run is over.
    pub(super) inputs: Vec<Option<JoinedInput>>,
    /// Of each planned output; `None` if its run is over, or nobody there waits for the member.
    pub(super) outputs: Vec<Option<Place>>,
    /// Whether an earlier incarnation has done all of the work.
    pub(super) is_done: bool,
}

/// Joins all channels of a replica.
///
/// `schemas` are those of its input ports, by name: the principal's is that of the run it opens.
pub(super) async fn join_all(
    planned: &PlannedReplica,
    shared: &RunShared,
    schemas: &HashMap<&str, String>,
) -> Result<Members, ChannelError> {
    // All at once: whoever replaces somebody waits for an answer of the one before, on each channel.
    let work = Work::new();
    let inputs = planned
        .inputs
        .iter()
        .map(|input| join_input(shared, input, schemas.get(input.port), &work));
    let outputs = planned
        .outputs
        .iter()
        .map(|output| join(shared, &output.channel, output.member, &work));
    let (inputs, mut outputs) = futures::future::try_join(
        futures::future::try_join_all(inputs),
        futures::future::try_join_all(outputs),
    )
    .await?;
    // A run of an input in which the replica never was has work that nobody has done yet.
    let is_new = |(place, _): &JoinedInput| place.joined.epoch == 1 && !place.joined.settled;
    let is_done = work.is_done() && !inputs.iter().flatten().any(is_new);
    if !is_done {
        for (output, place) in planned.outputs.iter().zip(&mut outputs) {
            if place.is_none() {
                *place = join_run(shared, &output.channel, output.member).await?;
            }
        }
    }
    Ok(Members {
        inputs,
        outputs,
        is_done,
    })
}

/// Joins the run of a channel; `None` if the work of the replica is done and nobody there waits for its word.
async fn join(
    shared: &RunShared,
    channel: &Arc<ChannelSpec>,
    member: MemberId,
    work: &Work,
) -> Result<Option<Place>, ChannelError> {
    let needless = async {
        work.done().await;
        last_words::needless(shared, channel, member).await
    };
    let place = tokio::select! {
        biased;
        place = join_run(shared, channel, member) => place?,
        needless = needless => {
            needless?;
            return Ok(None);
        }
    };
    work.learn(channel, place.as_ref().map(|place| &place.joined));
    Ok(place)
}

async fn join_run(
    shared: &RunShared,
    channel: &Arc<ChannelSpec>,
    member: MemberId,
) -> Result<Option<Place>, ChannelError> {
    let session = shared.connections.session(channel).await?;
    // In memory a writer that goes is a writer that has stopped: nobody will come back.
    let gone = match member.side {
        Side::Writers if is_volatile(channel) => LocalEvent::Stopped(Vec::new()),
        _ => LocalEvent::Left(Vec::new()),
    };
    let leave = Leave::with(session.clone(), member, gone);
    shared.connections.turn(&session).await;
    let Some(joined) = session.join(member).await? else {
        return Ok(None);
    };
    shared.connections.took(channel);
    if member.side == Side::Writers && member == session.keeper() {
        // It opens the run in place of a principal that is plain pypz-python; the others wait for it.
        session.tell(member, LocalEvent::Opened);
    }
    Ok(Some(Place {
        session,
        joined,
        leave,
    }))
}

/// A reader that has joined has opened its end, too: the principal opens the run by it, which the others wait for.
async fn join_input(
    shared: &RunShared,
    input: &PlannedInput,
    schema: Option<&String>,
    work: &Work,
) -> Result<Option<JoinedInput>, ChannelError> {
    if let Some(schema) = schema {
        shared.connections.session(&input.channel).await?.describe(schema);
    }
    let Some(place) = join(shared, &input.channel, input.member, work).await? else {
        return Ok(None);
    };
    let connection = shared.connections.connection(&input.channel).await?;
    let mut reader = connection.reader(&input.channel, input.member.index)?;
    if input.member == MemberId::PRINCIPAL {
        let port = place.session.name(input.member);
        let is_opened = place.session.is_opened();
        let joined = (&place.joined, is_opened);
        announce(port, joined, input.channel.run_policy, reader.as_mut()).await?;
        if !is_opened && place.session.has_leftovers() {
            let skipped = reader.skip_to_end().await?;
            tracing::warn!(
                port,
                "{skipped} records of an earlier run of pypz-python are in the channel: they will not be read"
            );
        }
    }
    place.session.tell(input.member, LocalEvent::Opened);
    if schema.is_some() && place.joined.epoch > 1 {
        // Whoever held the run before may have said its schema a moment ago.
        place.session.settle(input.member).await?;
    }
    Ok(Some((place, reader)))
}

/// Says which run the principal opens or goes on with, and marks as read what a given-up run left.
async fn announce(
    port: &str,
    (joined, is_opened): (&Joined, bool),
    run_policy: RunPolicy,
    reader: &mut dyn ChannelReader,
) -> Result<(), ChannelError> {
    match run_policy {
        // Whoever begins again in the run that it opened has given up the one before already.
        _ if is_opened => {
            tracing::info!(port, "run {} goes on: existing resources adopted", joined.run);
        }
        RunPolicy::Resume => tracing::debug!(port, "run {} opened", joined.run),
        RunPolicy::Fresh => {
            let skipped = reader.skip_to_end().await?;
            tracing::warn!(
                port,
                "run {} opened; an unfinished one was given up, {skipped} records in it will not be read",
                joined.run
            );
        }
    }
    Ok(())
}

/// Whether the records of a channel are lost when the process goes.
pub(super) fn is_volatile(channel: &ChannelSpec) -> bool {
    transport_for(&channel.location).is_ok_and(|transport| transport.is_volatile())
}
