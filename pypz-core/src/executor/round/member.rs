//! One replica's side of the rounds.

use std::sync::Arc;

use tokio::time::Instant;

use super::Round;
use super::state::{Phase, Place};
use crate::channel::{Consumed, Resumed, Transactor};
use crate::error::ChannelError;
use crate::protocol::RunId;

/// One replica in the rounds of its operator. It is gone when this is dropped.
#[derive(Clone)]
pub struct RoundMember(Arc<Held>);

struct Held {
    round: Arc<Round>,
    index: u32,
}

impl std::fmt::Debug for RoundMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RoundMember").field(&self.0.index).finish()
    }
}

impl RoundMember {
    pub(in crate::executor) fn new(round: Arc<Round>, index: u32) -> Self {
        Self(Arc::new(Held { round, index }))
    }

    /// The transactions, once the first round was opened.
    pub(in crate::executor) fn transactor(&self) -> Option<&Arc<dyn Transactor>> {
        self.0.round.transactor.get()
    }

    /// Says that the replica holds its members, and waits until the first round is open. Returns where the members go on.
    pub(in crate::executor) async fn begin(
        &self,
        earlier: Vec<Vec<u32>>,
        run: RunId,
    ) -> Result<Arc<Resumed>, ChannelError> {
        let mut earlier = Some(earlier);
        let there = self.0.round.until(|state| match &state.phase {
            Phase::Gathering => {
                state.run = Some(run);
                let member = state.members.entry(self.0.index).or_default();
                (member.place, member.earlier) = (Place::There, earlier.take().unwrap_or_default());
                Some(Ok(()))
            }
            Phase::Failed(error) => Some(Err(error.clone())),
            _ => None,
        });
        there.await?;
        self.0.round.changed.notify_waiters();
        let open = self.0.round.until(|state| match (&state.phase, state.broken()) {
            (_, Some(error)) => Some(Err(error)),
            (Phase::Gathering, None) => None,
            _ => Some(Ok(Arc::clone(&state.resumed))),
        });
        open.await
    }

    /// Waits until the replica may send into the open round, and notes that it does.
    pub(crate) async fn enter(&self) -> Result<(), ChannelError> {
        let index = self.0.index;
        let entered = self.0.round.until(|state| {
            if let Some(error) = state.broken() {
                return Some(Err(error));
            }
            let has_sent = state.members.get(&index).is_some_and(|member| member.sent);
            if !matches!(state.phase, Phase::Open) || (!has_sent && state.is_due()) {
                return None;
            }
            if let Some(member) = state.members.get_mut(&index) {
                member.sent = true;
            }
            let is_first = state.since.is_none();
            state.since.get_or_insert_with(Instant::now);
            Some(Ok(is_first))
        });
        if entered.await? {
            self.0.round.changed.notify_waiters();
        }
        Ok(())
    }

    /// Whether the replica has sent since its last checkpoint.
    pub(in crate::executor) fn has_sent(&self) -> bool {
        let state = self.0.round.lock();
        state.members.get(&self.0.index).is_some_and(|member| member.sent)
    }

    /// Notes what all that was sent until now was made from. Waits for the commit if the round is due.
    pub(in crate::executor) async fn checkpoint(&self, consumed: Vec<Consumed>) -> Result<(), ChannelError> {
        let index = self.0.index;
        let mut consumed = Some(consumed);
        let noted = self.0.round.until(|state| {
            if matches!(state.phase, Phase::Committing) {
                // What is noted now belongs to the next round.
                return None;
            }
            let committed = state.committed;
            if let (Some(member), Some(consumed)) = (state.members.get_mut(&index), consumed.take())
                && (std::mem::take(&mut member.sent) || member.consumed != consumed)
            {
                (member.consumed, member.fresh) = (consumed, true);
                state.since.get_or_insert_with(Instant::now);
            }
            Some(committed)
        });
        let before = noted.await;
        self.0.round.changed.notify_waiters();
        let settled = self.0.round.until(|state| match state.broken() {
            Some(error) => Some(Err(error)),
            None if state.committed > before || !state.is_due() => Some(Ok(())),
            None => None,
        });
        settled.await
    }

    /// Has everything committed that was noted.
    pub(in crate::executor) async fn commit(&self) -> Result<(), ChannelError> {
        let index = self.0.index;
        self.0.round.change(|state| state.urgent |= state.since.is_some());
        let committed = self.0.round.until(|state| {
            if state
                .members
                .get(&index)
                .is_none_or(|member| !member.fresh && !member.sent)
            {
                return Some(Ok(()));
            }
            state.urgent |= state.since.is_some();
            state.broken().map(Err)
        });
        committed.await
    }

    /// Waits until the round came to nothing.
    pub(in crate::executor) async fn broken(&self) -> ChannelError {
        self.0.round.until(|state| state.broken()).await
    }

    /// Has the open transaction come to nothing.
    pub(crate) fn abort(&self, reason: &str) {
        let operator = self.0.round.scope.operator.clone();
        self.0.round.change(|state| {
            if !state.is_broken() {
                state.phase = Phase::Aborted(ChannelError::Aborted {
                    operator,
                    reason: reason.to_owned(),
                });
            }
        });
    }

    /// Has left what it had open: the others need not wait for it before all begin again.
    pub(in crate::executor) fn away(&self) {
        self.leave(Place::Away);
    }

    fn leave(&self, place: Place) {
        self.0.leave(place);
    }

    /// Is done, for good.
    pub(in crate::executor) fn gone(&self) {
        self.leave(Place::Gone);
    }
}

impl Held {
    fn leave(&self, place: Place) {
        let index = self.index;
        let operator = &self.round.scope.operator;
        self.round.change(|state| {
            let Some(member) = state.members.get_mut(&index) else {
                return;
            };
            if member.place == Place::Gone {
                return;
            }
            member.place = place;
            let unfinished = std::mem::take(&mut member.sent);
            if unfinished && !state.is_broken() {
                state.phase = Phase::Aborted(ChannelError::Aborted {
                    operator: operator.clone(),
                    reason: format!("replica {index} left in the middle of it"),
                });
            }
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leave(Place::Gone);
    }
}
