//! The ports of one replica: joined to their channels, opened with what they need, flushed, closed.

use std::collections::HashMap;
use std::sync::Arc;

use super::commit::{CommitTracker, SourceLog};
use super::joining::{JoinedInput, Members, Place, is_volatile, join_all};
use super::last_words;
use super::round::RoundMember;
use super::run::RunShared;
use super::settlement::{InRounds, Settlement};
use crate::channel::partitioning::Partitioner;
use crate::channel::{ChannelReader, Committer, PoisonPolicy, WriteProgress};
use crate::error::ChannelError;
use crate::fail_point;
use crate::operator::ErasedOperator;
use crate::pipeline::{PlannedInput, PlannedOutput, PlannedReplica};
use crate::port::{Closing, InputLink, OutputLink};
use crate::protocol::{MemberId, RunId, Side};

/// What a replica has once its ports are open.
pub(super) struct Opened {
    pub(super) settlement: Settlement,
    /// Where a source goes on.
    pub(super) position: Option<String>,
    /// Whether an earlier incarnation has done all of the work: then what is open only closes.
    pub(super) done: bool,
}

/// Joins the channels of a replica and opens its ports: inputs, then outputs, which wait for their readers.
///
/// A replica in rounds begins them once it holds its members, and before any position is read.
pub(super) async fn open(
    operator: &mut dyn ErasedOperator,
    planned: &PlannedReplica,
    shared: &RunShared,
    round: Option<RoundMember>,
) -> Result<Opened, ChannelError> {
    let is_source = planned.inputs.is_empty();
    let members = join_all(planned, shared, &schemas(operator, planned)).await?;
    fail_point::pass("ports.joined");
    if members.is_done {
        return open_to_close(operator, planned, shared, members).await;
    }
    let Members {
        mut inputs, outputs, ..
    } = members;
    let first_place = outputs.iter().flatten().next();
    let first = first_place.zip(planned.outputs.first());
    let source = first.filter(|_| is_source).map(|(place, output)| SourceLog {
        session: place.session.clone(),
        member: output.member,
    });
    let mut position = first_place.and_then(|place| place.joined.source.clone());
    if let Some(member) = &round {
        let (earlier, run) = earlier(
            planned,
            inputs
                .iter()
                .flatten()
                .map(|(place, _)| place)
                .chain(outputs.iter().flatten())
                .next(),
        )?;
        let resumed = member.begin(earlier, run).await?;
        // A run that began without transactions has its positions in the status log.
        position = resumed.sources.get(&planned.index).cloned().or(position);
        for (at, input) in inputs.iter_mut().enumerate() {
            if let Some((place, _)) = input {
                place.joined.position = resumed.broadcasts.get(&(at, planned.index)).copied();
            }
        }
    }
    let opened = open_inputs(operator, planned, shared, inputs, round.as_ref()).await?;
    let mut progress = open_outputs(operator, planned, shared, outputs, round.as_ref()).await?;
    progress.extend(opened.progress);
    let settlement = match round {
        Some(member) => Settlement::InRounds(InRounds {
            member,
            readers: opened.readers,
            replica: planned.index,
            source: position.clone(),
            operator: planned.full_name.clone(),
        }),
        None => Settlement::Tracked(CommitTracker::new(opened.committers, progress, source)),
    };
    Ok(Opened {
        settlement,
        position,
        done: false,
    })
}

/// Has every member say its last word, for work that an earlier incarnation has done. Only the principal's inputs are opened:
/// it waits for its replicas and closes the run.
async fn open_to_close(
    operator: &mut dyn ErasedOperator,
    planned: &PlannedReplica,
    shared: &RunShared,
    members: Members,
) -> Result<Opened, ChannelError> {
    let Members {
        mut inputs, outputs, ..
    } = members;
    // A run in which the member never was is another one, which others have opened since.
    let was_there = |place: &Place| place.joined.epoch > 1 || place.joined.settled;
    let outputs = planned.outputs.iter().map(|output| output.member).zip(outputs);
    let readers = planned.inputs.iter().zip(&mut inputs);
    let readers = readers.filter(|(input, _)| input.member != MemberId::PRINCIPAL);
    let readers = readers.map(|(input, joined)| (input.member, joined.take().map(|(place, _)| place)));
    let words = outputs
        .chain(readers)
        .filter_map(|(member, place)| Some((member, place.filter(was_there)?)))
        .map(|(member, place)| last_words::say(place, member));
    futures::future::try_join_all(words).await?;
    open_inputs(operator, planned, shared, inputs, None).await?;
    Ok(Opened {
        settlement: Settlement::none(),
        position: None,
        done: true,
    })
}

