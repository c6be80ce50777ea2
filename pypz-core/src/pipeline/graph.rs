//! The pipeline as it was written down: names, nothing resolved.

use std::collections::BTreeMap;

use serde_json::Value;

use super::notes::{FileNotes, OperatorNotes};
use super::problem::Problem;
use crate::channel::partitioning::Partitioning;
use crate::operator::{Factory, OperatorDescription};
use crate::parameter::hidden;

pub(super) struct Graph {
    pub(super) name: String,
    pub(super) operators: Vec<OperatorNode>,
    pub(super) connections: Vec<ConnectionNode>,
    /// What was assigned, by path (`""`, `writer`, `writer.output`) and key with its prefix.
    pub(super) assignments: BTreeMap<String, BTreeMap<String, Value>>,
    /// What was wrong already when it was written down.
    pub(super) problems: Vec<Problem>,
    /// What only a pipeline file says; `None` if there was none.
    pub(super) file: Option<FileNotes>,
}

/// Who runs an operator.
#[derive(Clone, Copy)]
pub(super) enum Runner {
    /// This program, if it is asked to.
    Ours(Factory),
    /// Somebody else: the program says so, or the operator stands in a file and no Rust type is registered under its spec name.
    Foreign,
}

pub(super) struct OperatorNode {
    pub(super) name: String,
    pub(super) replicas: u32,
    pub(super) description: OperatorDescription,
    pub(super) runner: Runner,
    pub(super) notes: OperatorNotes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortRef {
    pub(super) operator: usize,
    pub(super) port: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionNode {
    pub(super) from: PortRef,
    pub(super) to: PortRef,
    pub(super) partitioning: Partitioning,
    pub(super) ends_cycle: bool,
}

/// The values of parameters stay out of it: some are secrets.
impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.assignments.iter().map(|(path, own)| (path, hidden(own)));
        f.debug_struct("Graph")
            .field("name", &self.name)
            .field("operators", &self.operators)
            .field("connections", &self.connections)
            .field("assignments", &keys.collect::<BTreeMap<_, _>>())
            .field("problems", &self.problems)
            .finish()
    }
}

impl OperatorNode {
    pub(super) const fn is_foreign(&self) -> bool {
        matches!(self.runner, Runner::Foreign)
    }

    /// Why it is foreign.
    pub(super) fn no_type(&self) -> String {
        let spec = self.description.type_name;
        match self.notes.spec {
            Some(_) => format!("no Rust type is registered as '{}'", spec.escape_debug()),
            None => "the program says so".to_owned(),
        }
    }
}

impl std::fmt::Debug for OperatorNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorNode")
            .field("name", &self.name)
            .field("replicas", &self.replicas)
            .field("type", &self.description.type_name)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// The full name of an operator or of something in it.
    pub(super) fn path(&self, operator: usize, parts: &[&str]) -> String {
        let mut path = self.name.clone();
        if let Some(node) = self.operators.get(operator) {
            path = format!("{path}.{}", node.name);
        }
        parts.iter().fold(path, |path, part| format!("{path}.{part}"))
    }

    pub(super) fn port_path(&self, port: PortRef) -> String {
        self.path(port.operator, &[port.port])
    }

    /// Splits `writer.output.channelLocation` into the path of the instance and the key.
    pub(super) fn assign(&mut self, name: &str, value: Value) {
        let (path, key) = name.rsplit_once('.').unwrap_or(("", name));
        self.assignments
            .entry(path.to_owned())
            .or_default()
            .insert(key.to_owned(), value);
    }
}
