//! The writing end of a channel.

use std::sync::Arc;

use async_trait::async_trait;

use super::{EncodedBatch, Run};
use crate::error::ChannelError;
use crate::protocol::End;

/// The form in which a writer takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// As values, moved.
    Values,
    /// As bytes.
    Encoded,
}

/// The writing end of a channel, for one replica of one output port.
///
/// # Contract
///
/// - `open` waits until the channel's objects exist. The port then waits until all readers are ready; only then does it
///   write.
/// - `write` takes as many runs as it can without waiting; `writable` waits for room and is cancel-safe.
/// - A record counts as acknowledged ([`WriteProgress`]) when the broker holds it, whatever becomes of this process.
#[async_trait]
pub trait ChannelWriter: Send {
    /// Gets ready to write.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the objects do not appear, [`ChannelError::Mismatch`] if they are not what the
    /// channel needs.
    async fn open(&mut self) -> Result<(), ChannelError>;

    /// The form of records that [`ChannelWriter::write`] wants when it is the only destination.
    #[must_use]
    fn form(&self) -> RecordForm {
        RecordForm::Encoded
    }

    /// Takes encoded records `from..`, by the runs that say their partitions. Returns how many it took.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] once a record could not be delivered.
    fn write(&mut self, batch: &Arc<EncodedBatch>, runs: &[Run], from: usize) -> Result<usize, ChannelError>;

    /// Takes values for one partition, a [`ValueBatch`](super::ValueBatch) behind `Any`, or gives them back if there is no room.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`].
    fn write_values(
        &mut self,
        partition: u32,
        values: Box<dyn std::any::Any + Send>,
        records: usize,
    ) -> Result<Option<Box<dyn std::any::Any + Send>>, ChannelError> {
        let _ = (partition, records);
        Ok(Some(values))
    }

    /// Waits until there may be room. May return too early, never too late.
    async fn writable(&mut self);

    /// What was written and acknowledged, from whatever task.
    #[must_use]
    fn progress(&self) -> Arc<dyn WriteProgress>;

    /// Under which name this writer numbers its records, from 0, where readers have no offsets to acknowledge (queues).
    #[must_use]
    fn counter(&self) -> Option<&str> {
        None
    }

    /// Records that wait in this process to be acknowledged; by it the step of round robin grows.
    #[must_use]
    fn waiting(&self) -> usize;

    /// Stops writing, after everything is acknowledged or given up.
    async fn close(&mut self);
}

/// How far the records of one writer are.
#[async_trait]
pub trait WriteProgress: Send + Sync {
    /// How many records were written so far.
    fn written(&self) -> u64;

    /// The greatest `n` such that the first `n` written records are all acknowledged.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] once a record could not be delivered; it says how many are not acknowledged.
    fn acknowledged(&self) -> Result<u64, ChannelError>;

    /// Waits until [`WriteProgress::acknowledged`] may have changed. Cancel-safe.
    async fn changed(&self);

    /// What is acknowledged, by partition.
    fn ends(&self) -> Vec<End>;
}
