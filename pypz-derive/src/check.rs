//! What single fields cannot know: names that collide, plugins that depend on each other.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Ident, LitStr};

use crate::errors::Errors;
use crate::parse::{Model, Plugin};

/// Methods that every handle has.
const METHODS: [&str; 2] = ["name", "replicas"];

/// The longest name that pypz accepts, in bytes.
const MAX_NAME_BYTES: usize = 63;

/// Checks the parts against each other; parts that would break the generated code are taken out.
pub(crate) fn check(model: &mut Model, errors: &mut Errors) {
    instance_names(model, errors);
    parameter_names(model, errors);
    dependencies(&model.plugins, errors);
    methods(model, errors);
}

/// Ports and plugins are named by their fields, and these names go onto the wire.
fn instance_names(model: &Model, errors: &mut Errors) {
    for part in model
        .ports
        .iter()
        .map(|port| &port.part)
        .chain(model.plugins.iter().map(|plugin| &plugin.part))
    {
        if !is_name(&part.name) {
            let message = format!(
                "the name of a port or plugin has at most {MAX_NAME_BYTES} letters (a to z, A to Z), digits or '_': rename the field"
            );
            errors.at(&part.ident, message);
        }
    }
}

/// Parameters are set by name beside ports and plugins; what has no name of its own is taken out.
fn parameter_names(model: &mut Model, errors: &mut Errors) {
    let ports = model.ports.iter().map(|port| (port.part.name.as_str(), "port"));
    let plugins = model
        .plugins
        .iter()
        .map(|plugin| (plugin.part.name.as_str(), "plugin"));
    let mut taken: BTreeMap<String, &str> = ports
        .chain(plugins)
        .map(|(name, kind)| (name.to_owned(), kind))
        .collect();
    model.parameters.retain(|parameter| {
        let name = parameter.name.value();
        if !is_name(&name) {
            let message = format!(
                "the name of a parameter has at most {MAX_NAME_BYTES} letters (a to z, A to Z), digits, '_' or '-', and no digit or '-' first: give it one with #[parameter(name = \"...\")]"
            );
            errors.at(&parameter.name, message);
            return false;
        }
        if let Some(kind) = taken.get(&name) {
            let message = format!("there is a {kind} '{name}' already: give the parameter another name, as in #[parameter(name = \"...\")]");
            errors.at(&parameter.name, message);
            return false;
        }
        taken.insert(name, "parameter");
        true
    });
}

/// The rule of `InstanceName` in pypz-core.
fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.len() <= MAX_NAME_BYTES && name.starts_with(starts) && name.chars().all(word)
}

/// The handle has a method for each port and parameter; those that would be two of a name are taken out.
fn methods(model: &mut Model, errors: &mut Errors) {
    let mut free = |ident: &Ident, name: &str, what: &str, mend: &str| {
        let taken = METHODS.contains(&name);
        if taken {
            let message = format!(
                "every handle has a method `{name}`, so {what} cannot be called like it: rename the field{mend}"
            );
            errors.at(ident, message);
        }
        !taken
    };
    model
        .ports
        .retain(|port| free(&port.part.ident, &port.part.name, "a port", ""));
    model.parameters.retain(|parameter| {
        let mend = format!(
            " and keep the parameter's name with #[parameter(name = \"{}\")]",
            parameter.name.value()
        );
        free(
            &parameter.part.ident,
            &parameter.part.name,
            "the field of a parameter",
            &mend,
        )
    });
}

fn dependencies(plugins: &[Plugin], errors: &mut Errors) {
    let names: BTreeSet<&str> = plugins.iter().map(|plugin| plugin.part.name.as_str()).collect();
    for on in plugins.iter().flat_map(|plugin| &plugin.depends_on) {
        if !names.contains(on.value().as_str()) {
            let known = match names.len() {
                0 => String::new(),
                _ => format!(
                    ", as {} are",
                    names.iter().copied().collect::<Vec<_>>().join(", ")
                ),
            };
            errors.at(
                on,
                format!(
                    "'{}' is no plugin: name a field with #[plugin]{known}",
                    on.value()
                ),
            );
        }
    }
    if let Some((at, cycle)) = find_cycle(plugins) {
        let message = format!(
            "plugins that wait for each other never start: {}; take one out",
            cycle.join(" waits for ")
        );
        errors.at(at, message);
    }
}

/// The names along a cycle, if there is one, and where its last dependency is written.
fn find_cycle(plugins: &[Plugin]) -> Option<(&LitStr, Vec<String>)> {
    let mut waiting: BTreeMap<String, &[LitStr]> = plugins
        .iter()
        .map(|plugin| (plugin.part.name.clone(), plugin.depends_on.as_slice()))
        .collect();
    loop {
        let ready = waiting
            .iter()
            .find(|(_, depends_on)| depends_on.iter().all(|on| !waiting.contains_key(&on.value())))
            .map(|(name, _)| name.clone());
        let Some(ready) = ready else { break };
        waiting.remove(&ready);
    }
    // Every plugin that is left waits for one that is left, so that a walk along them comes back.
    let mut path = vec![waiting.keys().next()?.clone()];
    loop {
        let on = waiting
            .get(path.last()?)?
            .iter()
            .find(|on| waiting.contains_key(&on.value()))?;
        let back = path.iter().position(|name| *name == on.value());
        path.push(on.value());
        if let Some(start) = back {
            return Some((on, path.split_off(start)));
        }
    }
}
