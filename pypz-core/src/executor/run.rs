//! Runs all replicas of a process and makes one exit status of theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::connections::Connections;
use super::replica::{Ended, Replica};
use super::round::Round;
use super::{ExecutionMode, Phase, Shutdown, Times, signals};
use crate::error::{ExecutionError, ExitStatus};
use crate::operator::Threading;
use crate::pipeline::Plan;

/// How long replicas have to end after everything was told to stop where it is.
const ABORT_GRACE: Duration = Duration::from_secs(5);

/// What the replicas of one run have in common.
pub(super) struct RunShared {
    pub(super) connections: Connections,
    pub(super) mode: ExecutionMode,
    pub(super) shutdown: Shutdown,
    /// Of the operators that commit in transactions.
    pub(super) rounds: HashMap<Arc<str>, Arc<Round>>,
    failure: Mutex<Option<ExecutionError>>,
}

impl RunShared {
    /// Notes a failure; the first one is the run's. Everything else in the process drains then.
    pub(super) fn fail(&self, error: ExecutionError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            None => {
                tracing::error!("{error}");
                *failure = Some(error);
            }
            // What follows from the first failure: whoever looks for the cause finds it at its own level.
            Some(_) => tracing::info!("then {error}"),
        }
        drop(failure);
        self.shutdown.advance(Phase::Draining);
    }

    fn has_failed(&self) -> bool {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    fn take_failure(&self) -> Option<ExecutionError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs a plan to its end.
pub(crate) async fn run(
    plan: Plan,
    mode: ExecutionMode,
    times: Times,
    shutdown: Shutdown,
) -> Result<ExitStatus, ExecutionError> {
    if mode == ExecutionMode::Skip {
        return Ok(ExitStatus::Done);
    }
    let pipeline = Arc::clone(&plan.pipeline);
    if !plan.foreign.is_empty() {
        tracing::info!(%pipeline, foreign = plan.foreign.join(", "), "these operators are somebody else's: only the others run here");
    }
    let fatal = |cause: String| ExecutionError {
        at: pipeline.to_string(),
        status: ExitStatus::Fatal,
        cause,
    };
    let connections = Connections::new(&plan.channels).map_err(|error| fatal(error.to_string()))?;
    let shared = Arc::new(RunShared {
        connections,
        mode,
        shutdown: shutdown.clone(),
        rounds: rounds_of(&plan),
        failure: Mutex::new(None),
    });
    // Both end with the run: a watcher left behind would end the process of whoever goes on after a failed run.
    let mut watching = JoinSet::new();
    watching.spawn_on(signals::listen(shutdown.clone()), shared.connections.runtime());
    watching.spawn_on(
        watch(Arc::clone(&shared), times.drain),
        shared.connections.runtime(),
    );

    let mut rounds = JoinSet::new();
    for round in shared.rounds.values() {
        rounds.spawn_on(
            Arc::clone(round).drive(Arc::clone(&shared)),
            shared.connections.runtime(),
        );
    }
    let (mut running, mut interrupted) = (JoinSet::new(), false);
    for planned in plan.replicas {
        let replica = Replica::new(planned, Arc::clone(&plan.pipeline), Arc::clone(&shared));
        spawn(&mut running, replica).map_err(fatal)?;
    }
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ended::Done) => {}
            Ok(Ended::Interrupted) => interrupted = true,
            // It has said why, unless its thread died of it.
            Ok(Ended::Failed) if shared.has_failed() => {}
            Ok(Ended::Failed) => shared.fail(fatal("a replica ended without a word".to_owned())),
            Err(error) => shared.fail(fatal(format!("a replica ended without a word: {error}"))),
        }
    }
    for round in shared.rounds.values() {
        round.all_gone();
    }
    while rounds.join_next().await.is_some() {}
    shared.connections.close().await;
    watching.shutdown().await;
    match shared.take_failure() {
        Some(failure) => Err(failure),
        None if interrupted => Ok(ExitStatus::Drained),
        None => Ok(ExitStatus::Done),
    }
}

fn rounds_of(plan: &Plan) -> HashMap<Arc<str>, Arc<Round>> {
    let scopes = plan.transactions().into_iter();
    scopes
        .map(|(operator, scope)| (operator, Arc::new(Round::new(scope))))
        .collect()
}

/// Starts a replica where its code may run.
fn spawn(running: &mut JoinSet<Ended>, replica: Replica) -> Result<(), String> {
    match replica.threading() {
        Threading::Shared => drop(running.spawn(replica.run())),
        Threading::Dedicated => {
            let runtime = tokio::runtime::Handle::current();
            let (done, ended) = tokio::sync::oneshot::channel();
            std::thread::Builder::new()
                .name(replica.full_name().chars().take(15).collect())
                .spawn(move || done.send(runtime.block_on(replica.run())).is_ok())
                .map_err(|error| format!("no thread for a dedicated operator: {error}"))?;
            running.spawn(async move { ended.await.unwrap_or(Ended::Failed) });
        }
    }
    Ok(())
}

/// The two phases of an early end: whoever has not drained in time is stopped, and whoever cannot be stopped, because it
/// blocks its thread, goes with the process.
async fn watch(shared: Arc<RunShared>, drain: Duration) {
    let mut shutdown = shared.shutdown.clone();
    shutdown.reached(Phase::Draining).await;
    tokio::time::sleep(drain).await;
    tracing::warn!("not drained within {} s: stopping", drain.as_secs());
    shutdown.advance(Phase::Stopping);
    tokio::time::sleep(ABORT_GRACE).await;
    tracing::error!("an operator still blocks its thread: the process ends without it");
    let status = shared
        .take_failure()
        .map_or(ExitStatus::Drained, |failure| failure.status);
    std::process::exit(i32::from(status.code()));
}
