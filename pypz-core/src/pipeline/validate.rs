//! Resolves the parameters of a pipeline and finds what is wrong with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::graph::{Graph, OperatorNode, Runner};
use super::problem::Problem;
use crate::name::InstanceName;
use crate::operator::Factory;
use crate::parameter::cascade::Assignments;
use crate::parameter::{ParameterError, ParameterSpec, Requirement};
use crate::port::{Direction, PortSettings};

/// The most replicas of an operator.
const MOST_REPLICAS: u32 = 10_000;

/// What every instance was told, resolved and parsed.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// By operator: name and value.
    pub(super) operators: Vec<Vec<(String, Value)>>,
    /// By operator and plugin.
    pub(super) plugins: HashMap<(usize, &'static str), Vec<(String, Value)>>,
    /// By operator and port.
    pub(super) ports: HashMap<(usize, &'static str), PortSettings>,
}

/// Resolves everything and collects every problem on the way.
pub(in crate::pipeline) fn resolve(graph: &Graph) -> (Resolved, Vec<Problem>) {
    let mut pass = Pass {
        graph,
        problems: graph.problems.clone(),
        used: BTreeSet::new(),
        cascading: BTreeSet::new(),
    };
    pass.names();
    pass.connections();
    pass.cycles();
    let resolved = pass.parameters();
    (resolved, pass.problems)
}

pub(super) struct Pass<'a> {
    pub(super) graph: &'a Graph,
    problems: Vec<Problem>,
    /// Origins of assignments that reached a declared parameter.
    used: BTreeSet<String>,
    /// Origins of all assignments that cascade.
    cascading: BTreeSet<String>,
}

