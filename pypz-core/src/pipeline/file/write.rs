//! From a pipeline to what its file holds.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::connect::{ENDS_CYCLE, PARTITIONING, WAYS};
use super::parameters::{IMAGE, REPLICAS};
use super::pypz::{self, spec_of};
use crate::operator::operator_for;
use crate::parameter::cascade::split;
use crate::parameter::expand;
use crate::pipeline::graph::{ConnectionNode, Graph, OperatorNode, PortRef};
use crate::pipeline::notes::scheme_of;
use crate::pipeline::problem::{PipelineError, Problem};
use crate::pipeline::validate::{self, Resolved};
use crate::port::Direction;

/// The pipeline as a mapping.
pub(super) fn document(graph: &Graph) -> Result<Value, PipelineError> {
    let (resolved, _) = validate::resolve(graph);
    let mut writer = Writer {
        graph,
        resolved,
        bare: false,
        problems: Vec::new(),
    };
    let nested: Vec<Map<String, Value>> = (0..)
        .zip(&graph.operators)
        .map(|(index, node)| writer.spec(index, node))
        .collect();
    writer.bare = nested.iter().all(every_port_has_a_scheme);
    let operators = (0..).zip(&graph.operators).zip(nested);
    let operators: Vec<Value> = operators
        .map(|((index, node), spec)| writer.operator(index, node, spec))
        .collect();
    let mut spec = graph
        .file
        .as_ref()
        .map_or_else(Map::new, |file| file.spec.clone());
    for (field, value) in pypz::PIPELINE {
        spec.entry(field).or_insert_with(value);
    }
    spec.insert("nestedInstances".to_owned(), Value::Array(operators));
    let mut document = Map::from_iter([("name".to_owned(), graph.name.as_str().into())]);
    put(&mut document, "parameters", writer.parameters(""));
    document.insert("spec".to_owned(), Value::Object(spec));
    writer.secrets();
    writer.problems.sort();
    match writer.problems.is_empty() {
        true => Ok(Value::Object(document)),
        false => Err(PipelineError {
            pipeline: graph.name.escape_debug().to_string(),
            problems: writer.problems,
        }),
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    resolved: Resolved,
    /// Whether locations are written without their scheme, which the classes of all ports tell.
    bare: bool,
    problems: Vec<Problem>,
}

/// Puts a field where there is something to say.
fn put(into: &mut Map<String, Value>, field: &str, fields: Map<String, Value>) {
    if !fields.is_empty() {
        into.insert(field.to_owned(), Value::Object(fields));
    }
}

fn every_port_has_a_scheme(spec: &Map<String, Value>) -> bool {
    let nested = spec.get("nestedInstances").and_then(Value::as_array);
    let names = nested
        .into_iter()
        .flatten()
        .filter_map(|inner| inner.pointer("/spec/name")?.as_str());
    let mut ports = names.filter(|name| name.contains("Port")).peekable();
    ports.peek().is_some() && ports.all(|name| scheme_of(name).is_some())
}

impl Writer<'_> {
    /// The spec of an operator with what is nested in it: as the file had it, or made from the Rust type.
    fn spec(&mut self, index: usize, node: &OperatorNode) -> Map<String, Value> {
        if let Some(spec) = &node.notes.spec {
            return spec.clone();
        }
        let type_name = node.description.type_name;
        let name = match spec_of(type_name) {
            Some(spec) => operator_for(&spec)
                .map(|_| spec)
                .map_err(|error| error.to_string()),
            None => Err(format!(
                "{type_name} has no spec name, as types with generics have none: register it with register_operator!"
            )),
        };
        let name = name.unwrap_or_else(|what| {
            self.problems
                .push(Problem::new(self.graph.path(index, &[]), what));
            String::new()
        });
        let ports = node.description.ports.iter().map(|port| {
            let settings = self.resolved.ports.get(&(index, port.name));
            let location = settings.and_then(|settings| settings.location.as_ref());
            let scheme = location.map_or("memory", |location| location.scheme());
            json!({ "name": port.name, "spec": pypz::port(port.direction, scheme) })
        });
        let plugins = node.description.plugins.iter().map(
            |plugin| json!({ "name": plugin.name, "dependsOn": plugin.depends_on, "spec": pypz::plugin() }),
        );
        let nested: Vec<Value> = ports.chain(plugins).collect();
        let mut spec = Map::from_iter([("name".to_owned(), Value::from(name))]);
        for (field, value) in pypz::OPERATOR {
            spec.insert(field.to_owned(), value());
        }
        spec.insert("nestedInstances".to_owned(), Value::Array(nested));
        spec
    }

    fn operator(&self, index: usize, node: &OperatorNode, mut spec: Map<String, Value>) -> Value {
        let mut document = Map::from_iter([("name".to_owned(), node.name.as_str().into())]);
        let mut parameters = self.parameters(&node.name);
        if node.replicas > 1 {
            parameters.insert(REPLICAS.to_owned(), (node.replicas - 1).into());
        }
        if let Some(image) = &node.notes.image {
            parameters.insert(IMAGE.to_owned(), image.clone());
        }
        put(&mut document, "parameters", parameters);
        if !node.notes.depends_on.is_empty() {
            document.insert("dependsOn".to_owned(), node.notes.depends_on.clone().into());
        }
        let connections = self.connections(index);
        if !connections.is_empty() {
            document.insert("connections".to_owned(), Value::Array(connections));
        }
        self.nested(index, node, &mut spec);
        document.insert("spec".to_owned(), Value::Object(spec));
        Value::Object(document)
    }

    fn connections(&self, to: usize) -> Vec<Value> {
        let connections = self.graph.connections.iter();
        connections
            .filter(|connection| connection.to.operator == to)
            .map(|ConnectionNode { from, to, .. }| {
                let source = self
                    .graph
                    .operators
                    .get(from.operator)
                    .map_or("", |node| &node.name);
                json!({
                    "inputPortName": to.port,
                    "source": { "instanceName": source, "outputPortName": from.port },
                })
            })
            .collect()
    }

    /// Writes the parameters of ports and plugins into the spec of their operator.
    fn nested(&self, index: usize, node: &OperatorNode, spec: &mut Map<String, Value>) {
        let mut instances: Vec<Value> = match spec.remove("nestedInstances") {
            Some(Value::Array(instances)) => instances,
            _ => Vec::new(),
        };
        let ports = node
            .description
            .ports
            .iter()
            .map(|port| (port.name, Some(port.direction)));
        let plugins = node.description.plugins.iter().map(|plugin| (plugin.name, None));
        for (name, direction) in ports.chain(plugins) {
            let mut parameters = self.parameters(&format!("{}.{name}", node.name));
            if direction == Some(Direction::Input) {
                let port = PortRef {
                    operator: index,
                    port: name,
                };
                parameters.extend(self.of_connections(port));
            }
            if parameters.is_empty() {
                continue;
            }
            let known = instances.iter_mut().find(|instance| instance["name"] == name);
            match known.and_then(Value::as_object_mut) {
                Some(instance) => put(instance, "parameters", parameters),
                None => instances.push(json!({ "name": name, "parameters": parameters })),
            }
        }
        if !instances.is_empty() {
            spec.insert("nestedInstances".to_owned(), Value::Array(instances));
        }
    }

    /// What pypz's connections have no field for is said by parameters of the input port.
    fn of_connections(&self, to: PortRef) -> Map<String, Value> {
        let into: Vec<&ConnectionNode> = self
            .graph
            .connections
            .iter()
            .filter(|connection| connection.to == to)
            .collect();
        let by_source = |value: &dyn Fn(&ConnectionNode) -> Value| -> Value {
            let first = into.first().map_or(Value::Null, |connection| value(connection));
            if into.iter().all(|connection| value(connection) == first) {
                return first;
            }
            let source = |connection: &ConnectionNode| {
                let operator = self.graph.operators.get(connection.from.operator);
                format!(
                    "{}.{}",
                    operator.map_or("", |node| &node.name),
                    connection.from.port
                )
            };
            into.iter()
                .map(|connection| (source(connection), value(connection)))
                .collect::<Map<_, _>>()
                .into()
        };
        let way = |connection: &ConnectionNode| {
            let way = WAYS.iter().find(|(_, way)| *way == connection.partitioning);
            way.map_or(Value::Null, |(name, _)| Value::from(*name))
        };
        let mut said = Map::new();
        if into.iter().any(|connection| connection.partitioning != WAYS[0].1) {
            said.insert(PARTITIONING.to_owned(), by_source(&way));
        }
        if into.iter().any(|connection| connection.ends_cycle) {
            said.insert(
                ENDS_CYCLE.to_owned(),
                by_source(&|connection| connection.ends_cycle.into()),
            );
        }
        said
    }

    /// The parameters that are set at an instance, with their prefixes.
    fn parameters(&self, path: &str) -> Map<String, Value> {
        let own = self.graph.assignments.get(path).into_iter().flatten();
        own.map(|(key, value)| match split(key).1 {
            "channelLocation" if self.bare => (key.clone(), pypz::bare_location(value)),
            _ => (key.clone(), value.clone()),
        })
        .collect()
    }

    /// A secret is written as a template or not at all.
    fn secrets(&mut self) {
        let declared = self.graph.operators.iter().flat_map(|node| {
            let plugins = node
                .description
                .plugins
                .iter()
                .flat_map(|plugin| &plugin.parameters);
            node.description.parameters.iter().chain(plugins)
        });
        let secrets: BTreeSet<&str> = declared
            .filter(|spec| spec.type_name.contains("Secret"))
            .map(|spec| spec.name)
            .collect();
        for (path, own) in &self.graph.assignments {
            for (key, value) in own {
                let in_clear = value.is_string() && expand(value).is_ok_and(|expanded| expanded == *value);
                if in_clear && secrets.contains(split(key).1) {
                    let at = format!("{}.{path}", self.graph.name);
                    let what = format!(
                        "'{}' is a secret, which no file shows: set it to ${{env:NAME}}",
                        key.escape_debug()
                    );
                    self.problems.push(Problem::new(at.trim_end_matches('.'), what));
                }
            }
        }
    }
}