/// What open input ports give to the settlement.
#[derive(Default)]
struct OpenedInputs {
    /// Of each port its channel's place in the plan, and its reader.
    readers: Vec<(usize, u32)>,
    committers: Vec<Arc<dyn Committer>>,
    /// Of those that write dead letters.
    progress: Vec<Arc<dyn WriteProgress>>,
}

async fn open_inputs(
    operator: &mut dyn ErasedOperator,
    planned: &PlannedReplica,
    shared: &RunShared,
    mut joined: Vec<Option<JoinedInput>>,
    round: Option<&RoundMember>,
) -> Result<OpenedInputs, ChannelError> {
    let mut opened = OpenedInputs::default();
    for (name, port) in operator.input_ports() {
        let at = planned.inputs.iter().position(|input| input.port == name);
        let joined = at.and_then(|at| Some((at, planned.inputs.get(at)?, joined.get_mut(at)?.take()?)));
        if let Some((at, input, (place, reader))) = joined {
            let link = input_link(shared, input, place, reader, round.cloned()).await?;
            port.open(link).await?;
            opened.readers.push((at, input.member.index));
            opened.committers.extend(port.committer());
            opened.progress.extend(port.progress());
        }
    }
    Ok(opened)
}

async fn open_outputs(
    operator: &mut dyn ErasedOperator,
    planned: &PlannedReplica,
    shared: &RunShared,
    joined: Vec<Option<Place>>,
    round: Option<&RoundMember>,
) -> Result<Vec<Arc<dyn WriteProgress>>, ChannelError> {
    let is_source = planned.inputs.is_empty();
    let mut joined: Vec<(&PlannedOutput, Option<Place>)> = planned.outputs.iter().zip(joined).collect();
    let mut progress = Vec::new();
    for (name, port) in operator.output_ports() {
        let mut links = Vec::new();
        for (output, place) in joined.iter_mut().filter(|(output, _)| output.port == name) {
            if let Some(place) = place.take() {
                links.push(output_link(shared, output, place, is_source, round.cloned()).await?);
            }
        }
        port.open(links).await?;
        progress.extend(port.progress());
    }
    Ok(progress)
}

/// Every set of this operator's replicas that ever lived together in a process, and the run.
fn earlier(planned: &PlannedReplica, first: Option<&Place>) -> Result<(Vec<Vec<u32>>, RunId), ChannelError> {
    let Some(first) = first else {
        return Err(ChannelError::Configuration {
            port: planned.full_name.clone(),
            reason: "it has no channels".to_owned(),
        });
    };
    // Readers are the replicas; writers have a place, in a row for each output port.
    let (side, base) = match (planned.inputs.first(), planned.outputs.first()) {
        (None, Some(output)) => (Side::Writers, output.member.index.saturating_sub(planned.index)),
        _ => (Side::Readers, 0),
    };
    let coverings = first.session.coverings(side)?;
    let replicas = coverings.iter().map(|covering| {
        let covers = |place: u32| {
            covering
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&place))
        };
        (0..planned.replicas)
            .filter(|index| covers(base + index))
            .collect()
    });
    Ok((replicas.collect(), first.joined.run))
}

/// Whether a drain reads on to the end, because what is not read is lost: all inputs live in memory.
pub(super) fn reads_on(planned: &PlannedReplica) -> bool {
    !planned.inputs.is_empty() && planned.inputs.iter().all(|input| is_volatile(&input.channel))
}

