//! Rounds: the replicas that one process runs of an operator commit together, one transaction after another.
//!
//! A round is due some time after its first record or position, and is committed when no replica is in the middle of an
//! `on_running` that has sent: each stands at a checkpoint. Whoever is there before the others waits; whoever has not sent
//! may go on, and its first record waits for the next round. When a transaction comes to nothing, all begin again from what
//! is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;

use super::connections::Connections;
use crate::channel::{Consumed, Resumed, TransactionScope, Transactor};
use crate::error::ChannelError;
use crate::protocol::RunId;

/// How long a transaction stays open.
pub(crate) const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// How often the cause of a wait is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The first pause after a transaction that came to nothing; each doubles, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The rounds of one operator in one process.
pub(crate) struct Round {
    scope: TransactionScope,
    patience: Duration,
    transactor: OnceCell<Arc<dyn Transactor>>,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    phase: Phase,
    members: BTreeMap<u32, Member>,
    run: Option<RunId>,
    /// When the first record or position of the open round came.
    since: Option<Instant>,
    /// Somebody waits for the commit.
    urgent: bool,
    /// Grows with each commit.
    committed: u64,
    /// Where the members go on.
    resumed: Arc<Resumed>,
}

enum Phase {
    /// Waits until all members are there.
    Gathering,
    Open,
    Committing,
    /// The transaction came to nothing: waits until all members are away.
    Aborted(ChannelError),
    /// There will be no other.
    Failed(ChannelError),
}

#[derive(Default)]
struct Member {
    place: Place,
    earlier: Vec<Vec<u32>>,
    consumed: Vec<Consumed>,
    /// `consumed` is not committed yet.
    fresh: bool,
    /// It has sent since its last checkpoint.
    sent: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Away,
    There,
    Gone,
}

/// What the driver has to do.
enum Due {
    Commit(Vec<Consumed>),
    Abort(ChannelError),
    /// All members are gone.
    Nothing,
}

impl Round {
    pub(super) fn new(scope: TransactionScope) -> Self {
        let patience = scope
            .outputs
            .iter()
            .map(|channel| channel.timing.patience)
            .max()
            .unwrap_or(Duration::from_secs(60));
        let members = scope.replicas.keys().map(|index| (*index, Member::default()));
        Self {
            state: Mutex::new(State {
                phase: Phase::Gathering,
                members: members.collect(),
                run: None,
                since: None,
                urgent: false,
                committed: 0,
                resumed: Arc::default(),
            }),
            scope,
            patience,
            transactor: OnceCell::new(),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells everybody.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }

    /// Waits for something that the state says. Cancel-safe.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// Says that no replica is left, whether or not it ever began.
    pub(super) fn all_gone(&self) {
        self.change(|state| {
            for member in state.members.values_mut() {
                member.place = Place::Gone;
            }
        });
    }

    /// Opens, commits and aborts until all members are gone.
    pub(super) async fn drive(self: Arc<Self>, shared: Arc<super::run::RunShared>) {
        let mut pause = FIRST_PAUSE;
        let mut last_good = Instant::now();
        while let Some((earlier, run)) = self.gathered().await {
            let before = self.lock().committed;
            let aborted = match self.open(&shared.connections, &earlier, run).await {
                Ok(()) => self.commit_rounds(run).await,
                Err(error @ ChannelError::Aborted { .. }) => Some(error),
                Err(error) => {
                    self.change(|state| state.phase = Phase::Failed(error));
                    None
                }
            };
            let Some(aborted) = aborted else {
                break;
            };
            if self.lock().committed > before {
                (pause, last_good) = (FIRST_PAUSE, Instant::now());
            }
            tracing::warn!(
                operator = self.scope.operator,
                "{aborted}: what was consumed in it is consumed again"
            );
            self.change(|state| state.phase = Phase::Aborted(aborted.clone()));
            self.until(|state| state.all(|place| place != Place::There).then_some(()))
                .await;
            if let Some(transactor) = self.transactor.get() {
                transactor.abort().await;
            }
            if last_good.elapsed() > self.patience * 2 {
                let error = ChannelError::Deadline {
                    port: self.scope.operator.clone(),
                    waited_for: format!("a transaction to be committed: {aborted}"),
                    seconds: last_good.elapsed().as_secs(),
                };
                self.change(|state| state.phase = Phase::Failed(error));
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.change(State::gather);
        }
        if let Some(transactor) = self.transactor.get() {
            self.until(|state| state.all(|place| place != Place::There).then_some(()))
                .await;
            transactor.close().await;
        }
    }

    /// Waits until all members that are left are there; `None` if there are none.
    async fn gathered(&self) -> Option<(Vec<Vec<u32>>, RunId)> {
        self.until(|state| {
            if state.all(|place| place == Place::Gone) {
                return Some(None);
            }
            let run = state.run?;
            let mut earlier: Vec<Vec<u32>> = state
                .members
                .values()
                .flat_map(|member| member.earlier.clone())
                .collect();
            earlier.sort_unstable();
            earlier.dedup();
            state
                .all(|place| place != Place::Away)
                .then_some(Some((earlier, run)))
        })
        .await
    }

    async fn open(
        &self,
        connections: &Connections,
        earlier: &[Vec<u32>],
        run: RunId,
    ) -> Result<(), ChannelError> {
        let make = || async {
            let first = self
                .scope
                .outputs
                .first()
                .ok_or_else(|| ChannelError::Configuration {
                    port: self.scope.operator.clone(),
                    reason: "it has no outputs to write in transactions".to_owned(),
                })?;
            connections
                .connection(first)
                .await?
                .transactor(self.scope.clone())
        };
        let resumed = self
            .transactor
            .get_or_try_init(make)
            .await?
            .open(earlier, run)
            .await?;
        self.change(|state| {
            state.resumed = Arc::new(resumed);
            state.phase = Phase::Open;
        });
        Ok(())
    }

    /// Commits one round after another; returns why one was aborted, `None` if there will be no other.
    async fn commit_rounds(&self, run: RunId) -> Option<ChannelError> {
        loop {
            let consumed = match self.due().await {
                Due::Commit(consumed) => consumed,
                Due::Abort(error) => return Some(error),
                Due::Nothing => return None,
            };
            match self.transactor.get()?.commit(&consumed, run).await {
                Ok(()) => self.change(State::committed),
                Err(error @ ChannelError::Aborted { .. }) => return Some(error),
                Err(error) => {
                    self.change(|state| state.phase = Phase::Failed(error));
                    return None;
                }
            }
        }
    }

    /// Waits until the round can be committed.
    async fn due(&self) -> Due {
        loop {
            let mut at = None;
            let look = |state: &mut State| {
                let due = state.look();
                at = state.due_at().filter(|at| *at > Instant::now());
                match due {
                    None if at.is_some() => Some(None),
                    due => due.map(Some),
                }
            };
            let looked = tokio::time::timeout(LOG_EVERY, self.until(look)).await;
            match (looked, at) {
                (Ok(Some(due)), _) => return due,
                (Ok(None), Some(at)) => {
                    // Not due yet, unless somebody says so.
                    let urgent = self.until(|state| (state.urgent || state.is_broken()).then_some(()));
                    let _ = tokio::time::timeout_at(at, urgent).await;
                }
                (Ok(None), None) => {}
                (Err(_), _) => {
                    let busy = self.lock().busy();
                    if !busy.is_empty() {
                        tracing::info!(
                            operator = self.scope.operator,
                            "the transaction waits for replicas {busy:?} to return from on_running"
                        );
                    }
                }
            }
        }
    }
}

impl State {
    fn all(&self, is: impl Fn(Place) -> bool) -> bool {
        self.members.values().all(|member| is(member.place))
    }

    fn is_broken(&self) -> bool {
        matches!(self.phase, Phase::Aborted(_) | Phase::Failed(_))
    }

    /// Members that have sent and are not back.
    fn busy(&self) -> Vec<u32> {
        let sent = self.members.iter().filter(|(_, member)| member.sent);
        sent.map(|(index, _)| *index).collect()
    }

    fn due_at(&self) -> Option<Instant> {
        self.since
            .map(|since| if self.urgent { since } else { since + COMMIT_EVERY })
    }

    fn is_due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= Instant::now())
    }

