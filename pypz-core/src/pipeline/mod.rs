//! Pipelines: operators, connected and replicated.

mod builder;
mod describe;
mod graph;
mod handle;
mod plan;
mod problem;
mod selection;
mod validate;

pub use builder::{Pipeline, RunReport};
pub use handle::{Connection, InputHandle, IntoParameter, OperatorDraft, OutputHandle};
pub(crate) use plan::{Plan, PlannedInput, PlannedOutput, PlannedPlugin, PlannedReplica};
pub use problem::{PipelineError, Problem};
pub use selection::{Selection, SelectionError};