impl Pass<'_> {
    /// A problem with a parameter, which may stand in the file.
    pub(super) fn parameter_problem(&mut self, operator: usize, parts: &[&str], name: &str, what: String) {
        let at = self.graph.path(operator, parts);
        let mut problem = Problem::new(at.escape_debug().to_string(), what);
        problem.place = self.graph.place_of(operator, parts, name);
        self.problems.push(problem);
    }

    fn problem(&mut self, at: impl Into<String>, what: impl Into<String>) {
        self.problems
            .push(Problem::new(at.into().escape_debug().to_string(), what));
    }

    fn names(&mut self) {
        if let Err(error) = InstanceName::parse(&self.graph.name) {
            self.problem(&self.graph.name, error.to_string());
        }
        let mut seen = BTreeSet::new();
        for (index, node) in self.graph.operators.iter().enumerate() {
            let at = self.graph.path(index, &[]);
            if let Err(error) = InstanceName::parse(&node.name) {
                self.problem(&at, error.to_string());
            }
            if !seen.insert(&node.name) {
                self.problem(
                    &at,
                    "there are two operators of this name: give each a name of its own",
                );
            }
            if node.replicas == 0 || node.replicas > MOST_REPLICAS {
                let replicas = node.replicas;
                self.problem(
                    &at,
                    format!("{replicas} replicas: it must be 1 to {MOST_REPLICAS} (the principal counts)"),
                );
            }
        }
        if self.graph.operators.is_empty() {
            self.problem(
                &self.graph.name,
                "the pipeline has no operators: add one with operator::<T>(name)",
            );
        }
        self.replica_names();
    }

    /// A replica's name on the wire, `clean_0`, must not be that of another operator.
    fn replica_names(&mut self) {
        let names: BTreeSet<&str> = self
            .graph
            .operators
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        for (index, node) in self.graph.operators.iter().enumerate() {
            let Ok(name) = InstanceName::parse(&node.name) else {
                continue;
            };
            for replica in (1..node.replicas.min(MOST_REPLICAS)).map(|replica| name.replica(replica)) {
                if names.contains(replica.as_str()) {
                    let at = self.graph.path(index, &[]);
                    self.problem(at, format!("a replica of it is called '{replica}' on the wire, as another operator is: rename one"));
                }
            }
        }
    }

    fn connections(&mut self) {
        let graph = self.graph;
        let ours = |(_, node): &(usize, &OperatorNode)| !node.is_foreign();
        for (index, node) in graph.operators.iter().enumerate().filter(ours) {
            for port in &node.description.ports {
                let connected = graph.connections.iter().any(|connection| {
                    let end = match port.direction {
                        Direction::Input => connection.to,
                        Direction::Output => connection.from,
                    };
                    end.operator == index && end.port == port.name
                });
                if !connected {
                    let (kind, what) = match port.direction {
                        Direction::Input => ("input", "an output port to it"),
                        Direction::Output => ("output", "it to an input port"),
                    };
                    let at = graph.path(index, &[port.name]);
                    self.problem(
                        at,
                        format!(
                            "the {kind} port is not connected: connect {what} with connect(output, input)"
                        ),
                    );
                }
            }
        }
        for (at, connection) in graph.connections.iter().enumerate() {
            let twice = |other: &&super::graph::ConnectionNode| {
                other.from == connection.from && other.to == connection.to
            };
            if graph.connections[..at].iter().any(|other| twice(&other)) {
                let from = graph.port_path(connection.from);
                self.problem(
                    graph.port_path(connection.to),
                    format!("it is connected to {from} twice"),
                );
            }
            let other = graph.connections[..at]
                .iter()
                .find(|other| other.to == connection.to);
            let is_broadcast = |partitioning| {
                crate::channel::Delivery::from(partitioning) == crate::channel::Delivery::Broadcast
            };
            if other.is_some_and(|other| {
                is_broadcast(other.partitioning) != is_broadcast(connection.partitioning)
            }) {
                self.problem(
                    graph.port_path(connection.to),
                    "one connection broadcasts and another does not: an input port has one topic, so all its connections must agree",
                );
            }
        }
    }

    /// Every cycle must have a connection that ends it.
    fn cycles(&mut self) {
        let graph = self.graph;
        let feeds: Vec<(usize, usize)> = graph
            .connections
            .iter()
            .filter(|connection| !connection.ends_cycle)
            .map(|connection| (connection.from.operator, connection.to.operator))
            .collect();
        let mut open: BTreeSet<usize> = (0..graph.operators.len()).collect();
        // Takes away what nothing in a cycle feeds, from both ends, until only cycles are left.
        loop {
            let before = open.len();
            let inside: Vec<_> = feeds
                .iter()
                .filter(|(from, to)| open.contains(from) && open.contains(to))
                .collect();
            let fed: BTreeSet<usize> = inside.iter().map(|(_, to)| *to).collect();
            let feeding: BTreeSet<usize> = inside.iter().map(|(from, _)| *from).collect();
            open.retain(|operator| fed.contains(operator) && feeding.contains(operator));
            if open.len() == before {
                break;
            }
        }
        if !open.is_empty() {
            let names: Vec<_> = open
                .iter()
                .filter_map(|index| graph.operators.get(*index))
                .map(|node| node.name.as_str())
                .collect();
            let what = format!(
                "operators {} feed each other in a cycle, which would never end: call ends_cycle() on the connection whose reader need not wait for it",
                names.join(", ")
            );
            self.problem(&graph.name, what);
        }
    }

    fn parameters(&mut self) -> Resolved {
        let graph = self.graph;
        let mut resolved = Resolved::default();
        let mut paths = BTreeSet::from([String::new()]);
        let pipeline = self.descend(&Assignments::default(), "");
        for (name, _) in pipeline.set_here() {
            if graph
                .assignments
                .get("")
                .is_some_and(|own| own.contains_key(name))
            {
                let what = format!(
                    "a pipeline has no parameter '{name}' of its own: use >{name} for its operators, >>{name} for their ports, OPERATOR.{name} for one of them"
                );
                let mut problem = Problem::new(graph.name.escape_debug().to_string(), what);
                problem.place = graph.place_in("", name);
                self.problems.push(problem);
            }
        }
        for (index, node) in graph.operators.iter().enumerate() {
            let assignments = self.descend(&pipeline, &node.name);
            paths.insert(node.name.clone());
            let own = self.accepted(index, &[], &assignments, &node.description.parameters);
            if let Runner::Ours(factory) = node.runner {
                self.check_operator(index, factory, &own);
            }
            resolved.operators.push(own);
            for plugin in &node.description.plugins {
                let path = format!("{}.{}", node.name, plugin.name);
                let assignments = self.descend(&assignments, &path);
                let own = self.accepted(index, &[plugin.name], &assignments, &plugin.parameters);
                if let Runner::Ours(factory) = node.runner {
                    self.check_plugin(index, factory, plugin.name, &own);
                }
                resolved.plugins.insert((index, plugin.name), own);
                paths.insert(path);
            }
            for port in &node.description.ports {
                let path = format!("{}.{}", node.name, port.name);
                let assignments = self.descend(&assignments, &path);
                let own = self.accepted(index, &[port.name], &assignments, &self.of_ports());
                resolved
                    .ports
                    .insert((index, port.name), self.port_settings(index, port.name, &own));
                paths.insert(path);
            }
        }
        self.leftovers(&paths);
        resolved
    }

    /// What stands at an instance: inherited from its parent, and its own.
    fn descend(&mut self, parent: &Assignments, path: &str) -> Assignments {
        let none = BTreeMap::new();
        let own = self.graph.assignments.get(path).unwrap_or(&none);
        let full = if path.is_empty() {
            self.graph.name.clone()
        } else {
            format!("{}.{path}", self.graph.name)
        };
        let assignments = parent.inherited().overridden_by(&full, own);
        self.cascading.extend(assignments.cascading_origins());
        assignments
    }

    /// The assignments that reach a declared parameter. One that was written here for a parameter that is not declared
    /// is a problem; one that came from above is not, for it may be meant for others.
    fn accepted(
        &mut self,
        operator: usize,
        parts: &[&str],
        here: &Assignments,
        declared: &[ParameterSpec],
    ) -> Vec<(String, Value)> {
        let at = self.graph.path(operator, parts);
        let foreign = self
            .graph
            .operators
            .get(operator)
            .is_some_and(OperatorNode::is_foreign);
        if foreign {
            // What somebody else's instance accepts is not for us to say.
            self.used
                .extend(here.set_here().map(|(_, assignment)| assignment.origin.clone()));
        }
        let mut accepted = Vec::new();
        for (name, assignment) in here.set_here() {
            if declared.iter().any(|spec| spec.name == name) {
                self.used.insert(assignment.origin.clone());
                accepted.push((name.to_owned(), assignment.value.clone()));
            } else if !foreign && assignment.origin == format!("{at}.{name}") {
                let known = declared.iter().map(|spec| spec.name.to_owned()).collect();
                let shown = name.escape_debug().to_string();
                let unknown = ParameterError::Unknown { name: shown, known };
                self.parameter_problem(operator, parts, name, unknown.to_string());
            }
        }
        for spec in declared
            .iter()
            .filter(|spec| spec.requirement == Requirement::Required)
        {
            if here.value(spec.name).is_none() {
                let (name, type_name) = (spec.name, spec.type_name);
                let path = at.split_once('.').map_or("", |(_, path)| path);
                self.problem(&at, format!("required parameter '{name}' ({type_name}) is missing: set_parameter(\"{path}.{name}\", …)"));
            }
        }
        accepted
    }

    fn check_operator(&mut self, index: usize, factory: Factory, own: &[(String, Value)]) {
        let mut trial = factory();
        for (name, value) in own {
            if let Err(error) = trial.set_parameter(name, value) {
                self.parameter_problem(index, &[], name, error.to_string());
            }
        }
    }

    fn check_plugin(&mut self, index: usize, factory: Factory, plugin: &str, own: &[(String, Value)]) {
        let mut trial = factory();
        for (name, value) in own {
            if let Err(error) = trial.set_plugin_parameter(plugin, name, value) {
                self.parameter_problem(index, &[plugin], name, error.to_string());
            }
        }
    }

    /// Assignments that reached nobody: to an instance that is not there, or cascading to a parameter that none declares.
    fn leftovers(&mut self, paths: &BTreeSet<String>) {
        for (path, own) in &self.graph.assignments {
            if !paths.contains(path) {
                let keys: Vec<_> = own.keys().map(|key| key.escape_debug().to_string()).collect();
                let what = format!(
                    "there is no such operator, port or plugin, but '{}' is set on it",
                    keys.join("', '")
                );
                self.problem(format!("{}.{path}", self.graph.name), what);
            }
        }
        let unused: Vec<String> = self.cascading.difference(&self.used).cloned().collect();
        for origin in unused {
            let (at, key) = origin.rsplit_once('.').unwrap_or(("", &origin));
            let what = format!(
                "'{}' reaches no instance that has such a parameter",
                key.escape_debug()
            );
            self.problem(at, what);
        }
    }
}
