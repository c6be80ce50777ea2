//! What a builder hands out: operators, ports and connections of a pipeline under construction.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::graph::{Graph, PortRef};
use crate::channel::partitioning::Partitioning;
use crate::parameter::Secret;

pub(super) type SharedGraph = Arc<Mutex<Graph>>;

pub(super) fn lock(graph: &SharedGraph) -> MutexGuard<'_, Graph> {
    graph.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An operator of a pipeline under construction; the derived handles wrap it.
#[derive(Debug, Clone)]
pub struct OperatorDraft {
    graph: SharedGraph,
    operator: usize,
}

impl OperatorDraft {
    pub(super) const fn new(graph: SharedGraph, operator: usize) -> Self {
        Self { graph, operator }
    }

    /// The operator's name.
    #[must_use]
    pub fn name(&self) -> String {
        lock(&self.graph)
            .operators
            .get(self.operator)
            .map_or_else(String::new, |node| node.name.clone())
    }

    /// Sets how many replicas there are, the principal included.
    pub fn replicas(&self, replicas: u32) {
        if let Some(node) = lock(&self.graph).operators.get_mut(self.operator) {
            node.replicas = replicas;
        }
    }

    /// Sets a parameter of the operator.
    pub fn set_parameter(&self, name: &str, value: Value) {
        let path = format!("{}.{name}", self.name());
        lock(&self.graph).assign(&path, value);
    }

    /// One of its input ports.
    #[must_use]
    pub fn input<T, C>(&self, port: &'static str) -> InputHandle<T, C> {
        InputHandle(self.port(port), PhantomData)
    }

    /// One of its output ports.
    #[must_use]
    pub fn output<T, C>(&self, port: &'static str) -> OutputHandle<T, C> {
        OutputHandle(self.port(port), PhantomData)
    }

    fn port(&self, port: &'static str) -> DraftPort {
        DraftPort {
            graph: Arc::clone(&self.graph),
            port: PortRef {
                operator: self.operator,
                port,
            },
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct DraftPort {
    pub(super) graph: SharedGraph,
    pub(super) port: PortRef,
}

/// An input port of an operator in a pipeline under construction.
pub struct InputHandle<T, C>(pub(super) DraftPort, PhantomData<fn() -> (T, C)>);

/// An output port of an operator in a pipeline under construction.
pub struct OutputHandle<T, C>(pub(super) DraftPort, PhantomData<fn() -> (T, C)>);

impl<T, C> Clone for InputHandle<T, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T, C> Clone for OutputHandle<T, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T, C> std::fmt::Debug for InputHandle<T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InputHandle").field(&self.0.port.port).finish()
    }
}

impl<T, C> std::fmt::Debug for OutputHandle<T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OutputHandle").field(&self.0.port.port).finish()
    }
}

/// A connection that was just made; its methods say how records find their replica.
#[derive(Debug)]
pub struct Connection {
    pub(super) graph: SharedGraph,
    pub(super) index: usize,
}

#[allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "the connection is made already, these only say how"
)]
impl Connection {
    /// All records of a key go to one replica, in order. Every record needs a key then.
    pub fn by_key(self) -> Self {
        self.set(Partitioning::ByKey)
    }

    /// Every replica gets every record.
    pub fn broadcast(self) -> Self {
        self.set(Partitioning::Broadcast)
    }

    /// Records go in turn; this is the default.
    pub fn round_robin(self) -> Self {
        self.set(Partitioning::RoundRobin)
    }

    /// As the value says.
    pub fn partitioned(self, partitioning: Partitioning) -> Self {
        self.set(partitioning)
    }

    /// Ends a cycle here: the reading operator is done when its other inputs have ended, whatever may still come over
    /// this connection. Its channel keeps what was not read.
    pub fn ends_cycle(self) -> Self {
        if let Some(node) = lock(&self.graph).connections.get_mut(self.index) {
            node.ends_cycle = true;
        }
        self
    }

    fn set(self, partitioning: Partitioning) -> Self {
        if let Some(node) = lock(&self.graph).connections.get_mut(self.index) {
            node.partitioning = partitioning;
        }
        self
    }
}

/// A value for a parameter: everything that serde can serialize, and [`Secret`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a parameter",
    note = "derive `Serialize`, `Deserialize` and `Debug` for `{Self}`"
)]
pub trait IntoParameter {
    /// The value as it is kept.
    fn into_parameter(self) -> Value;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> IntoParameter for T {
    fn into_parameter(self) -> Value {
        // What cannot be a value (a map with keys that are no texts) is refused by name when the pipeline is validated.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl IntoParameter for Secret {
    fn into_parameter(self) -> Value {
        Value::String(self.expose().to_owned())
    }
}
