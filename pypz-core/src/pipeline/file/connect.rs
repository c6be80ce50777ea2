//! Connections of a file, and how their records find their replica.

use super::fields::Problems;
use super::instance::{Instance, Source};
use super::load::foreign_port;
use super::node::{Kind, Mark, Node, shown};
use crate::channel::partitioning::Partitioning;
use crate::pipeline::graph::{ConnectionNode, Graph, PortRef};
use crate::pipeline::notes::FileNotes;
use crate::port::Direction;

/// The parameter of an input port by which records find their replica. pypz-python keeps it and does not look at it.
pub(super) const PARTITIONING: &str = "partitioning";
/// The parameter of an input port whose operator need not wait for its end.
pub(super) const ENDS_CYCLE: &str = "endsCycle";

/// The names that a file has for each way.
pub(super) const WAYS: [(&str, Partitioning); 3] = [
    ("roundRobin", Partitioning::RoundRobin),
    ("byKey", Partitioning::ByKey),
    ("broadcast", Partitioning::Broadcast),
];

/// Connects what the file connects.
pub(super) fn connect(
    graph: &mut Graph,
    operators: &[Instance<'_>],
    nested: &[Vec<Instance<'_>>],
    notes: &mut FileNotes,
    problems: &mut Problems,
) {
    for (to, (operator, nested)) in operators.iter().zip(nested).enumerate() {
        for source in &operator.connections {
            let from = port(graph, operator, source).and_then(|from| {
                let to =
                    end(graph, to, source.input, Direction::Input).map_err(|what| (source.input.1, what));
                Ok((from, to?))
            });
            let (from, to) = match from {
                Ok(ends) => ends,
                Err((at, what)) => {
                    problems.note(at, &operator.path, what);
                    doubt(graph, operator.name, source, notes);
                    continue;
                }
            };
            let path = format!("{}.{}", source.operator.0, source.output.0);
            let own = nested.iter().find(|inner| inner.name == source.input.0);
            graph.connections.push(ConnectionNode {
                from,
                to,
                partitioning: partitioning(own, &path, problems),
                ends_cycle: ends_cycle(own, &path, problems),
            });
        }
    }
}

/// It was refused, and whoever is without a connection now may be so for that reason.
fn doubt(graph: &Graph, reader: &str, source: &Source<'_>, notes: &mut FileNotes) {
    let writer = source.operator.0;
    let is_there = graph.operators.iter().any(|node| node.name == writer);
    for node in &graph.operators {
        for port in &node.description.ports {
            let may_be = match port.direction {
                Direction::Input => node.name == reader,
                Direction::Output => node.name == writer || !is_there,
            };
            if may_be {
                notes.doubtful.push(format!("{}.{}", node.name, port.name));
            }
        }
    }
}

fn port(graph: &mut Graph, operator: &Instance<'_>, source: &Source<'_>) -> Result<PortRef, (Mark, String)> {
    let (name, at) = source.operator;
    let Some(from) = graph.operators.iter().position(|node| node.name == name) else {
        let known: Vec<_> = graph.operators.iter().map(|node| shown(&node.name)).collect();
        let what = format!(
            "'{}' is not an operator of it: there are {}",
            shown(name),
            known.join(", ")
        );
        return Err((at, what));
    };
    if name == operator.name {
        return Err((at, "an operator does not feed itself".to_owned()));
    }
    end(graph, from, source.output, Direction::Output).map_err(|what| (source.output.1, what))
}

/// A port of an operator by its name. Of somebody else's operator the connection may be all that tells of the port.
fn end(
    graph: &mut Graph,
    operator: usize,
    (name, _): (&str, Mark),
    direction: Direction,
) -> Result<PortRef, String> {
    let Some(node) = graph.operators.get_mut(operator) else {
        return Err("the operator is not there".to_owned());
    };
    let foreign = node.is_foreign();
    let ports = &mut node.description.ports;
    let words = match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    };
    let port = match ports.iter().find(|port| port.name == name) {
        Some(port) if port.direction == direction => port.name,
        Some(_) => {
            return Err(format!(
                "'{}' of {} is no {words} port",
                shown(name),
                shown(&node.name)
            ));
        }
        None if foreign => {
            let port = foreign_port(name, direction);
            let name = port.name;
            ports.push(port);
            node.description.plugins.retain(|plugin| plugin.name != name);
            name
        }
        None => {
            let known: Vec<_> = ports
                .iter()
                .filter(|port| port.direction == direction)
                .map(|port| port.name)
                .collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(format!(
                "{} has no {words} port '{}': it has {known}",
                shown(&node.name),
                shown(name)
            ));
        }
    };
    Ok(PortRef { operator, port })
}

/// What a parameter of the input port says for this source: one value for all, or a mapping by `operator.port`.
fn said<'a>(own: Option<&Instance<'a>>, parameter: &str, source: &str) -> Option<&'a Node> {
    let (_, node) = own?.parameters?.get(parameter)?;
    match &node.kind {
        Kind::Null => None,
        Kind::Map(by_source) => by_source.get(source).map(|(_, node)| node),
        _ => Some(node),
    }
}

fn partitioning(own: Option<&Instance<'_>>, source: &str, problems: &mut Problems) -> Partitioning {
    let Some(node) = said(own, PARTITIONING, source) else {
        return Partitioning::default();
    };
    let way = match &node.kind {
        Kind::Text(text) => WAYS.iter().find(|(name, _)| name == text),
        _ => None,
    };
    way.map_or_else(
        || {
            let known = WAYS.map(|(name, _)| name).join(", ");
            let what =
                format!("'{PARTITIONING}' is one of {known}, or a mapping of OPERATOR.PORT to one of them");
            problems.note(node.at, own.map_or("", |own| &own.path), what);
            Partitioning::default()
        },
        |(_, way)| *way,
    )
}

fn ends_cycle(own: Option<&Instance<'_>>, source: &str, problems: &mut Problems) -> bool {
    match said(own, ENDS_CYCLE, source).map(|node| (node, &node.kind)) {
        None => false,
        Some((_, Kind::Bool(flag))) => *flag,
        Some((node, _)) => {
            let what = format!("'{ENDS_CYCLE}' is a boolean, or a mapping of OPERATOR.PORT to one");
            problems.note(node.at, own.map_or("", |own| &own.path), what);
            false
        }
    }
}
