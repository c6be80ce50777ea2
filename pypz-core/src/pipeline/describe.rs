//! A pipeline in words and as a picture.

use std::fmt::Write;

use super::graph::{Graph, OperatorNode};
use crate::channel::partitioning::Partitioning;
use crate::error::plain;
use crate::parameter::Requirement;
use crate::port::Direction;

const fn partitioning_name(partitioning: Partitioning) -> &'static str {
    match partitioning {
        Partitioning::RoundRobin => "round robin",
        Partitioning::ByKey => "by key",
        Partitioning::Broadcast => "broadcast",
    }
}

/// The last segment of each path in a type's name: `Vec<alloc::string::String>` becomes `Vec<String>`.
fn short_type(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(['<', '>', ',', ' ', '(', ')', '[', ']', '&', ';']) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

pub(super) fn text(graph: &Graph) -> String {
    let mut text = format!("pipeline {}\n", graph.name.escape_debug());
    let foreign = graph.operators.iter().filter(|node| node.is_foreign()).count();
    if foreign > 0 {
        let all = graph.operators.len();
        let _ = writeln!(
            text,
            "  {foreign} of its {all} operators are somebody else's: to run it is to run the others"
        );
    }
    for node in &graph.operators {
        operator_text(&mut text, node);
    }
    for connection in &graph.connections {
        let ends = if connection.ends_cycle {
            ", ends a cycle"
        } else {
            ""
        };
        let path = |port| plain(&graph.port_path(port));
        let (from, to) = (path(connection.from), path(connection.to));
        let _ = writeln!(
            text,
            "  {from} -> {to} ({}{ends})",
            partitioning_name(connection.partitioning)
        );
    }
    text
}

fn operator_text(text: &mut String, node: &OperatorNode) {
    let replicas = match node.replicas {
        1 => String::new(),
        many => format!(" x {many}"),
    };
    let (name, type_name) = (node.name.escape_debug(), short_type(node.description.type_name));
    if node.is_foreign() {
        foreign_text(text, node, &replicas);
        return;
    }
    let _ = writeln!(text, "  operator {name}{replicas}: {type_name}");
    for port in &node.description.ports {
        let direction = match port.direction {
            Direction::Input => "input",
            Direction::Output => "output",
        };
        let pinned = port
            .schemes
            .map(|schemes| format!(", pinned to {}://", schemes.join("://, ")));
        let (record, codec) = (short_type(port.record), short_type(port.codec));
        let _ = writeln!(
            text,
            "    {direction} {}: {record} as {codec}{}",
            port.name,
            pinned.unwrap_or_default()
        );
    }
    for spec in &node.description.parameters {
        let requirement = match &spec.requirement {
            Requirement::Required => "required".to_owned(),
            Requirement::Optional { default } => format!("default {default}"),
        };
        let doc = if spec.doc.is_empty() {
            String::new()
        } else {
            format!(". {}", spec.doc)
        };
        let _ = writeln!(
            text,
            "    parameter {}: {}, {requirement}{doc}",
            spec.name, spec.type_name
        );
    }
    for plugin in &node.description.plugins {
        let _ = writeln!(text, "    plugin {}", plugin.name);
    }
}

fn foreign_text(text: &mut String, node: &OperatorNode, replicas: &str) {
    let (name, why) = (node.name.escape_debug(), node.no_type());
    let _ = writeln!(text, "  operator {name}{replicas}: somebody else's, {why}");
    for port in &node.description.ports {
        let direction = match port.direction {
            Direction::Input => "input",
            Direction::Output => "output",
        };
        let _ = writeln!(text, "    {direction} {}", port.name.escape_debug());
    }
}

pub(super) fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("graph LR\n");
    for (index, node) in graph.operators.iter().enumerate() {
        let name: String = node
            .name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
            .collect();
        let replicas = if node.replicas == 1 {
            String::new()
        } else {
            format!(" × {}", node.replicas)
        };
        let _ = writeln!(text, "    o{index}[\"{name}{replicas}\"]");
    }
    for connection in &graph.connections {
        let arrow = if connection.ends_cycle { "-.->" } else { "-->" };
        let (from, to) = (connection.from, connection.to);
        let how = partitioning_name(connection.partitioning);
        let _ = writeln!(
            text,
            "    o{} {arrow}|\"{} → {}, {how}\"| o{}",
            from.operator,
            plain(from.port),
            plain(to.port),
            to.operator
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_shown_without_its_paths() {
        assert_eq!(short_type("alloc::vec::Vec<my::flights::Flight>"), "Vec<Flight>");
        assert_eq!(short_type("(alloc::string::String, u64)"), "(String, u64)");
    }
}
