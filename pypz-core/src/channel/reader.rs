//! The reading end of a channel.

use std::sync::Arc;

use async_trait::async_trait;

use super::RecordSink;
use crate::error::ChannelError;
use crate::protocol::Numbers;

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the committed position, else at the first record.
    Committed,
    /// At this offset (broadcast readers, whose position is in the status log).
    Offset(u64),
}

/// The reading end of a channel, for one replica.
///
/// # Contract
///
/// - `create_resources` and `delete_resources` are called on the principal's reader only (index 0), before `open` and
///   after `close`. Creation is idempotent and adopts what is there; it never deletes or changes. Deletion never deletes
///   what holds unread records.
/// - After `open`, records come out of `read` in the order of the partition, from the start position on, each exactly
///   once. A record that the sink refuses is a poison record: its error names partition and offset, and the records
///   before it are given out first.
/// - `read` never waits and never blocks the thread; `readable` waits and is cancel-safe.
/// - A slow reader must not starve another, nor hold more than its share of the channel's buffer.
#[async_trait]
pub trait ChannelReader: Send {
    /// Makes sure that the broker's objects exist, exactly as the channel needs them.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Mismatch`] if one exists with other properties.
    async fn create_resources(&mut self) -> Result<(), ChannelError>;

    /// Deletes the broker's objects.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Unread`] if records in them are unread; nothing is deleted then.
    async fn delete_resources(&mut self) -> Result<(), ChannelError>;

    /// Marks all records that are in the channel now as read, for every reader: an unfinished run was given up, or all is
    /// read and the positions are in the status log. Returns how many were unread.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`].
    async fn skip_to_end(&mut self) -> Result<u64, ChannelError>;

    /// Gets ready to read.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`], or [`ChannelError::Mismatch`] if the start position is gone.
    async fn open(&mut self, start: StartAt) -> Result<(), ChannelError>;

    /// Gives the sink what is at hand, until the sink is full. Returns how many records it took; 0 if none is at hand.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Poison`], or [`ChannelError::Transport`] if no more can be read.
    fn read(&mut self, sink: &mut dyn RecordSink) -> Result<usize, ChannelError>;

    /// Waits until `read` may have something. May return too early, never too late. Whoever waits behind an end that was told is
    /// sent more: the reader reads on.
    async fn readable(&mut self);

    /// The offset behind the last record that was given out.
    #[must_use]
    fn position(&self) -> u64;

    /// An offset up to which `read` gives out all records, asked when no writer writes any more. Whoever has read to it asks
    /// again: if it has not grown, that is the proof that nothing more will come. Whoever is given nothing for a while asks
    /// again, too: the end of a log may have been told too high, where its last offsets hold no records. Cancel-safe.
    ///
    /// A log knows its end at once. A queue that replicas compete for does not know which of them takes what is left: it
    /// waits, while it has nothing to give out, until something came or is proven not to come.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`].
    async fn end(&mut self) -> Result<u64, ChannelError>;

    /// Where the end turned out to be, if [`ChannelReader::end`] told it too high at first and looked on while records were given
    /// out: `readable` returns when it is known.
    #[must_use]
    fn found_end(&self) -> Option<u64> {
        None
    }

    /// Commits positions of this reader, from whatever task. `None` if the broker has no place for it, as with broadcast
    /// readers of one log: then the position goes into the status log.
    #[must_use]
    fn committer(&self) -> Option<Arc<dyn Committer>>;

    /// Which records were given out before a position, by their writers' own numbers, where positions are no offsets that a writer
    /// knows, too (queues). Each is told once.
    ///
    /// # Errors
    ///
    /// How many messages nobody asked about in time: more than that a reader does not keep in mind.
    fn numbers(&mut self, position: u64) -> Result<Vec<Numbers>, usize> {
        let _ = position;
        Ok(Vec::new())
    }

    /// Fails if records of the run were taken out of the channel without being processed, which only the broker knows. Asked of
    /// the principal's reader when all replicas have read to the end. A log keeps everything.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Unread`] says where they are.
    async fn nothing_left_behind(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Stops reading. Commits are flushed before, by [`Committer::flush`].
    async fn close(&mut self);
}

/// Commits the position of one reader.
#[async_trait]
pub trait Committer: Send + Sync {
    /// Notes that all records before `offset` are processed. Does not wait; the transport may batch (at most 1 s).
    fn commit(&self, offset: u64);

    /// Waits until the newest noted offset is held by the broker.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] or [`ChannelError::Deadline`].
    async fn flush(&self) -> Result<(), ChannelError>;
}
