//! Pipelines: operators, connected and replicated.

mod builder;
mod describe;
#[cfg(feature = "files")]
mod file;
mod graph;
mod handle;
#[cfg_attr(
    not(feature = "files"),
    allow(dead_code, reason = "only files say these things")
)]
mod notes;
mod plan;
mod plan_checks;
mod plan_replicas;
mod port_parameters;
mod problem;
mod selection;
mod validate;

pub use builder::{Pipeline, RunReport};
pub use handle::{Connection, InputHandle, IntoParameter, OperatorDraft, OutputHandle};
pub(crate) use plan::{Plan, PlannedInput, PlannedOutput, PlannedPlugin, PlannedReplica};
pub use problem::{PipelineError, Place, Problem};
pub use selection::{Selection, SelectionError};
