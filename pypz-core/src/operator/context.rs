//! What a hook knows of its surroundings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

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
    /// Where the source goes on.
    position: Option<String>,
    /// Where it is now.
    advanced: Mutex<Option<String>>,
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
            position: None,
            advanced: Mutex::default(),
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

    /// Where a source goes on: what the replica's last incarnation in this run said by [`Context::advance`], once all that
    /// it had sent until then was acknowledged (exactly-once: committed). `None` at the first start, and in memory.
    ///
    /// At least once, the newest positions may be missing, so that the records of about the last second are sent again.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// Says where a source is, in its own words, at most 500 bytes: everything before was sent when this call of
    /// `on_running` returns. Said for the end, too.
    ///
    /// A source that never says so begins anew when it is started again. In a run that promises exactly-once it has to.
    pub fn advance(&self, position: impl Into<String>) {
        *self.advanced.lock().unwrap_or_else(PoisonError::into_inner) = Some(position.into());
    }

    pub(crate) fn goes_on(&mut self, position: Option<String>) {
        self.position = position;
    }

    pub(crate) fn take_advanced(&self) -> Option<String> {
        self.advanced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
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
