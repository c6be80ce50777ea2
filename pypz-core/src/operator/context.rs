//! What a hook knows of its surroundings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::executor::{Phase, Shutdown};

/// Who the operator is, and what it can ask the executor for. Handed to every hook.
#[derive(Debug)]
pub struct Context {
    pipeline: Arc<str>,
    operator: Arc<str>,
    replica_index: u32,
    replicas: u32,
    shutdown: Shutdown,
    commit: AtomicBool,
}

impl Context {
    pub(crate) fn new(
        pipeline: Arc<str>,
        operator: Arc<str>,
        replica_index: u32,
        replicas: u32,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            pipeline,
            operator,
            replica_index,
            replicas,
            shutdown,
            commit: AtomicBool::new(false),
        }
    }

    /// The pipeline's name.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// The operator's name, without the suffix of the replica.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Which replica this is, from 0 (the principal).
    #[must_use]
    pub const fn replica_index(&self) -> u32 {
        self.replica_index
    }

    /// How many replicas the operator has, the principal included.
    #[must_use]
    pub const fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Commits, in [`super::Commit::Manual`], everything that was retrieved so far: after this call of the hook returned
    /// Ok and all outputs that were sent until then are acknowledged.
    pub fn commit(&self) {
        self.commit.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_commit(&self) -> bool {
        self.commit.swap(false, Ordering::Relaxed)
    }

    /// Whether the pipeline drains. A hook that works long without sending or retrieving should look now and then.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shutdown.phase() != Phase::Running
    }

    /// Waits until the pipeline drains: for a `select!` beside something that takes long.
    pub async fn draining(&self) {
        self.shutdown.clone().reached(Phase::Draining).await;
    }
}
