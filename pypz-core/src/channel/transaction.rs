//! Transactions: what one operator consumes, produces and commits becomes visible at once or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{ChannelSpec, ChannelWriter};
use crate::error::ChannelError;
use crate::protocol::RunId;

/// What a run promises of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Guarantee {
    /// Nothing is lost; after a crash records may come twice.
    #[default]
    AtLeastOnce,
    /// Every record counts once, from input to output, where the transport has transactions.
    ExactlyOnce,
}

/// One operator in one process: its replicas there send and commit in the same transactions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TransactionScope {
    /// The operator's full name: `pl.clean`.
    pub operator: String,
    /// Its replicas in this process, by index, with their full names.
    pub replicas: BTreeMap<u32, String>,
    /// The channels that it reads, in the order of its ports.
    pub inputs: Vec<Arc<ChannelSpec>>,
    /// The channels that it writes; at least one.
    pub outputs: Vec<Arc<ChannelSpec>>,
}

/// What is committed with the records of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consumed {
    /// All records of a reader before an offset.
    Input {
        /// The place of the channel in [`TransactionScope::inputs`].
        input: usize,
        /// The reader.
        reader: u32,
        /// The offset behind the last record.
        offset: u64,
    },
    /// What a source made up to a position, in its own words.
    Source {
        /// The replica.
        replica: u32,
        /// The position.
        text: String,
    },
}

/// Where replicas go on, as it was committed in this run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumed {
    /// The position of each source replica that has one.
    pub sources: BTreeMap<u32, String>,
    /// The offset of each broadcast reader that has one, by its channel's place in [`TransactionScope::inputs`]. Other
    /// readers find theirs themselves.
    pub broadcasts: BTreeMap<(usize, u32), u64>,
}

/// Begins, commits and aborts the transactions of one scope, one after another.
///
/// # Contract
///
/// - `open` is called when all replicas of the scope hold their members of the run, so that nobody alive is fenced by
///   mistake; it is called again after `abort`, then on new clients. Positions of inputs are read after it.
/// - A transaction is always open between `open` and `abort` or `close`. Writers write into it.
/// - `commit` is called while no replica writes; when it returns, the next transaction is open.
/// - After [`ChannelError::Aborted`], of a writer or of `commit`, the transaction has happened as a whole or not at all, and
///   nobody here knows which: the replicas close, `abort` is called, and they begin again from what is committed, which the
///   next `open` settles.
#[async_trait]
pub trait Transactor: Send + Sync {
    /// Fences every process that wrote for one of the replicas before, and begins. `earlier` holds every set of replicas
    /// that ever lived together in a process, `present` the replicas that are left: others of the scope are done.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the broker does not get ready within the patience.
    async fn open(&self, earlier: &[Vec<u32>], present: &[u32], run: RunId) -> Result<Resumed, ChannelError>;

    /// Makes a writer whose records belong to the transactions.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] before `open`.
    fn writer(&self, channel: &Arc<ChannelSpec>) -> Result<Box<dyn ChannelWriter>, ChannelError>;

    /// Commits the open transaction with everything that was written into it, and begins the next.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Aborted`] if it did not happen; a newer instance that took over is a reason, too.
    async fn commit(&self, consumed: &[Consumed], run: RunId) -> Result<(), ChannelError>;

    /// Gives the open transaction up, and its clients.
    async fn abort(&self);

    /// Gives everything back; what is not committed is given up.
    async fn close(&self);
}
