//! Channels: what carries records from output ports to one input port.
//!
//! A transport implements [`Transport`], [`Connection`], [`ChannelReader`] and [`ChannelWriter`] and registers itself by
//! scheme ([`TransportRegistration`]). The protocol (readiness, end, failure) is not its business: it only carries
//! records and, where members live in other processes, status ([`StatusLog`]).

mod batch;
mod location;
pub mod memory;
mod metrics;
pub mod partitioning;
mod pem;
mod policy;
mod reader;
mod registry;
mod session;
mod spec;
mod status;
mod transaction;
mod transport;
mod writer;

pub use batch::{Details, EncodedBatch, EncodedRecord, RawRecord, RecordSink, Run, ValueBatch};
pub use location::{ChannelConfig, Location, LocationError};
pub use metrics::{METRICS_ENABLED, metrics_problem};
pub use pem::{Pem, pem_problem};
pub use policy::{DEAD_LETTER_HEADERS, LostOffsetPolicy, PoisonPolicy};
pub use reader::{ChannelReader, Committer, StartAt};
pub use registry::{TransportRegistration, schemes, transport_for};
pub(crate) use session::Leave;
pub use session::{ChannelSession, ControlThread, Joined, Pace, Trouble, View};
pub use spec::{ChannelSpec, Delivery};
pub use status::{StatusEvent, StatusLog};
pub use transaction::{Consumed, Guarantee, Resumed, TransactionScope, Transactor};
pub use transport::{Connection, Transport};
pub use writer::{ChannelWriter, RecordForm, WriteProgress};
