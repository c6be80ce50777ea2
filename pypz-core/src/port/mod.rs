//! Ports: where user code meets channels.

mod acknowledged;
mod batch;
mod count;
mod destination;
mod ending;
mod gate;
mod input;
mod link;
mod output;
mod poison;
mod retrieval;
mod schema;
mod sequential;
mod settings;
mod sink;
mod spec;
mod status_committer;

use std::sync::Arc;

use async_trait::async_trait;

pub use batch::{Batch, IntoBatch};
pub use input::InputPort;
pub use link::{Closing, InputLink, OutputLink};
pub use output::OutputPort;
pub use settings::{PortSettings, SETTINGS};
pub use spec::{Anywhere, Direction, LogPin, Pin, PortDescription, PortSpec};

use crate::channel::{Committer, WriteProgress};
use crate::error::ChannelError;

/// An input port, as the executor drives it. [`InputPort`] implements it; a port of another kind may, too.
///
/// # Contract
///
/// `open` once, then any number of calls of user code, then `close` once. Between `open` and `close`, `position` only
/// grows, and [`ChannelInputPort::is_ended`] once true stays true.
#[async_trait]
pub trait ChannelInputPort: Send {
    /// Connects the port to its channel: joins the run, positions the reader and says so.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; the port stays closed.
    async fn open(&mut self, link: InputLink) -> Result<(), ChannelError>;

    /// The schema as text that the records of a run have which this port opens; `None` if its codec has none.
    fn run_schema(&self) -> Option<String> {
        None
    }

    /// Whether everything that will ever come has been retrieved.
    fn is_ended(&self) -> bool;

    /// Whether an earlier incarnation of the replica has read all that this run holds for it.
    fn was_finished(&self) -> bool;

    /// Whether the operator is done without this port's end, because the user ends a cycle here.
    fn ends_cycle(&self) -> bool;

    /// The offset behind the last record that user code was given.
    fn position(&self) -> u64;

    /// Commits positions of this port.
    fn committer(&self) -> Option<Arc<dyn Committer>>;

    /// How far the dead letters of this port are, if it writes any: positions are committed behind them.
    fn progress(&self) -> Option<Arc<dyn WriteProgress>> {
        None
    }

    /// Waits until every dead letter is acknowledged.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] if one was not.
    async fn flush(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Says how the port went and disconnects. The principal waits for its replicas before it says that all is read.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; the port is closed all the same.
    async fn close(&mut self, closing: &Closing) -> Result<(), ChannelError>;
}

/// An output port, as the executor drives it. [`OutputPort`] implements it; a port of another kind may, too.
///
/// # Contract
///
/// `open` once, then any number of calls of user code, then `close` once. `open` returns when all expected readers are
/// ready; [`ChannelOutputPort::progress`] says what was written and what is acknowledged, by destination.
#[async_trait]
pub trait ChannelOutputPort: Send {
    /// Connects the port to its channels, one link a connected input port, and waits until their readers are ready.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; the port stays closed.
    async fn open(&mut self, links: Vec<OutputLink>) -> Result<(), ChannelError>;

    /// Whether an earlier incarnation of the replica has written all that this run expects of it.
    fn was_finished(&self) -> bool;

    /// How far the records of each destination are.
    fn progress(&self) -> Vec<Arc<dyn WriteProgress>>;

    /// Waits until every record that was sent is acknowledged.
    ///
    /// # Errors
    ///
    /// [`ChannelError`] if one was not.
    async fn flush(&mut self) -> Result<(), ChannelError>;

    /// Says how the port went and disconnects. `flush` comes before, where nothing failed.
    ///
    /// # Errors
    ///
    /// [`ChannelError`]; the port is closed all the same.
    async fn close(&mut self, closing: &Closing) -> Result<(), ChannelError>;
}
