//! Parameters of a file, as the builder knows them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::connect::{ENDS_CYCLE, PARTITIONING};
use super::fields::Problems;
use super::instance::Instance;
use super::load::note_places;
use super::node::{Fields, Mark, values};
use crate::parameter::cascade::{Assignments, split};
use crate::parameter::expand;
use crate::pipeline::graph::{Graph, OperatorNode, Runner};
use crate::pipeline::notes::{FileNotes, OF_PYPZ};
use crate::port::{Direction, SETTINGS};

/// Parameters of operators that are said in code otherwise.
pub(super) const REPLICAS: &str = "replicationFactor";
pub(super) const IMAGE: &str = "operatorImageName";

/// Takes over the parameters of all instances.
pub(super) fn assign(
    graph: &mut Graph,
    pipeline: &Instance<'_>,
    operators: &[Instance<'_>],
    nested: &[Vec<Instance<'_>>],
    notes: &mut FileNotes,
    problems: &mut Problems,
) {
    let none = Fields::new();
    let of = |instance: &Instance<'_>| values(instance.parameters.unwrap_or(&none)).into_iter().collect();
    let remains = Remains {
        pipeline: of(pipeline),
        operators: operators.iter().map(of).collect(),
        nested: nested
            .iter()
            .map(|inner| inner.iter().map(of).collect())
            .collect(),
    };
    let above = Assignments::default().overridden_by(pipeline.name, &remains.pipeline);
    note_places("", pipeline.parameters.unwrap_or(&none), notes, problems);
    let mut own = remains.pipeline.clone();
    own.retain(|key, value| {
        !of_operators(key) && (!split(key).0.is_empty() || !remains.reaches_none(graph, key, value))
    });
    keep(graph, String::new(), own);
    for (index, (operator, inner)) in operators.iter().zip(nested).enumerate() {
        let (Some(own), Some(node)) = (remains.operators.get(index), graph.operators.get_mut(index)) else {
            continue;
        };
        note_places(
            operator.name,
            operator.parameters.unwrap_or(&none),
            notes,
            problems,
        );
        let here = above.inherited().overridden_by(operator.name, own);
        let at = |key: &str| {
            place_of(operator, key)
                .or_else(|| place_of(pipeline, key))
                .unwrap_or(operator.at)
        };
        replicas(node, here.value(REPLICAS), at(REPLICAS), &operator.path, problems);
        node.notes.image = here.value(IMAGE).filter(|image| !image.is_null()).cloned();
        let own = remains.of_operator(node, index);
        let foreign = node.is_foreign();
        keep(graph, operator.name.to_owned(), own);
        for (at, instance) in inner.iter().enumerate() {
            let path = format!("{}.{}", operator.name, instance.name);
            note_places(&path, instance.parameters.unwrap_or(&none), notes, problems);
            if let Some(node) = graph.operators.get(index) {
                let own = remains.of_nested(node, index, at, instance.name, foreign);
                keep(graph, path, own);
            }
        }
    }
}

fn keep(graph: &mut Graph, path: String, own: BTreeMap<String, Value>) {
    if !own.is_empty() {
        graph.assignments.insert(path, own);
    }
}

fn of_operators(key: &str) -> bool {
    [REPLICAS, IMAGE].contains(&split(key).1)
}

fn place_of(instance: &Instance<'_>, name: &str) -> Option<Mark> {
    let mut fields = instance.parameters?.iter();
    fields
        .find(|(key, _)| split(key).1 == name)
        .map(|(_, (_, node))| node.at)
}

/// `replicationFactor` counts the copies beside the principal.
fn replicas(node: &mut OperatorNode, factor: Option<&Value>, at: Mark, path: &str, problems: &mut Problems) {
    let Some(factor) = factor.filter(|factor| !factor.is_null()) else {
        return;
    };
    let expanded = expand(factor).unwrap_or_default();
    let number = match &expanded {
        Value::String(text) if expanded != *factor => text.parse().ok(),
        other => other.as_u64(),
    };
    match number.and_then(|number: u64| u32::try_from(number.checked_add(1)?).ok()) {
        Some(replicas) => node.replicas = replicas,
        None => problems.note(at, path, format!("'{REPLICAS}' is a number of copies, 0 or more")),
    }
}

/// The parameters of all instances as they stand in the file.
///
/// pypz-python writes a pipeline down after its cascades: `#region` on the pipeline stands as `region` on it and on each
/// of its operators, whether they know it or not. Where a value is such a remnant it is left out; a parameter that stands
/// alone and that nobody declares is somebody's mistake, and stays to be refused.
struct Remains {
    pipeline: BTreeMap<String, Value>,
    operators: Vec<BTreeMap<String, Value>>,
    nested: Vec<Vec<BTreeMap<String, Value>>>,
}

impl Remains {
    /// Whether a plain parameter of the pipeline is what a cascade left: its operators have the same one, and none of
    /// ours that declares it is without.
    fn reaches_none(&self, graph: &Graph, key: &str, value: &Value) -> bool {
        let is_copied = self.operators.iter().any(|own| own.get(key) == Some(value));
        let mut declaring = graph.operators.iter().zip(&self.operators).zip(&self.nested);
        is_copied
            && declaring.all(|((node, own), nested)| {
                let ports = SETTINGS.iter().any(|(name, ..)| *name == key) && nested.is_empty();
                node.is_foreign() || (!ports && (!declares(node, key) || own.contains_key(key)))
            })
    }

    fn of_operator(&self, node: &OperatorNode, index: usize) -> BTreeMap<String, Value> {
        let mut own = self.operators.get(index).cloned().unwrap_or_default();
        let nested = self.nested.get(index).map_or(&[][..], Vec::as_slice);
        let foreign = node.is_foreign();
        let mut trial = match node.runner {
            Runner::Ours(factory) => Some(factory()),
            Runner::Foreign => None,
        };
        own.retain(|key, value| {
            let plain = split(key).0.is_empty();
            let copied = self.pipeline.get(key) == Some(value)
                || (!nested.is_empty() && nested.iter().all(|inner| inner.get(key) == Some(value)));
            let remnant = plain && !foreign && !declares(node, key) && (copied || value.is_null());
            // Nothing is the default, unless the operator's own type has a meaning for it.
            let unset = value.is_null()
                && trial
                    .as_mut()
                    .is_some_and(|trial| trial.set_parameter(key, value).is_err());
            let left_out = of_operators(key) || remnant || (plain && unset);
            !left_out
        });
        own
    }

    fn of_nested(
        &self,
        node: &OperatorNode,
        index: usize,
        at: usize,
        name: &str,
        foreign: bool,
    ) -> BTreeMap<String, Value> {
        let all = self.nested.get(index).map_or(&[][..], Vec::as_slice);
        let mut own = all.get(at).cloned().unwrap_or_default();
        let port = node.description.ports.iter().find(|port| port.name == name);
        let of_port = |key: &str| {
            let is_input = port.is_some_and(|port| port.direction == Direction::Input);
            is_input && [PARTITIONING, ENDS_CYCLE].contains(&key)
        };
        let declared =
            |key: &str| match port {
                Some(_) => SETTINGS.iter().any(|(name, ..)| *name == key) || OF_PYPZ.contains(&key),
                None => node.description.plugins.iter().any(|plugin| {
                    plugin.name == name && plugin.parameters.iter().any(|spec| spec.name == key)
                }),
            };
        own.retain(|key, value| {
            let of_operator = self.operators.get(index).and_then(|own| own.get(key));
            let copied = of_operator == Some(value)
                || (all.len() > 1 && all.iter().all(|own| own.get(key) == Some(value)));
            let remnant = !declared(key) && copied;
            !of_port(key) && (foreign || !(remnant || value.is_null()))
        });
        own
    }
}

fn declares(node: &OperatorNode, key: &str) -> bool {
    node.description.parameters.iter().any(|spec| spec.name == key)
}
