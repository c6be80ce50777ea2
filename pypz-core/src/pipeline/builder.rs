//! The builder.

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::graph::{ConnectionNode, Graph, OperatorNode, Runner};
use super::handle::{Connection, InputHandle, IntoParameter, OperatorDraft, OutputHandle, SharedGraph, lock};
use super::notes::OperatorNotes;
use super::plan::Plan;
use super::problem::{PipelineError, Problem};
use super::selection::Selection;
use super::{describe, validate};
use crate::channel::Guarantee;
use crate::channel::partitioning::Partitioning;
use crate::error::{ExecutionError, ExitStatus};
use crate::executor::{self, ExecutionMode, Shutdown, Times};
use crate::operator::{Operator, OperatorSpec};
use crate::protocol::RunPolicy;

/// A pipeline: operators, connected and replicated.
///
/// See the first page of the README for a whole one. Building never fails; everything that is wrong is reported at once
/// by [`Pipeline::validate`], which every run does first.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) graph: SharedGraph,
    mode: ExecutionMode,
    times: Times,
    run_policy: RunPolicy,
    guarantee: Guarantee,
    shutdown: Shutdown,
}

/// How a run ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// [`ExitStatus::Done`] or [`ExitStatus::Drained`].
    pub status: ExitStatus,
}

