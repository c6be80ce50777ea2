//! What only shows when a pipeline is planned: parts that are not there, channels that cannot be.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::graph::{ConnectionNode, PortRef};
use super::plan::Planner;
use super::problem::Problem;
use crate::channel::{ChannelSpec, Guarantee, Location, PoisonPolicy, transport_for};
use crate::name::full_name;

impl Planner<'_> {
    fn problem(&mut self, at: String, what: impl Into<String>) {
        self.problems.push(Problem::new(at, what));
    }

    pub(super) fn check_parts(&mut self) {
        for part in self.parts.unwrap_or_default() {
            let node = self
                .graph
                .operators
                .iter()
                .find(|node| node.name == part.operator);
            let what = match (node, part.index) {
                (None, _) => {
                    let names: Vec<_> = self
                        .graph
                        .operators
                        .iter()
                        .map(|node| node.name.as_str())
                        .collect();
                    format!(
                        "'{}' is not an operator of it: there are {}",
                        part.operator.escape_debug(),
                        names.join(", ")
                    )
                }
                (Some(node), Some(index)) if index >= node.replicas => {
                    format!(
                        "'{part}' is not there: {} has {} replicas, indices 0 to {}",
                        node.name,
                        node.replicas,
                        node.replicas.saturating_sub(1)
                    )
                }
                (Some(node), _) if node.is_foreign() => {
                    format!("'{part}' is somebody else's: {}", node.no_type())
                }
                _ => continue,
            };
            self.problem(self.graph.name.clone(), what);
        }
    }

    pub(super) fn check_location(
        &mut self,
        connection: ConnectionNode,
        channel: &Location,
        writer: Option<&Location>,
    ) {
        if let Some(writer) = writer.filter(|writer| *writer != channel) {
            let to = self.graph.port_path(connection.to);
            let what = format!(
                "channelLocation {writer} differs from {channel} of {to}, which it is connected to: both ends of a channel need the same"
            );
            self.problem(self.graph.port_path(connection.from), what);
        }
        for port in [connection.from, connection.to] {
            let description = self.graph.operators.get(port.operator).and_then(|node| {
                node.description
                    .ports
                    .iter()
                    .find(|described| described.name == port.port)
            });
            let Some(schemes) = description.and_then(|described| described.schemes) else {
                continue;
            };
            if !schemes.contains(&channel.scheme()) {
                let what = format!(
                    "the port is pinned to {}://, but the channel's location is {channel}",
                    schemes.join("://, ")
                );
                self.problem(self.graph.port_path(port), what);
            }
        }
    }

    pub(super) fn check_transport(&mut self, to: PortRef, spec: &ChannelSpec) {
        let at = self.graph.port_path(to);
        match transport_for(&spec.location) {
            Err(what) => self.problem(at, what),
            // Names and members are only whole when nothing else was wrong.
            Ok(transport)
                if self.problems.is_empty()
                    && !(spec.local_readers.is_empty() && spec.local_writers.is_empty()) =>
            {
                let has_none = !transport.is_volatile() && !transport.keeps_dead_letters();
                if spec.on_poison == PoisonPolicy::DeadLetter && has_none {
                    let what = format!(
                        "onPoison: {} keeps no dead letters: use fail or skip",
                        spec.location
                    );
                    self.problem(at.clone(), what);
                }
                if spec.sequential && transport.is_volatile() {
                    let what = format!(
                        "sequentialModeEnabled: {} holds no more than bufferBytes, so its writers cannot finish before they are read: leave \
                         it out, or use a broker",
                        spec.location
                    );
                    self.problem(at.clone(), what);
                }
                for what in transport.problems(spec) {
                    self.problem(at.clone(), what);
                }
            }
            Ok(_) => {}
        }
    }

    /// Refuses exactly-once by name where it cannot hold.
    pub(super) fn check_guarantee(&mut self, channels: &BTreeMap<(usize, &'static str), Arc<ChannelSpec>>) {
        if self.guarantee == Guarantee::AtLeastOnce {
            return;
        }
        for node in self.graph.operators.iter().filter(|node| node.is_foreign()) {
            let what = format!(
                "exactly-once needs transactions, and {}: who runs it may have none",
                node.no_type()
            );
            self.problem(full_name(&[&self.graph.name, &node.name]), what);
        }
        for (&(operator, port), channel) in channels {
            let at = self.graph.port_path(PortRef { operator, port });
            let location = &channel.location;
            if transport_for(location).is_ok_and(|transport| !transport.is_transactional()) {
                let what = format!(
                    "exactly-once needs transactions, which {location} has not: use kafka://, or at-least-once"
                );
                self.problem(at.clone(), what);
            }
            let of_operator = self
                .graph
                .connections
                .iter()
                .filter(|connection| connection.from.operator == operator);
            let written = of_operator
                .filter_map(|connection| channels.get(&(connection.to.operator, connection.to.port)));
            if let Some(other) = written.into_iter().find(|other| other.location != *location) {
                let what = format!(
                    "exactly-once holds within one cluster, but the operator reads from {location} and writes to {}",
                    other.location
                );
                self.problem(at, what);
            }
        }
        let writers = self.graph.connections.iter();
        let mut first: BTreeMap<usize, &Location> = BTreeMap::new();
        let mut problems = Vec::new();
        for connection in writers {
            let Some(channel) = channels.get(&(connection.to.operator, connection.to.port)) else {
                continue;
            };
            let known = first.entry(connection.from.operator).or_insert(&channel.location);
            if **known != channel.location {
                let what = format!(
                    "exactly-once holds within one cluster, but the operator writes to {known} and to {}",
                    channel.location
                );
                problems.push((self.graph.port_path(connection.from), what));
            }
        }
        for (at, what) in problems {
            self.problem(at, what);
        }
    }
}
