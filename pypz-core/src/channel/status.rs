//! The status log of a channel, as a transport carries it.

use async_trait::async_trait;

use crate::error::ChannelError;
use crate::protocol::StatusRecord;

/// The status log of a channel: reports in, reports out, each side's in one order that everybody sees.
#[async_trait]
pub trait StatusLog: Send {
    /// The next thing that happens on the log. Cancel-safe.
    ///
    /// # Errors
    ///
    /// An error ends the channel in this process; a broker that is away is not an error but silence.
    async fn next(&mut self) -> Result<StatusEvent, ChannelError>;

    /// Hands a record over to be published, in order. Does not wait.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] if the client does not take it; the next heartbeat tries again.
    fn publish(&mut self, record: StatusRecord) -> Result<(), ChannelError>;
}

/// What happens on a status log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusEvent {
    /// A record, of anybody (oneself included).
    Record(StatusRecord),
    /// Everything that was in the log when it was opened has been given out. Happens once.
    HistoryRead,
}
