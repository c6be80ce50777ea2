//! From a tree to a pipeline.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::Problems;
use super::instance::{self, Instance, Level};
use super::node::{Fields, Node, shown};
use super::{connect, parameters};
use crate::operator::{OperatorDescription, OperatorRegistration, PluginDescription, operator_for};
use crate::pipeline::graph::{Graph, OperatorNode, Runner};
use crate::pipeline::notes::{FileNotes, OperatorNotes};
use crate::port::{Direction, PortDescription};

/// Makes a graph of everything that could be read.
pub(super) fn load(root: &Node, problems: &mut Problems) -> Graph {
    let mut graph = Graph {
        name: String::new(),
        operators: Vec::new(),
        connections: Vec::new(),
        assignments: BTreeMap::new(),
        problems: Vec::new(),
        file: None,
    };
    let mut notes = FileNotes::default();
    notes.places.insert(String::new(), problems.place(root.at));
    let Some(pipeline) = instance::read(root, None, Level::Pipeline, problems) else {
        notes.doubtful.push(String::new());
        graph.file = Some(notes);
        return graph;
    };
    pipeline.name.clone_into(&mut graph.name);
    if let Some((_, at)) = pipeline.depends_on.first() {
        problems.note(
            *at,
            pipeline.name,
            "a pipeline depends on nothing: leave dependsOn out",
        );
    }
    notes.spec.clone_from(&pipeline.spec.raw);
    let operators: Vec<Instance<'_>> = pipeline
        .spec
        .nested
        .iter()
        .filter_map(|node| instance::read(node, Some(&pipeline.path), Level::Operator, problems))
        .collect();
    let nested: Vec<Vec<Instance<'_>>> = operators
        .iter()
        .map(|operator| {
            let nodes = operator.spec.nested.iter();
            nodes
                .filter_map(|node| instance::read(node, Some(&operator.path), Level::Plugin, problems))
                .collect()
        })
        .collect();
    for (instance, nested) in operators.iter().zip(&nested) {
        graph
            .operators
            .push(operator(instance, nested, &mut notes, problems));
    }
    depends_on(&pipeline, &operators, problems);
    connect::connect(&mut graph, &operators, &nested, &mut notes, problems);
    parameters::assign(&mut graph, &pipeline, &operators, &nested, &mut notes, problems);
    graph.file = Some(notes);
    graph
}

fn operator(
    instance: &Instance<'_>,
    nested: &[Instance<'_>],
    notes: &mut FileNotes,
    problems: &mut Problems,
) -> OperatorNode {
    let (spec, at) = instance.spec.name.unwrap_or(("", instance.at));
    let registration = operator_for(spec).unwrap_or_else(|ambiguous| {
        problems.note(at, &instance.path, ambiguous.to_string());
        notes.doubtful.push(instance.name.to_owned());
        None
    });
    if spec.is_empty() {
        notes.doubtful.push(instance.name.to_owned());
    }
    notes
        .places
        .insert(instance.name.to_owned(), problems.place(instance.at));
    let mut names = BTreeSet::new();
    for inner in nested {
        let path = format!("{}.{}", instance.name, inner.name);
        notes.places.insert(path, problems.place(inner.at));
        if !names.insert(inner.name) {
            let what = format!("'{}' is nested in it twice", shown(inner.name));
            problems.note(inner.at, &instance.path, what);
        }
    }
    let (description, runner) = match registration {
        Some(registration) => ours(registration, instance, nested, problems),
        None => (foreign(spec, nested), Runner::Foreign),
    };
    let port_specs = nested
        .iter()
        .filter_map(|inner| Some((inner.name.into(), inner.spec.name?.0.to_owned())));
    OperatorNode {
        name: instance.name.to_owned(),
        replicas: 1,
        description,
        runner,
        notes: OperatorNotes {
            spec: Some(raw_spec(instance, nested)),
            depends_on: instance
                .depends_on
                .iter()
                .map(|(on, _)| (*on).to_owned())
                .collect(),
            image: None,
            port_specs: port_specs.collect(),
        },
    }
}

/// The spec as it is written back: with what is nested, without the parameters there.
fn raw_spec(instance: &Instance<'_>, nested: &[Instance<'_>]) -> serde_json::Map<String, Value> {
    let mut raw = instance.spec.raw.clone();
    let nested: Vec<Value> = nested
        .iter()
        .map(|inner| {
            let on: Vec<&str> = inner.depends_on.iter().map(|(on, _)| *on).collect();
            let mut value = serde_json::Map::from_iter([("name".to_owned(), inner.name.into())]);
            if !on.is_empty() {
                value.insert("dependsOn".to_owned(), on.into());
            }
            if !inner.spec.raw.is_empty() {
                value.insert("spec".to_owned(), Value::Object(inner.spec.raw.clone()));
            }
            Value::Object(value)
        })
        .collect();
    if !nested.is_empty() {
        raw.insert("nestedInstances".to_owned(), Value::Array(nested));
    }
    raw
}