    /// What is to be done now, if anything. A commit is begun.
    fn look(&mut self) -> Option<Due> {
        match &self.phase {
            Phase::Aborted(error) => return Some(Due::Abort(error.clone())),
            Phase::Failed(_) => return Some(Due::Nothing),
            Phase::Gathering | Phase::Open | Phase::Committing => {}
        }
        if self.all(|place| place == Place::Gone) && self.since.is_none() {
            return Some(Due::Nothing);
        }
        if !self.is_due() || self.members.values().any(|member| member.sent) {
            return None;
        }
        self.phase = Phase::Committing;
        let fresh = self.members.values().filter(|member| member.fresh);
        Some(Due::Commit(
            fresh.flat_map(|member| member.consumed.clone()).collect(),
        ))
    }

    fn committed(&mut self) {
        if matches!(self.phase, Phase::Committing) {
            self.phase = Phase::Open;
        }
        self.committed += 1;
        (self.since, self.urgent) = (None, false);
        for member in self.members.values_mut() {
            member.fresh = false;
        }
    }

    /// Back to the start, with the members that are left.
    fn gather(&mut self) {
        self.phase = Phase::Gathering;
        (self.since, self.urgent, self.run) = (None, false, None);
        for member in self
            .members
            .values_mut()
            .filter(|member| member.place != Place::Gone)
        {
            *member = Member::default();
        }
    }

    fn broken(&self) -> Option<ChannelError> {
        match &self.phase {
            Phase::Aborted(error) | Phase::Failed(error) => Some(error.clone()),
            Phase::Gathering | Phase::Open | Phase::Committing => None,
        }
    }
}

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
    pub(super) fn new(round: Arc<Round>, index: u32) -> Self {
        Self(Arc::new(Held { round, index }))
    }

    /// The transactions, once the first round was opened.
    pub(super) fn transactor(&self) -> Option<&Arc<dyn Transactor>> {
        self.0.round.transactor.get()
    }

    /// Says that the replica holds its members, and waits until the first round is open. Returns where the members go on.
    pub(super) async fn begin(
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
    pub(super) fn has_sent(&self) -> bool {
        let state = self.0.round.lock();
        state.members.get(&self.0.index).is_some_and(|member| member.sent)
    }

    /// Notes what all that was sent until now was made from. Waits for the commit if the round is due.
    pub(super) async fn checkpoint(&self, consumed: Vec<Consumed>) -> Result<(), ChannelError> {
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
    pub(super) async fn commit(&self) -> Result<(), ChannelError> {
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
    pub(super) async fn broken(&self) -> ChannelError {
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
    pub(super) fn away(&self) {
        self.leave(Place::Away);
    }

    fn leave(&self, place: Place) {
        self.0.leave(place);
    }

    /// Is done, for good.
    pub(super) fn gone(&self) {
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
