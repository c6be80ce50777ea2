//! One replica, through its states.

mod failure;
mod plugins;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use plugins::plugin;

use super::last_words;
use super::ports;
use super::round::RoundMember;
use super::run::RunShared;
use super::services::start_order;
use super::settlement::{Progressed, Settlement};
use super::{Outcome, Phase, State, next};
use crate::Result;
use crate::error::ChannelError;
use crate::fail_point;
use crate::operator::{Commit, Context, ErasedOperator, Progress, Threading};
use crate::pipeline::PlannedReplica;
use crate::plugin::Plugin;
use crate::port::Closing;

/// How long a replica that failed tries to have acknowledged what it had sent.
const FLUSH_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How a replica ended; a failure has been noted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    Interrupted,
    Failed,
}

pub(super) struct Replica {
    planned: PlannedReplica,
    shared: Arc<RunShared>,
    cx: Context,
    operator: Box<dyn ErasedOperator>,
    /// Its part in the transactions of its operator.
    round: Option<RoundMember>,
    settlement: Settlement,
    services: Vec<&'static str>,
    extended: Vec<&'static str>,
    failure: Option<Arc<str>>,
    interrupted: bool,
    /// `on_init` has returned.
    initialized: bool,
    /// It has begun again after a transaction that came to nothing.
    rewound: bool,
    /// An earlier incarnation has done all of the run's work: nothing is left but to say so.
    was_finished: bool,
}

impl Replica {
    pub(super) fn new(planned: PlannedReplica, pipeline: Arc<str>, shared: Arc<RunShared>) -> Self {
        let (operator, shutdown) = (Arc::clone(&planned.operator), shared.shutdown.clone());
        let round = shared.rounds.get(&planned.operator);
        Self {
            cx: Context::new(pipeline, operator, planned.index, planned.replicas, shutdown),
            operator: (planned.factory)(),
            round: round.map(|round| RoundMember::new(Arc::clone(round), planned.index)),
            settlement: Settlement::none(),
            services: Vec::new(),
            extended: Vec::new(),
            failure: None,
            interrupted: false,
            initialized: false,
            rewound: false,
            was_finished: false,
            planned,
            shared,
        }
    }

    pub(super) fn threading(&self) -> Threading {
        self.operator.threading()
    }

    pub(super) fn full_name(&self) -> &str {
        &self.planned.full_name
    }

    /// Passes through all states.
    pub(super) async fn run(mut self) -> Ended {
        let mut state = State::Entry;
        while state != State::Killed {
            let outcome = match caught(self.pass(state)).await {
                Ok(outcome) => outcome,
                Err(error) => self.fail(state, &error).await,
            };
            self.interrupted |= outcome == Outcome::Interrupted;
            state = next(state, outcome, self.shared.mode);
            if let (Some(round), State::ResourceDeletion | State::ServiceShutdown) = (&self.round, state) {
                round.gone();
            }
            tracing::debug!(operator = self.full_name(), "{outcome:?}, now {state:?}");
        }
        match (&self.failure, self.interrupted) {
            (Some(_), _) => Ended::Failed,
            (None, true) => Ended::Interrupted,
            (None, false) => Ended::Done,
        }
    }

    async fn pass(&mut self, state: State) -> Result<Outcome> {
        match state {
            State::Entry => self.configure(),
            State::ServiceStart => self.start_services().await,
            State::ResourceCreation => self.create_resources().await,
            State::OperationInit => self.init().await,
            State::OperationRunning => self.running().await,
            State::OperationShutdown => self.shut_down().await,
            State::ResourceDeletion => self.delete_resources().await,
            State::ServiceShutdown => self.shut_down_services().await,
            State::Killed => Ok(Outcome::Done),
        }
    }

    fn configure(&mut self) -> Result<Outcome> {
        for (name, value) in &self.planned.parameters {
            self.operator.set_parameter(name, value)?;
        }
        for plugin in &self.planned.plugins {
            for (name, value) in &plugin.parameters {
                self.operator.set_plugin_parameter(plugin.name, name, value)?;
            }
        }
        Ok(Outcome::Done)
    }

    const fn is_principal(&self) -> bool {
        self.planned.index == 0
    }