/// What an instance is by the base classes that the file names, or else by its own class.
fn direction(instance: &Instance<'_>) -> Option<Direction> {
    let is = |part: &str| {
        let plugin = format!("{part}PortPlugin'>");
        let by_type = instance.spec.types.iter().any(|name| name.ends_with(&plugin));
        let channel = format!("Channel{part}Port");
        let by_class = instance
            .spec
            .name
            .is_some_and(|(name, _)| name.ends_with(&channel));
        by_type || (instance.spec.types.is_empty() && by_class)
    };
    match (is("Input"), is("Output")) {
        (true, false) => Some(Direction::Input),
        (false, true) => Some(Direction::Output),
        _ => None,
    }
}

/// An operator that a Rust type stands for: what is nested in it must be what the type has.
fn ours(
    registration: &OperatorRegistration,
    instance: &Instance<'_>,
    nested: &[Instance<'_>],
    problems: &mut Problems,
) -> (OperatorDescription, Runner) {
    let description = registration.describe();
    for inner in nested {
        let port = description.ports.iter().find(|port| port.name == inner.name);
        let is_plugin = description.plugins.iter().any(|plugin| plugin.name == inner.name);
        let what = match (port, direction(inner)) {
            (None, _) if !is_plugin => {
                let ports = description.ports.iter().map(|port| port.name);
                let known: Vec<_> = ports
                    .chain(description.plugins.iter().map(|plugin| plugin.name))
                    .collect();
                format!(
                    "{} has no port or plugin '{}': it has {}",
                    registration.type_name(),
                    shown(inner.name),
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                )
            }
            (Some(port), Some(said)) if said != port.direction => {
                format!(
                    "port '{}' goes the other way in {}",
                    port.name,
                    registration.type_name()
                )
            }
            _ => continue,
        };
        problems.note(inner.at, &instance.path, what);
    }
    (description, Runner::Ours(registration.factory))
}

/// An operator that somebody else runs: it has what the file says.
fn foreign(spec: &str, nested: &[Instance<'_>]) -> OperatorDescription {
    let port = |inner: &Instance<'_>| direction(inner).map(|direction| foreign_port(inner.name, direction));
    let plugins = nested.iter().filter(|inner| direction(inner).is_none());
    OperatorDescription {
        type_name: intern(spec),
        doc: "",
        ports: nested.iter().filter_map(port).collect(),
        plugins: plugins
            .map(|inner| PluginDescription {
                name: intern(inner.name),
                depends_on: &[],
                parameters: Vec::new(),
            })
            .collect(),
        parameters: Vec::new(),
    }
}

pub(super) fn foreign_port(name: &str, direction: Direction) -> PortDescription {
    PortDescription {
        name: intern(name),
        direction,
        record: "",
        codec: "",
        schemes: None,
        doc: "",
    }
}

/// Names of types and ports live as long as the program; those of a file join them, each once.
fn intern(name: &str) -> &'static str {
    use std::sync::{Mutex, PoisonError};
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = name.to_owned().leak();
    names.insert(name);
    name
}

fn depends_on(pipeline: &Instance<'_>, operators: &[Instance<'_>], problems: &mut Problems) {
    for operator in operators {
        for (on, at) in &operator.depends_on {
            let what = match operators.iter().any(|other| other.name == *on) {
                true if *on == operator.name => "it depends on itself".to_owned(),
                true => continue,
                false => format!("'{}' is not an operator of {}", shown(on), shown(pipeline.name)),
            };
            problems.note(*at, &operator.path, what);
        }
    }
}

/// Keeps where each parameter of an instance stands.
pub(super) fn note_places(path: &str, parameters: &Fields, notes: &mut FileNotes, problems: &Problems) {
    for (key, (at, _)) in parameters {
        let name = crate::parameter::cascade::split(key).1;
        let place = problems.place(*at);
        notes
            .places
            .insert(crate::pipeline::notes::parameter_path(path, name), place);
    }
}
