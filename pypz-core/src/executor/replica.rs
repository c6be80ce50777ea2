//! One replica, through its states.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Error;
use futures::FutureExt;

use super::commit::CommitTracker;
use super::run::RunShared;
use super::services::start_order;
use super::{Outcome, Phase, State, next};
use crate::Result;
use crate::channel::partitioning::Partitioner;
use crate::error::{ChannelError, ExecutionError, ExitStatus};
use crate::operator::{Commit, Context, ErasedOperator, Progress, Threading};
use crate::pipeline::{PlannedInput, PlannedOutput, PlannedReplica};
use crate::plugin::Plugin;
use crate::port::{Closing, InputLink, OutputLink};
use crate::protocol::MemberId;

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
    tracker: CommitTracker,
    services: Vec<&'static str>,
    extended: Vec<&'static str>,
    failure: Option<Arc<str>>,
    interrupted: bool,
    /// `on_init` has returned.
    initialized: bool,
    /// An earlier incarnation has done all of the run's work: nothing is left but to say so.
    was_finished: bool,
}

impl Replica {
    pub(super) fn new(planned: PlannedReplica, pipeline: Arc<str>, shared: Arc<RunShared>) -> Self {
        let (operator, shutdown) = (Arc::clone(&planned.operator), shared.shutdown.clone());
        Self {
            cx: Context::new(pipeline, operator, planned.index, planned.replicas, shutdown),
            operator: (planned.factory)(),
            tracker: CommitTracker::new(Vec::new(), Vec::new()),
            services: Vec::new(),
            extended: Vec::new(),
            failure: None,
            interrupted: false,
            initialized: false,
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

    /// Notes what went wrong in a state. A source that was told to drain has not failed.
    async fn fail(&mut self, state: State, error: &Error) -> Outcome {
        if error
            .chain()
            .any(|cause| matches!(cause.downcast_ref(), Some(ChannelError::Draining { .. })))
        {
            return Outcome::Interrupted;
        }
        let step = match state {
            State::Entry => ExitStatus::Configuration,
            State::ServiceStart => ExitStatus::ServiceStart,
            State::ResourceCreation => ExitStatus::ResourceCreation,
            State::OperationInit => ExitStatus::Init,
            State::OperationRunning => ExitStatus::Running,
            State::OperationShutdown => ExitStatus::Shutdown,
            State::ResourceDeletion => ExitStatus::ResourceDeletion,
            State::ServiceShutdown => ExitStatus::ServiceShutdown,
            State::Killed => ExitStatus::Fatal,
        };
        let failure = ExecutionError::new(self.full_name(), step, error);
        self.failure.get_or_insert_with(|| failure.cause.as_str().into());
        self.shared.fail(failure);
        let heard = self.operator.on_error(&self.cx, error);
        if AssertUnwindSafe(heard).catch_unwind().await.is_err() {
            tracing::error!(operator = self.full_name(), "on_error panicked");
        }
        if state == State::OperationShutdown {
            self.close_ports(&self.closing()).await;
        }
        Outcome::Failed
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

    async fn start_services(&mut self) -> Result<Outcome> {
        for name in start_order(&self.planned.plugins) {
            if let Some(service) = plugin(&mut self.operator, name).and_then(Plugin::as_service) {
                service
                    .start()
                    .await
                    .map_err(|error| error.context(format!("service {name}")))?;
                self.services.push(name);
            }
        }
        Ok(Outcome::Done)
    }

    async fn shut_down_services(&mut self) -> Result<Outcome> {
        while let Some(name) = self.services.pop() {
            if let Some(service) = plugin(&mut self.operator, name).and_then(Plugin::as_service) {
                service
                    .shut_down()
                    .await
                    .map_err(|error| error.context(format!("service {name}")))?;
            }
        }
        Ok(Outcome::Done)
    }

    const fn is_principal(&self) -> bool {
        self.planned.index == 0
    }

    async fn create_resources(&mut self) -> Result<Outcome> {
        if !self.is_principal() {
            return Ok(Outcome::Done);
        }
        for input in &self.planned.inputs {
            let connection = self.shared.connections.connection(&input.channel).await?;
            connection.reader(&input.channel, 0)?.create_resources().await?;
        }
        for name in start_order(&self.planned.plugins) {
            if let Some(handler) = plugin(&mut self.operator, name).and_then(Plugin::as_resource_handler) {
                handler
                    .create()
                    .await
                    .map_err(|error| error.context(format!("resource handler {name}")))?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn delete_resources(&mut self) -> Result<Outcome> {
        if !self.is_principal() {
            return Ok(Outcome::Done);
        }
        for name in start_order(&self.planned.plugins).into_iter().rev() {
            if let Some(handler) = plugin(&mut self.operator, name).and_then(Plugin::as_resource_handler) {
                handler
                    .delete()
                    .await
                    .map_err(|error| error.context(format!("resource handler {name}")))?;
            }
        }
        for input in &self.planned.inputs {
            self.shared.connections.end_session(&input.channel);
            let connection = self.shared.connections.connection(&input.channel).await?;
            match connection.reader(&input.channel, 0)?.delete_resources().await {
                Err(kept @ ChannelError::Unread { .. }) if input.ends_cycle => tracing::info!("{kept}"),
                deleted => deleted?,
            }
        }
        Ok(Outcome::Done)
    }

    /// Opens the ports and calls `on_init`; a signal breaks it off.
    async fn init(&mut self) -> Result<Outcome> {
        let mut shutdown = self.shared.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.reached(Phase::Draining) => return Ok(Outcome::Interrupted),
            opened = self.open_ports() => opened?,
        }
        if self.ports_were_finished() {
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

    /// Outputs finish after the inputs they are made from are committed, so where there are outputs, they decide.
    fn ports_were_finished(&mut self) -> bool {
        let outputs = self.operator.output_ports();
        if !outputs.is_empty() {
            return outputs.iter().all(|(_, port)| port.was_finished());
        }
        drop(outputs);
        let inputs = self.operator.input_ports();
        !inputs.is_empty() && inputs.iter().all(|(_, port)| port.was_finished())
    }

    async fn open_ports(&mut self) -> Result<(), ChannelError> {
        let shared = Arc::clone(&self.shared);
        let mut committers = Vec::new();
        for (name, port) in self.operator.input_ports() {
            if let Some(input) = self.planned.inputs.iter().find(|input| input.port == name) {
                port.open(input_link(&shared, input).await?).await?;
                committers.extend(port.committer());
            }
        }
        let source = self.planned.inputs.is_empty();
        let mut progress = Vec::new();
        for (name, port) in self.operator.output_ports() {
            let mut links = Vec::new();
            for output in self.planned.outputs.iter().filter(|output| output.port == name) {
                links.push(output_link(&shared, output, source).await?);
            }
            port.open(links).await?;
            progress.extend(port.progress());
        }
        self.tracker = CommitTracker::new(committers, progress);
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
            let commits = self.cx.take_commit();
            if commits || !manual {
                let positions = self.positions();
                self.tracker.checkpoint(positions);
            }
            self.tracker.settle()?;
            let ended = match progress {
                Progress::Done => true,
                Progress::Again => false,
                Progress::UntilInputsEnd => self.inputs_ended(),
            };
            let drains = self.shared.shutdown.phase() != Phase::Running;
            match (ended, drains) {
                // What ends while the pipeline drains may have ended for that reason: it is not the true end.
                (true, false) => return Ok(Outcome::Done),
                (_, true) if ended || !self.reads_on() => return Ok(Outcome::Interrupted),
                _ => tokio::task::consume_budget().await,
            }
        }
    }

    /// One call of `on_running`; `None` if the run was stopped in the middle of it.
    async fn call_running(&mut self) -> Result<Option<Progress>> {
        let mut shutdown = self.shared.shutdown.clone();
        let mut call = std::pin::pin!(self.operator.on_running(&self.cx));
        loop {
            tokio::select! {
                biased;
                progress = &mut call => return progress.map(Some),
                () = self.tracker.changed(), if self.tracker.is_waiting() => self.tracker.settle()?,
                () = shutdown.reached(Phase::Stopping) => return Ok(None),
            }
        }
    }

    fn positions(&mut self) -> Vec<u64> {
        self.operator
            .input_ports()
            .iter()
            .map(|(_, port)| port.position())
            .collect()
    }

    fn inputs_ended(&mut self) -> bool {
        self.operator
            .input_ports()
            .iter()
            .all(|(_, port)| port.is_ended() || port.ends_cycle())
    }

    /// Whether a drain reads on to the end, because what is not read is lost: all inputs live in memory.
    fn reads_on(&self) -> bool {
        !self.planned.inputs.is_empty()
            && self
                .planned
                .inputs
                .iter()
                .all(|input| is_volatile(&input.channel))
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
        while let Some(name) = self.extended.pop() {
            if let Some(extended) = plugin(&mut self.operator, name).and_then(Plugin::as_extended) {
                extended
                    .after_execution()
                    .await
                    .map_err(|error| error.context(format!("plugin {name}")))?;
            }
        }
        match closing {
            Closing::Finished => {
                self.flush_outputs().await?;
                let positions = self.positions();
                self.tracker.checkpoint(positions);
                self.tracker.settle()?;
                self.tracker.flush().await?;
            }
            Closing::Left => {
                self.flush_outputs().await?;
                if self.cx.take_commit() {
                    let positions = self.positions();
                    self.tracker.checkpoint(positions);
                }
                self.tracker.settle()?;
                self.tracker.flush().await?;
            }
            Closing::Failed(_) => {
                let acknowledged = async {
                    self.flush_outputs().await?;
                    self.tracker.settle()?;
                    self.tracker.flush().await
                };
                if !matches!(
                    tokio::time::timeout(FLUSH_AFTER_FAILURE, acknowledged).await,
                    Ok(Ok(()))
                ) {
                    tracing::warn!(
                        operator = self.full_name(),
                        "not everything that was sent is acknowledged"
                    );
                }
            }
        }
        match self.close_ports(&closing).await {
            Some(error) => Err(error.into()),
            None => Ok(match closing {
                Closing::Finished => Outcome::Done,
                Closing::Left => Outcome::Interrupted,
                Closing::Failed(_) => Outcome::Failed,
            }),
        }
    }

    async fn flush_outputs(&mut self) -> Result<(), ChannelError> {
        for (_, port) in self.operator.output_ports() {
            port.flush().await?;
        }
        Ok(())
    }

    /// Closes outputs, then inputs; the first error is returned, and what is closed after it is told of it.
    async fn close_ports(&mut self, closing: &Closing) -> Option<ChannelError> {
        let mut failed: Option<ChannelError> = None;
        for (_, port) in self.operator.output_ports() {
            if let Err(error) = port.close(closing).await {
                failed.get_or_insert(error);
            }
        }
        for (_, port) in self.operator.input_ports() {
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
}

fn plugin<'a>(operator: &'a mut Box<dyn ErasedOperator>, name: &str) -> Option<&'a mut dyn Plugin> {
    operator
        .plugins()
        .into_iter()
        .find(|(of, _)| *of == name)
        .map(|(_, plugin)| plugin)
}

fn is_volatile(channel: &crate::channel::ChannelSpec) -> bool {
    crate::channel::transport_for(&channel.location).is_ok_and(|transport| transport.is_volatile())
}

async fn input_link(shared: &RunShared, input: &PlannedInput) -> Result<InputLink, ChannelError> {
    let session = shared.connections.session(&input.channel).await?;
    let connection = shared.connections.connection(&input.channel).await?;
    Ok(InputLink {
        session,
        reader: connection.reader(&input.channel, input.member.index)?,
        member: input.member,
        run_policy: input.channel.run_policy,
        ends_cycle: input.ends_cycle,
        volatile: is_volatile(&input.channel),
        shutdown: shared.shutdown.clone(),
    })
}

async fn output_link(
    shared: &RunShared,
    output: &PlannedOutput,
    source: bool,
) -> Result<OutputLink, ChannelError> {
    let session = shared.connections.session(&output.channel).await?;
    let connection = shared.connections.connection(&output.channel).await?;
    let MemberId { index, .. } = output.member;
    Ok(OutputLink {
        session,
        writer: connection.writer(&output.channel, index)?,
        member: output.member,
        partitioner: Partitioner::new(output.partitioning, output.channel.partitions(), output.start),
        source,
        volatile: is_volatile(&output.channel),
        shutdown: shared.shutdown.clone(),
    })
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