    /// Opens the ports and calls `on_init`; a signal breaks it off.
    async fn init(&mut self) -> Result<Outcome> {
        let mut shutdown = self.shared.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.reached(Phase::Draining) => return Ok(Outcome::Interrupted),
            opened = self.open_ports() => opened?,
        }
        if self.was_finished || ports::were_finished(self.operator.as_mut()) {
            tracing::info!(
                operator = self.full_name(),
                "its work in this run was done before: nothing is repeated"
            );
            self.was_finished = true;
            return Ok(Outcome::Done);
        }
        for name in start_order(&self.planned.plugins) {
            if let Some(extended) = plugin(&mut self.operator, name).and_then(Plugin::as_extended) {
                extended
                    .before_execution()
                    .await
                    .map_err(|error| error.context(format!("plugin {name}")))?;
                self.extended.push(name);
            }
        }
        self.operator.on_init(&self.cx).await?;
        self.initialized = true;
        Ok(Outcome::Done)
    }

    async fn open_ports(&mut self) -> Result<(), ChannelError> {
        let opened = ports::open(
            self.operator.as_mut(),
            &self.planned,
            &self.shared,
            self.round.clone(),
        )
        .await?;
        fail_point::pass("ports.opened");
        self.settlement = opened.settlement;
        self.was_finished = opened.done;
        self.cx.goes_on(opened.position);
        Ok(())
    }

    /// Calls `on_running` until the operator is done, committing beside it.
    async fn running(&mut self) -> Result<Outcome> {
        if self.was_finished {
            return Ok(Outcome::Done);
        }
        let manual = self.operator.commit() == Commit::Manual;
        loop {
            let Some(progress) = self.call_running().await? else {
                return Ok(Outcome::Interrupted);
            };
            fail_point::pass("running.returned");
            let commits = self.cx.take_commit();
            if commits || !manual {
                let progressed = self.progressed();
                self.settlement.note(progressed).await?;
            }
            let ended = match progress {
                Progress::Done => true,
                Progress::Again => false,
                Progress::UntilInputsEnd => ports::inputs_ended(self.operator.as_mut()),
            };
            let drains = self.shared.shutdown.phase() != Phase::Running;
            match (ended, drains) {
                // What ends while the pipeline drains may have ended for that reason: it is not the true end.
                (true, false) => return Ok(Outcome::Done),
                (_, true) if ended || !ports::reads_on(&self.planned) => return Ok(Outcome::Interrupted),
                _ => tokio::task::consume_budget().await,
            }
        }
    }

    /// One call of `on_running`; `None` if the run was stopped in the middle of it.
    async fn call_running(&mut self) -> Result<Option<Progress>> {
        let mut shutdown = self.shared.shutdown.clone();
        tokio::select! {
            biased;
            progress = self.operator.on_running(&self.cx) => progress.map(Some),
            error = self.settlement.go_on() => Err(error.into()),
            () = shutdown.reached(Phase::Stopping) => Ok(None),
        }
    }

    fn progressed(&mut self) -> Progressed {
        Progressed {
            positions: ports::positions(self.operator.as_mut()),
            source: self.cx.take_advanced(),
        }
    }

    fn closing(&self) -> Closing {
        match (&self.failure, self.interrupted) {
            (Some(cause), _) => Closing::Failed(Arc::clone(cause)),
            (None, true) => Closing::Left,
            (None, false) => Closing::Finished,
        }
    }

    /// Calls the last hook, has everything acknowledged and committed, and closes the ports.
    async fn shut_down(&mut self) -> Result<Outcome> {
        let closing = self.closing();
        match closing {
            Closing::Finished if self.was_finished => {}
            Closing::Finished => self.operator.on_shutdown(&self.cx).await?,
            Closing::Left if self.initialized => self.operator.on_interrupt(&self.cx).await?,
            Closing::Left | Closing::Failed(_) => {}
        }
        self.leave_plugins().await?;
        match &closing {
            Closing::Finished => self.settle(true).await?,
            Closing::Left => {
                let commits = self.cx.take_commit();
                self.settle(commits).await?;
            }
            Closing::Failed(_) => {
                let settled = tokio::time::timeout(FLUSH_AFTER_FAILURE, self.settle(false)).await;
                if !matches!(settled, Ok(Ok(()))) {
                    tracing::warn!(
                        operator = self.full_name(),
                        "not everything that was sent is acknowledged"
                    );
                }
            }
        }
        if let Some(round) = &self.round {
            // All of it is committed or given up: while the ports wait for peers, nobody in the round waits for this one.
            round.gone();
        }
        if closing == Closing::Finished && !self.was_finished {
            last_words::settle(&self.planned, &self.shared).await?;
        }
        fail_point::pass("ports.close");
        let closed = ports::close(self.operator.as_mut(), &closing).await;
        fail_point::pass("ports.closed");
        match closed {
            Some(error) => Err(error.into()),
            None => Ok(match closing {
                Closing::Finished => Outcome::Done,
                Closing::Left => Outcome::Interrupted,
                Closing::Failed(_) => Outcome::Failed,
            }),
        }
    }

    /// Has everything acknowledged and committed, up to now or to what was noted last.
    async fn settle(&mut self, up_to_now: bool) -> Result<(), ChannelError> {
        fail_point::pass("settle");
        if self.settlement.needs_flush() {
            ports::flush(self.operator.as_mut()).await?;
        }
        if up_to_now {
            let progressed = self.progressed();
            self.settlement.note(progressed).await?;
        }
        self.settlement.finish().await?;
        fail_point::pass("settled");
        Ok(())
    }

    /// The transaction came to nothing: a new operator begins again from what is committed. Whatever the old one has kept
    /// in memory was made from records that will come again.
    async fn begin_again(&mut self, aborted: &str) -> Result<Outcome> {
        ports::close(self.operator.as_mut(), &Closing::Left).await;
        if let Some(round) = &self.round {
            round.away();
        }
        (self.initialized, self.was_finished) = (false, false);
        self.settlement = Settlement::none();
        self.leave_plugins().await?;
        self.shut_down_services().await?;
        if self.shared.shutdown.phase() != Phase::Running {
            return Ok(Outcome::Interrupted);
        }
        tracing::info!(operator = self.full_name(), "begins again: {aborted}");
        self.operator = (self.planned.factory)();
        self.rewound = true;
        self.configure()?;
        self.start_services().await?;
        Ok(Outcome::Rewound)
    }
}

/// A panic of user code is an error like any other: peers hear of it, and the process ends with a code.
async fn caught<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
            let words = words
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(anyhow::anyhow!("panicked: {words}"))
        })
}
