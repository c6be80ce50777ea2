//! Rounds: the replicas that one process runs of an operator commit together, one transaction after another.
//!
//! A round is due some time after its first record or position, and is committed when no replica is in the middle of an
//! `on_running` that has sent: each stands at a checkpoint. Whoever is there before the others waits; whoever has not sent
//! may go on, and its first record waits for the next round. When a transaction comes to nothing, all begin again from what
//! is committed.

mod member;
mod state;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use member::RoundMember;
use state::{Due, Member, Phase, Place, State};

use super::connections::Connections;
use crate::channel::{TransactionScope, Transactor};
use crate::error::ChannelError;
use crate::fail_point;
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
    transactor: OnceLock<Arc<dyn Transactor>>,
    state: Mutex<State>,
    changed: Notify,
}

/// Every set of replicas that ever lived together, who is there now, and the run.
type Gathered = (Vec<Vec<u32>>, Vec<u32>, RunId);

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
            transactor: OnceLock::new(),
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

    /// Makes the transactions, and serves the members until all are gone.
    pub(super) async fn drive(self: Arc<Self>, shared: Arc<super::run::RunShared>) {
        // Nobody is asked to connect for a mode that opens no ports.
        if self.gathered().await.is_none() {
            return;
        }
        let served = async {
            let transactor = self.make(&shared.connections).await?;
            let _ = self.transactor.set(transactor);
            self.serve().await;
            Ok(())
        };
        let error = match AssertUnwindSafe(served).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => ChannelError::Transport {
                channel: self.scope.operator.clone(),
                reason: "its transactions ended in a panic".to_owned(),
            },
        };
        self.change(|state| state.phase = Phase::Failed(error));
    }

    async fn make(&self, connections: &Connections) -> Result<Arc<dyn Transactor>, ChannelError> {
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
    }

    /// Opens, commits and aborts until all members are gone.
    async fn serve(&self) {
        let Some(transactor) = self.transactor.get() else {
            return;
        };
        let mut pause = FIRST_PAUSE;
        let mut last_good = Instant::now();
        while let Some((earlier, present, run)) = self.gathered().await {
            let before = self.lock().committed;
            let aborted = match transactor.open(&earlier, &present, run).await {
                Ok(resumed) => {
                    self.change(|state| {
                        state.resumed = Arc::new(resumed);
                        state.phase = Phase::Open;
                    });
                    self.commit_rounds(transactor.as_ref(), run).await
                }
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
            if let Err(error) = self.all_away().await {
                self.change(|state| state.phase = Phase::Failed(error));
                break;
            }
            transactor.abort().await;
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
        self.until(|state| state.all(|place| place != Place::There).then_some(()))
            .await;
        transactor.close().await;
    }

    /// Waits until all members that are left are there; `None` if there are none.
    async fn gathered(&self) -> Option<Gathered> {
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
                .then(|| Some((earlier, state.present(), run)))
        })
        .await
    }

    /// Waits until nobody has anything of the transaction open any more.
    async fn all_away(&self) -> Result<(), ChannelError> {
        let start = Instant::now();
        let mut away =
            std::pin::pin!(self.until(|state| state.all(|place| place != Place::There).then_some(())));
        while tokio::time::timeout(LOG_EVERY.min(self.patience), &mut away)
            .await
            .is_err()
        {
            let waited_for = "replicas to give up what they had begun".to_owned();
            tracing::info!(operator = self.scope.operator, "waiting for {waited_for}");
            if start.elapsed() >= self.patience {
                return Err(ChannelError::Deadline {
                    port: self.scope.operator.clone(),
                    waited_for,
                    seconds: self.patience.as_secs(),
                });
            }
        }
        Ok(())
    }

    /// Commits one round after another; returns why one was aborted, `None` if there will be no other.
    async fn commit_rounds(&self, transactor: &dyn Transactor, run: RunId) -> Option<ChannelError> {
        loop {
            let consumed = match self.due().await {
                Due::Commit(consumed) => consumed,
                Due::Abort(error) => return Some(error),
                Due::Nothing => return None,
            };
            fail_point::pass("round.commit");
            match transactor.commit(&consumed, run).await {
                Ok(()) => {
                    fail_point::pass("round.committed");
                    self.change(State::committed);
                }
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
            let looked = tokio::time::timeout(LOG_EVERY.min(self.patience), self.until(look)).await;
            match (looked, at) {
                (Ok(Some(due)), _) => return due,
                (Ok(None), Some(at)) => {
                    // Not due yet, unless somebody says so.
                    let urgent = self.until(|state| (state.urgent || state.is_broken()).then_some(()));
                    let _ = tokio::time::timeout_at(at, urgent).await;
                }
                (Ok(None), None) => {}
                (Err(_), _) => {
                    if let Some(late) = self.late() {
                        return Due::Abort(late);
                    }
                }
            }
        }
    }

    /// Says who the round waits for, and after the patience that it has waited long enough: a call that does not return would
    /// hold up all the others, and the broker gives the transaction up in the end.
    fn late(&self) -> Option<ChannelError> {
        let (busy, since) = {
            let state = self.lock();
            (state.busy(), state.since)
        };
        let waited = since.filter(|_| !busy.is_empty())?.elapsed();
        let operator = &self.scope.operator;
        let reason = format!(
            "replicas {busy:?} have sent, and not returned from on_running for {} s",
            waited.as_secs()
        );
        tracing::info!(operator, "the transaction waits: {reason}");
        (waited >= self.patience).then(|| ChannelError::Aborted {
            operator: operator.clone(),
            reason,
        })
    }
}
