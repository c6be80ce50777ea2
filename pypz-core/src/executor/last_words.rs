//! What is left to do of a replica whose work is done: to say so on each of its channels.
//!
//! A replica on several channels says on all of them that it has settled, before it says on any that it has stopped: what was
//! told of its end may be acted on at once, and a channel be gone while another one still waits for its word. A process that
//! is started again in between finds what was said in any of the logs, repeats nothing, and says the rest.

use std::sync::Arc;

use tokio::sync::watch;

use super::joining::{Place, is_volatile};
use super::run::RunShared;
use crate::channel::{ChannelSpec, Joined};
use crate::error::ChannelError;
use crate::pipeline::PlannedReplica;
use crate::protocol::{LocalEvent, MemberId};

/// Whether an earlier incarnation of the replica has done all of its work, as far as is known while its members join.
pub(super) struct Work {
    done: watch::Sender<bool>,
}

impl Work {
    pub(super) fn new() -> Self {
        Self {
            done: watch::Sender::new(false),
        }
    }

    /// Takes in what one of the members has learned. A channel in memory tells nothing: nobody was there before.
    pub(super) fn learn(&self, channel: &ChannelSpec, joined: Option<&Joined>) {
        if !is_volatile(channel) && joined.is_none_or(|joined| joined.settled) {
            self.done.send_replace(true);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        *self.done.borrow()
    }

    /// Waits until it is known to be done, which it may never be.
    pub(super) async fn done(&self) {
        if self.done.subscribe().wait_for(|done| *done).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits until it is known that nobody on a channel waits for a member whose work is done: its run is closed, or the channel
/// is gone.
///
/// # Errors
///
/// Those of the channel's session, and of questions to its broker.
pub(super) async fn needless(
    shared: &RunShared,
    channel: &Arc<ChannelSpec>,
    member: MemberId,
) -> Result<(), ChannelError> {
    let closed = async {
        let session = shared.connections.session(channel).await?;
        session.completed(member).await;
        Ok(())
    };
    let gone = async {
        let connection = shared.connections.connection(channel).await?;
        let mut looks = tokio::time::interval(channel.timing.challenge);
        // Twice, because a broker may answer before it knows all that it has.
        let mut missed = 0;
        while missed < 2 {
            looks.tick().await;
            missed = if connection.exists(channel).await? {
                0
            } else {
                missed + 1
            };
        }
        let port = channel.layout.name(member);
        tracing::info!(port, "its channel is gone, and its work in there was done");
        Ok(())
    };
    tokio::select! {
        biased;
        closed = closed => closed,
        gone = gone => gone,
    }
}

/// Says on every channel of a replica that its work is done, and waits until each log has it. The last word of a replica with
/// one channel says it all; a channel with members that are plain is not told, because their counts are compared at its end.
pub(super) async fn settle(planned: &PlannedReplica, shared: &RunShared) -> Result<(), ChannelError> {
    let inputs = planned.inputs.iter().map(|input| (&input.channel, input.member));
    let outputs = planned
        .outputs
        .iter()
        .map(|output| (&output.channel, output.member));
    let all: Vec<(&Arc<ChannelSpec>, MemberId)> = inputs
        .chain(outputs)
        .filter(|(channel, _)| !is_volatile(channel))
        .collect();
    if all.len() < 2 || all.iter().any(|(channel, _)| !channel.layout.foreign.is_empty()) {
        return Ok(());
    }
    let said = all.into_iter().map(|(channel, member)| async move {
        let session = shared.connections.session(channel).await?;
        session.tell(member, LocalEvent::Settled);
        session.settle(member).await
    });
    futures::future::try_join_all(said).await.map(drop)
}

/// Says the last word of a member whose work an earlier incarnation has done. If that has said it, too, nobody waits for it.
pub(super) async fn say(place: Place, member: MemberId) -> Result<(), ChannelError> {
    let Place {
        session,
        joined,
        leave,
    } = place;
    session.tell(member, LocalEvent::Stopped(Vec::new()));
    session.tell(member, LocalEvent::Closed);
    leave.cancel();
    if joined.finished {
        return Ok(());
    }
    session.settle(member).await
}
