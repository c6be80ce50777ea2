//! A way to carry channels, and what a process shares for those at one location.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{ChannelReader, ChannelSpec, ChannelWriter, StatusLog, TransactionScope, Transactor};
use crate::error::ChannelError;

/// A way to carry channels, chosen by the scheme of `channelLocation`.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The schemes of the locations it serves: `["kafka"]`.
    fn schemes(&self) -> &'static [&'static str];

    /// Whether records are lost when the process goes.
    fn is_volatile(&self) -> bool {
        false
    }

    /// Whether channels are logs: positions are the broker's and the same in the next process, and whoever says that all is
    /// flushed has it in the log. In queues positions count from the opening of a reader on, and a word may overtake records.
    fn is_log(&self) -> bool {
        true
    }

    /// Whether it has transactions ([`Connection::transactor`]).
    fn is_transactional(&self) -> bool {
        false
    }

    /// Whether it keeps dead letters ([`Connection::dead_letters`]).
    fn keeps_dead_letters(&self) -> bool {
        false
    }

    /// Finds what is wrong with a channel's location, configuration and names before anything runs: every problem, each
    /// with the mend.
    fn problems(&self, spec: &ChannelSpec) -> Vec<String>;

    /// Builds what the process shares for all its channels at one location. Called once a location and run.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the broker does not answer within the patience, [`ChannelError::Authentication`] if
    /// it does not let us in.
    async fn connect(
        &self,
        channels: &[Arc<ChannelSpec>],
        patience: Duration,
    ) -> Result<Arc<dyn Connection>, ChannelError>;
}

/// What a process shares for its channels at one location. The number of clients behind it must not grow with the
/// number of replicas.
#[async_trait]
pub trait Connection: Send + Sync + 'static {
    /// Makes a reader of a channel. Nothing happens on the broker yet.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the reader cannot be configured.
    fn reader(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelReader>, ChannelError>;

    /// Makes a writer of a channel. Nothing happens on the broker yet.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the writer cannot be configured.
    fn writer(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelWriter>, ChannelError>;

    /// Makes a writer of a channel's dead letters ([`ChannelSpec::dead_letters`]), for one of its readers. It writes records
    /// as they are, with their headers, to where tools of the broker find them; they are kept when the channel is deleted.
    /// `create_resources` has made the place, if the channel's [`PoisonPolicy`](super::PoisonPolicy) wants it.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the transport has none.
    fn dead_letters(
        &self,
        channel: &Arc<ChannelSpec>,
        index: u32,
    ) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        Err(ChannelError::Configuration {
            port: format!("{}, reader {index}", channel.name()),
            reason: "this transport keeps no dead letters".to_owned(),
        })
    }

    /// Makes the transactions of one operator in this process. Nothing happens on the broker yet.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the transport has none.
    fn transactor(&self, scope: TransactionScope) -> Result<Arc<dyn Transactor>, ChannelError> {
        Err(ChannelError::Configuration {
            port: scope.operator,
            reason: "this transport has no transactions".to_owned(),
        })
    }

    /// Opens the status log of a channel, once it exists. `None` if all members always live in this process.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the log does not appear within the patience.
    async fn status(&self, channel: &Arc<ChannelSpec>) -> Result<Option<Box<dyn StatusLog>>, ChannelError>;

    /// Whether a channel is there, as one look at the broker tells. `false` only if the broker says so.
    ///
    /// # Errors
    ///
    /// Those of the question.
    async fn exists(&self, channel: &Arc<ChannelSpec>) -> Result<bool, ChannelError>;

    /// Gives back what is shared, after the last reader and writer were closed.
    async fn close(&self);
}
