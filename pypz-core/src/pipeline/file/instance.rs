//! What a file says of an instance, whichever: its name, parameters, spec and what is nested in it.

use serde_json::{Map, Value};

use super::fields::{Mapping, Problems};
use super::node::{Fields, Kind, Mark, Node, values};

/// The pipeline, an operator, or a port or plugin of one.
#[derive(Debug)]
pub(super) struct Instance<'a> {
    pub(super) at: Mark,
    pub(super) name: &'a str,
    /// Its full name.
    pub(super) path: String,
    pub(super) parameters: Option<&'a Fields>,
    pub(super) depends_on: Vec<(&'a str, Mark)>,
    pub(super) spec: Spec<'a>,
    pub(super) connections: Vec<Source<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Spec<'a> {
    pub(super) name: Option<(&'a str, Mark)>,
    pub(super) types: Vec<&'a str>,
    pub(super) nested: &'a [Node],
    /// All of it but what is nested.
    pub(super) raw: Map<String, Value>,
}

/// From which output port an input port is fed.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) input: (&'a str, Mark),
    pub(super) operator: (&'a str, Mark),
    pub(super) output: (&'a str, Mark),
}

/// What is nested in what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Pipeline,
    Operator,
    Plugin,
}

impl Level {
    const fn words(self) -> &'static str {
        match self {
            Self::Pipeline => "a pipeline",
            Self::Operator => "an operator",
            Self::Plugin => "a port or plugin",
        }
    }
}

/// Reads an instance; `None` if it has no name, by which everything is told.
pub(super) fn read<'a>(
    node: &'a Node,
    outer: Option<&str>,
    level: Level,
    problems: &mut Problems,
) -> Option<Instance<'a>> {
    let path = path(node, outer);
    let mut mapping = Mapping::new(node, &path, level.words(), problems);
    let name = mapping.required("name", problems);
    let parameters = mapping.map("parameters", problems);
    let depends_on = mapping.texts("dependsOn", problems);
    let mut connections = Vec::new();
    if level == Level::Operator {
        for item in mapping.list("connections", problems) {
            connections.extend(source(item, &path, problems));
        }
    }
    let spec = mapping.get("spec").map(|node| spec(node, &path, level, problems));
    let at = mapping.at();
    let is_named = spec.as_ref().is_some_and(|spec| spec.name.is_some());
    if level == Level::Operator && !is_named {
        problems.note(at, &path, "it has no spec with a name (module:Class)");
    }
    mapping.finish(problems);
    Some(Instance {
        at,
        name: name?.0,
        path,
        parameters,
        depends_on,
        spec: spec.unwrap_or_default(),
        connections,
    })
}

/// The full name of an instance, as far as it has one.
fn path(node: &Node, outer: Option<&str>) -> String {
    let name = match &node.kind {
        Kind::Map(fields) => fields.get("name").map(|(_, node)| &node.kind),
        _ => None,
    };
    match (outer, name) {
        (None, Some(Kind::Text(name))) => name.clone(),
        (None, _) => "pipeline".to_owned(),
        (Some(outer), Some(Kind::Text(name))) => format!("{outer}.{name}"),
        (Some(outer), _) => outer.to_owned(),
    }
}

fn spec<'a>(node: &'a Node, instance: &str, level: Level, problems: &mut Problems) -> Spec<'a> {
    let mut mapping = Mapping::new(node, instance, "a spec", problems);
    let name = mapping.text("name", problems);
    if let Some((_, at)) = name.filter(|(name, _)| !is_class(name)) {
        problems.note(at, instance, "the name of a spec is module:Class");
    }
    if let Some(location) = mapping.get("location") {
        problems.note(
            location.at,
            instance,
            "classes are not fetched from a location: leave it out",
        );
    }
    mapping.map("expectedParameters", problems);
    let types = mapping.texts("types", problems);
    mapping.text("nestedInstanceType", problems);
    let nested = mapping.list("nestedInstances", problems);
    if let (Level::Plugin, [first, ..]) = (level, nested) {
        problems.note(first.at, instance, "nothing is nested in a port or plugin");
    }
    mapping.finish(problems);
    let mut raw = match &node.kind {
        Kind::Map(fields) => values(fields),
        _ => Map::new(),
    };
    raw.remove("nestedInstances");
    Spec {
        name,
        types: types.into_iter().map(|(text, _)| text).collect(),
        nested,
        raw,
    }
}

/// Whether a text is `package.module:Class`, or a class in a class.
fn is_class(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split_once(':')
        .is_some_and(|(module, class)| module.split('.').chain(class.split('.')).all(is_word))
}

fn source<'a>(node: &'a Node, instance: &str, problems: &mut Problems) -> Option<Source<'a>> {
    let mut mapping = Mapping::new(node, instance, "a connection", problems);
    let input = mapping.required("inputPortName", problems);
    let ends = mapping.get("source");
    if ends.is_none() {
        problems.note(mapping.at(), instance, "'source' is missing");
    }
    mapping.finish(problems);
    let mut from = Mapping::new(ends?, instance, "the source of a connection", problems);
    let operator = from.required("instanceName", problems);
    let output = from.required("outputPortName", problems);
    from.finish(problems);
    Some(Source {
        input: input?,
        operator: operator?,
        output: output?,
    })
}