async fn input_link(
    shared: &RunShared,
    input: &PlannedInput,
    place: Place,
    reader: Box<dyn ChannelReader>,
    round: Option<RoundMember>,
) -> Result<InputLink, ChannelError> {
    let volatile = is_volatile(&input.channel);
    let dead_letters = match round.as_ref().and_then(RoundMember::transactor) {
        _ if volatile || input.channel.on_poison != PoisonPolicy::DeadLetter => None,
        Some(transactor) => Some(transactor.writer(&Arc::new(input.channel.dead_letters()))?),
        None => {
            let connection = shared.connections.connection(&input.channel).await?;
            Some(connection.dead_letters(&input.channel, input.member.index)?)
        }
    };
    Ok(InputLink {
        session: place.session,
        joined: place.joined,
        leave: place.leave,
        reader,
        member: input.member,
        ends_cycle: input.ends_cycle,
        volatile,
        shutdown: shared.shutdown.clone(),
        dead_letters,
        round,
    })
}

async fn output_link(
    shared: &RunShared,
    output: &PlannedOutput,
    place: Place,
    source: bool,
    round: Option<RoundMember>,
) -> Result<OutputLink, ChannelError> {
    let writer = match round.as_ref().and_then(RoundMember::transactor) {
        Some(transactor) => transactor.writer(&output.channel)?,
        None => {
            let connection = shared.connections.connection(&output.channel).await?;
            connection.writer(&output.channel, output.member.index)?
        }
    };
    let partitioner = Partitioner::new(output.partitioning, output.channel.partitions(), output.start);
    Ok(OutputLink {
        session: place.session,
        joined: place.joined,
        leave: place.leave,
        writer,
        member: output.member,
        partitioner: if output.channel.has_plain_readers() {
            partitioner.one_by_one()
        } else {
            partitioner
        },
        source,
        volatile: is_volatile(&output.channel),
        shutdown: shared.shutdown.clone(),
        round,
    })
}

/// The schemas of the input ports whose runs the replica opens, by name.
fn schemas(operator: &mut dyn ErasedOperator, planned: &PlannedReplica) -> HashMap<&'static str, String> {
    let opens = |port: &str| {
        let mut inputs = planned.inputs.iter();
        inputs.any(|input| input.port == port && input.member == MemberId::PRINCIPAL)
    };
    let ports = operator.input_ports().into_iter().filter(|(name, _)| opens(name));
    ports
        .filter_map(|(name, port)| Some((name, port.run_schema()?)))
        .collect()
}

/// The offset behind the last record of each input.
pub(super) fn positions(operator: &mut dyn ErasedOperator) -> Vec<u64> {
    let ports = operator.input_ports();
    ports.iter().map(|(_, port)| port.position()).collect()
}

/// Whether no more is to come at any input that the operator waits for.
pub(super) fn inputs_ended(operator: &mut dyn ErasedOperator) -> bool {
    let ports = operator.input_ports();
    ports.iter().all(|(_, port)| port.is_ended() || port.ends_cycle())
}

/// Whether an earlier incarnation has done all of the run's work. Outputs finish after the inputs they are made from are
/// committed, so where there are outputs, they decide.
pub(super) fn were_finished(operator: &mut dyn ErasedOperator) -> bool {
    let outputs = operator.output_ports();
    if !outputs.is_empty() {
        return outputs.iter().all(|(_, port)| port.was_finished());
    }
    drop(outputs);
    let inputs = operator.input_ports();
    !inputs.is_empty() && inputs.iter().all(|(_, port)| port.was_finished())
}

/// Waits until every record that was sent is acknowledged, dead letters too.
pub(super) async fn flush(operator: &mut dyn ErasedOperator) -> Result<(), ChannelError> {
    for (_, port) in operator.input_ports() {
        port.flush().await?;
    }
    for (_, port) in operator.output_ports() {
        port.flush().await?;
    }
    Ok(())
}

/// Closes outputs, then inputs; the first error is returned, and what is closed after it is told of it.
pub(super) async fn close(operator: &mut dyn ErasedOperator, closing: &Closing) -> Option<ChannelError> {
    let mut failed: Option<ChannelError> = None;
    for (_, port) in operator.output_ports() {
        if let Err(error) = port.close(closing).await {
            failed.get_or_insert(error);
        }
    }
    fail_point::pass("outputs.closed");
    for (_, port) in operator.input_ports() {
        let closing = match &failed {
            Some(error) => Closing::Failed(error.to_string().into()),
            None => closing.clone(),
        };
        if let Err(error) = port.close(&closing).await {
            failed.get_or_insert(error);
        }
    }
    failed
}