impl Pipeline {
    /// An empty pipeline.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let graph = Graph {
            name: name.to_owned(),
            operators: Vec::new(),
            connections: Vec::new(),
            assignments: std::collections::BTreeMap::new(),
            problems: Vec::new(),
            file: None,
        };
        Self::of(graph)
    }

    pub(super) fn of(graph: Graph) -> Self {
        Self {
            graph: Arc::new(Mutex::new(graph)),
            mode: ExecutionMode::default(),
            times: Times::default(),
            run_policy: RunPolicy::default(),
            guarantee: Guarantee::default(),
            shutdown: Shutdown::default(),
        }
    }

    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> String {
        lock(&self.graph).name.clone()
    }

    /// Adds an operator and returns its handle: ports, parameter setters, `replicas`.
    #[allow(
        clippy::must_use_candidate,
        reason = "an operator without ports is added for its own sake"
    )]
    pub fn operator<T: Operator>(&mut self, name: &str) -> T::Handle {
        let mut graph = lock(&self.graph);
        let operator = graph.operators.len();
        graph.operators.push(OperatorNode {
            name: name.to_owned(),
            replicas: 1,
            description: T::describe(),
            runner: Runner::Ours(|| Box::new(T::default())),
            notes: OperatorNotes::default(),
        });
        drop(graph);
        <T as OperatorSpec>::handle(OperatorDraft::new(Arc::clone(&self.graph), operator))
    }

    /// Says that somebody else runs an operator, perhaps plain pypz-python: its ports and replicas are there, and ours wait for
    /// them as for any peer in another process, but it is never run here. In a pipeline file that is so for every operator
    /// without a Rust type.
    pub fn foreign(&mut self, operator: &str) -> &mut Self {
        let mut graph = lock(&self.graph);
        match graph.operators.iter_mut().find(|node| node.name == operator) {
            Some(node) => node.runner = Runner::Foreign,
            None => {
                let what = format!("foreign: '{}' is not an operator of it", operator.escape_debug());
                let at = graph.name.clone();
                graph.problems.push(Problem::new(at, what));
            }
        }
        drop(graph);
        self
    }

    /// Connects an output port to an input port of the same records and codec. The connection says how records find
    /// their replica: round robin unless told otherwise.
    #[allow(clippy::needless_pass_by_value, reason = "handles are made for this call")]
    pub fn connect<T, C>(&mut self, from: OutputHandle<T, C>, to: InputHandle<T, C>) -> Connection {
        let ours = |graph: &SharedGraph| Arc::ptr_eq(graph, &self.graph);
        let foreign = !ours(&from.0.graph) || !ours(&to.0.graph);
        let mut graph = lock(&self.graph);
        if foreign {
            let what = format!(
                "a connection of {} to {} uses ports of another pipeline",
                from.0.port.port, to.0.port.port
            );
            let at = graph.name.clone();
            graph.problems.push(Problem::new(at, what));
        }
        let index = graph.connections.len();
        graph.connections.push(ConnectionNode {
            from: from.0.port,
            to: to.0.port,
            partitioning: Partitioning::default(),
            ends_cycle: false,
        });
        Connection {
            graph: Arc::clone(&self.graph),
            index,
        }
    }

    /// Sets a parameter by name: `writer.recordCount`, `writer.output.channelLocation`, or with a cascading prefix,
    /// `>>channelLocation` for all ports of the pipeline (see [`crate::parameter::cascade`]).
    pub fn set_parameter(&mut self, name: &str, value: impl IntoParameter) -> &mut Self {
        lock(&self.graph).assign(name, value.into_parameter());
        self
    }

    /// Sets what the run does with resources.
    pub fn mode(&mut self, mode: ExecutionMode) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Sets how long a peer or broker may be silent or absent; default 60 s.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        self.times.patience = patience;
        self
    }

    /// Sets how long a drain may take after a signal; default 25 s.
    pub fn drain_timeout(&mut self, drain_timeout: Duration) -> &mut Self {
        self.times.drain = drain_timeout;
        self
    }

    /// Gives an unfinished run of this pipeline up: what it left unread is marked as read, with a warning that counts it.
    pub fn fresh(&mut self) -> &mut Self {
        self.run_policy = RunPolicy::Fresh;
        self
    }

    /// Has every record count once, from input to output: operators with outputs consume, produce and commit in one
    /// transaction, every 100 ms. Needs transactions at every location (Kafka), and sources that say where they are
    /// ([`crate::Context::advance`]). What user code does beside its ports is not part of a transaction, and an operator
    /// that is in one begins anew when it comes to nothing.
    pub fn exactly_once(&mut self) -> &mut Self {
        self.guarantee = Guarantee::ExactlyOnce;
        self
    }

    /// By which a run can be asked to drain or to stop, from another task.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Checks everything that can be checked without a broker.
    ///
    /// # Errors
    ///
    /// [`PipelineError`] lists all problems, each with its full name and the mend.
    pub fn validate(&self) -> Result<(), PipelineError> {
        self.plan(None).map(drop)
    }

    /// The pipeline in words, a line an operator, port, parameter and connection. Secrets do not show.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::text(&lock(&self.graph))
    }

    /// The pipeline as a Mermaid graph.
    #[must_use]
    pub fn describe_mermaid(&self) -> String {
        describe::mermaid(&lock(&self.graph))
    }

    /// Runs the pipeline, says on stderr what went wrong, and returns the exit code of the process.
    ///
    /// SIGTERM and SIGINT drain; a second one ends the process at once.
    pub async fn run(&mut self) -> ExitCode {
        report(self.execute().await)
    }

    /// Runs a part of the pipeline: operators (`"clean"`) or single replicas (`"clean@2"`). The other parts run in other
    /// processes; they find each other through the broker, in any start order.
    pub async fn run_only<'a>(&mut self, parts: impl IntoIterator<Item = &'a str>) -> ExitCode {
        let parts: Vec<&str> = parts.into_iter().collect();
        report(self.execute_only(parts).await)
    }

    /// Runs the pipeline.
    ///
    /// # Errors
    ///
    /// [`ExecutionError`] with the exit code and the cause.
    pub async fn execute(&mut self) -> Result<RunReport, ExecutionError> {
        let plan = self.plan(None).map_err(|error| self.configuration(&error))?;
        self.start(plan).await
    }

    /// Runs a part of the pipeline, as [`Pipeline::run_only`] does.
    ///
    /// # Errors
    ///
    /// [`ExecutionError`] with the exit code and the cause.
    pub async fn execute_only<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> Result<RunReport, ExecutionError> {
        let parts: Result<Vec<Selection>, _> = parts.into_iter().map(str::parse).collect();
        let parts = parts.map_err(|error| self.configuration(&error))?;
        let plan = self
            .plan(Some(&parts))
            .map_err(|error| self.configuration(&error))?;
        self.start(plan).await
    }

    async fn start(&self, plan: Plan) -> Result<RunReport, ExecutionError> {
        if plan.replicas.is_empty() && !plan.foreign.is_empty() {
            let names = plan.foreign.join(", ");
            let cause = format!("nothing of it is ours to run: no Rust type is registered for {names}");
            return Err(ExecutionError {
                at: self.name(),
                status: ExitStatus::Configuration,
                cause,
            });
        }
        let status = executor::run(plan, self.mode, self.times, self.shutdown.clone()).await?;
        Ok(RunReport { status })
    }

    fn configuration(&self, error: &dyn std::error::Error) -> ExecutionError {
        ExecutionError {
            at: self.name(),
            status: ExitStatus::Configuration,
            cause: error.to_string(),
        }
    }

    pub(super) fn plan(&self, parts: Option<&[Selection]>) -> Result<Plan, PipelineError> {
        let graph = lock(&self.graph);
        let (resolved, mut problems) = validate::resolve(&graph);
        let plan = Plan::new(
            &graph,
            &resolved,
            parts,
            self.times,
            self.run_policy,
            self.guarantee,
            &mut problems,
        );
        graph.place(&mut problems);
        problems.sort();
        problems.dedup();
        match problems.is_empty() {
            true => Ok(plan),
            false => Err(PipelineError {
                pipeline: graph.name.escape_debug().to_string(),
                problems,
            }),
        }
    }
}

/// Says on stderr why a run failed: whoever set up no logging must still see it. Where nothing can be written, as on a full disk,
/// the exit code says what it can.
fn report(ended: Result<RunReport, ExecutionError>) -> ExitCode {
    match ended {
        Ok(report) => report.status.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            error.status.into()
        }
    }
}
