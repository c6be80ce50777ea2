//! Operators, ports, the channel protocol and the executor of pypz. It knows no broker.
//!
//! Users depend on the crate `pypz`, which re-exports what they need and derives the rest; whoever writes a transport
//! or a codec depends on this one. The modules stand in floors, each using only those under it:
//!
//! ```text
//! executor     runs replicas through their states
//! pipeline     operators, connected and replicated; validation, description
//! operator     what users write                         plugin   what stands beside it
//! port         where user code meets channels
//! channel      readers, writers, transports by scheme; memory
//! protocol     readiness, end, ownership: sans-io
//! codec        values as bytes
//! record · parameter · name · error
//! ```

pub mod channel;
pub mod codec;
pub mod error;
pub mod executor;
#[doc(hidden)]
pub mod fail_point;
pub mod name;
pub mod operator;
pub mod parameter;
pub mod pipeline;
pub mod plugin;
pub mod port;
pub mod protocol;
mod record;

pub use channel::partitioning::Partitioning;
pub use codec::{Avro, Codec, Json, Raw, Text};
pub use error::{ChannelError, ExecutionError, ExitStatus};
pub use executor::ExecutionMode;
pub use operator::{Commit, Context, Operator, OperatorSpec, Progress, Threading};
pub use parameter::Secret;
pub use pipeline::{Pipeline, PipelineError, RunReport};
pub use port::{Batch, InputPort, OutputPort};
pub use record::{Headers, Position, Record, RecordId};

/// The result of user code: any error that implements [`std::error::Error`] can be returned with `?`.
pub type Result<T, E = anyhow::Error> = std::result::Result<T, E>;

/// What the derives refer to. Not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use serde_json::Value;

    pub use crate::operator::{
        InputPorts, OperatorDescription, OperatorRegistration, OperatorSpec, OutputPorts, PluginDescription,
        PluginSpec, Plugins,
    };
    pub use crate::parameter::{ParameterError, ParameterSpec, Parameterized, Requirement, read};
    pub use crate::pipeline::{InputHandle, IntoParameter, OperatorDraft, OutputHandle};
    pub use crate::plugin::Plugin;
    pub use crate::port::PortSpec;

    /// Refuses a parameter that is not declared.
    #[must_use]
    pub fn unknown_parameter(name: &str, known: &[&str]) -> ParameterError {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        ParameterError::Unknown {
            name: name.escape_debug().to_string(),
            known,
        }
    }

    /// A parameter's default as it is described.
    pub fn shown<T: std::fmt::Debug>(value: &T) -> String {
        format!("{value:?}")
    }
}
