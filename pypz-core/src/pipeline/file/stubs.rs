//! Classes of pypz-python for operators that run in Rust: it builds the whole pipeline from a file, so that each needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use super::pypz::{PLUGIN_CLASS, port_class, spec_of};
use super::python;
use crate::operator::{OperatorRegistration, operator_for};
use crate::pipeline::graph::{Graph, OperatorNode};
use crate::pipeline::problem::{PipelineError, Problem};
use crate::pipeline::validate::{self, Resolved};
use crate::port::{Direction, PortDescription};

/// With this line each file begins; a file that begins otherwise is somebody's own.
const MARK: &str = "# Stubs of operators that run in Rust, made from their types. Do not edit.";

const BASE: &str = "
class _RunsInRust(Operator):
    def _on_init(self):
        raise RuntimeError(f\"{self.get_full_name()} runs in Rust\")

    def _on_running(self):
        raise RuntimeError(f\"{self.get_full_name()} runs in Rust\")

    def _on_shutdown(self):
        return True

    def _on_interrupt(self, system_signal=None):
        pass

    def _on_error(self, source, exception):
        pass
";

/// A module: what it imports, and the text of its classes by name.
#[derive(Default)]
struct Module {
    imports: BTreeSet<(String, String)>,
    classes: BTreeMap<String, String>,
}

/// Path and text of each module.
pub(super) fn modules(graph: &Graph) -> Result<Vec<(PathBuf, String)>, PipelineError> {
    let (resolved, _) = validate::resolve(graph);
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    let mut problems = Vec::new();
    let ours = (0..).zip(&graph.operators).filter(|(_, node)| !node.is_foreign());
    for (index, node) in ours {
        let found = registration(node).and_then(|(spec, registration)| {
            let (module, class) = spec.split_once(':').ok_or_else(|| format!("'{spec}' is not module:Class"))?;
            let module = modules.entry(module.to_owned()).or_default();
            let text = Stub {
                graph,
                resolved: &resolved,
                index,
                node,
                registration,
            }
            .text(class, &mut module.imports);
            match module.classes.insert(class.to_owned(), text.clone()) {
                Some(other) if other != text => Err(format!(
                    "another operator is '{spec}', too, and its ports are of other classes or modes: one class cannot stand for both"
                )),
                _ => Ok(()),
            }
        });
        if let Err(what) = found {
            problems.push(Problem::new(graph.path(index, &[]), what));
        }
    }
    match problems.is_empty() {
        true => Ok(modules
            .into_iter()
            .map(|(name, module)| module.written(&name))
            .collect()),
        false => Err(PipelineError {
            pipeline: graph.name.escape_debug().to_string(),
            problems,
        }),
    }
}

fn registration(node: &OperatorNode) -> Result<(String, &'static OperatorRegistration), String> {
    let type_name = node.description.type_name;
    let nameless = || format!("{type_name} has no spec name");
    let spec = spec_of(type_name).ok_or_else(nameless)?;
    let registration = operator_for(&spec).map_err(|ambiguous| ambiguous.to_string())?;
    Ok((spec, registration.ok_or_else(nameless)?))
}

impl Module {
    fn written(self, name: &str) -> (PathBuf, String) {
        let mut text = format!("{MARK}\n\n");
        for (module, class) in &self.imports {
            let _ = writeln!(text, "from {module} import {class}");
        }
        text.push('\n');
        text.push_str(BASE);
        for class in self.classes.values() {
            let _ = write!(text, "\n\n{class}");
        }
        let mut path: PathBuf = name.split('.').collect();
        path.set_extension("py");
        (path, text)
    }
}

struct Stub<'a> {
    graph: &'a Graph,
    resolved: &'a Resolved,
    index: usize,
    node: &'a OperatorNode,
    registration: &'static OperatorRegistration,
}

impl Stub<'_> {
    fn text(&self, class: &str, imports: &mut BTreeSet<(String, String)>) -> String {
        let import = |imports: &mut BTreeSet<(String, String)>, module: &str, name: &str| {
            imports.insert((module.to_owned(), name.to_owned()));
        };
        import(imports, "pypz.core.specs.operator", "Operator");
        let description = &self.node.description;
        let mut text = format!("class {class}(_RunsInRust):\n");
        if !description.doc.is_empty() {
            let _ = writeln!(text, "    {}\n", python::text(description.doc));
        }
        let mut values = String::new();
        for spec in &description.parameters {
            let Some(parameter) = python::Parameter::of(spec) else {
                let _ = writeln!(
                    text,
                    "    # Parameter {} is {}, which has no type there.",
                    spec.name, spec.type_name
                );
                continue;
            };
            import(imports, "pypz.core.commons.parameters", parameter.class);
            let _ = writeln!(text, "{}", parameter.declaration());
            let _ = writeln!(values, "{}", parameter.value());
        }
        text.push_str("\n    def __init__(self, name=None, *args, **kwargs):\n");
        text.push_str("        super().__init__(name, *args, **kwargs)\n");
        let schemas: BTreeMap<_, _> = self.registration.schemas().into_iter().collect();
        for port in &description.ports {
            let (module, name) = self.class_of(port);
            import(imports, &module, &name);
            let schema = schemas.get(port.name).cloned().flatten();
            let schema = schema.map_or_else(|| "None".to_owned(), |schema| python::text(&canonical(schema)));
            let mode = match (port.direction, self.is_broadcast(port)) {
                (Direction::Input, true) => ", group_mode=True",
                _ => "",
            };
            let instance = python::instance(port.name);
            let _ = writeln!(
                text,
                "        self.{instance} = {name}(\"{}\", schema={schema}{mode})",
                port.name
            );
        }
        for plugin in &description.plugins {
            let (module, name) = PLUGIN_CLASS.split_once(':').unwrap_or_default();
            import(imports, module, name);
            let instance = python::instance(plugin.name);
            let _ = writeln!(text, "        self.{instance} = {name}(\"{}\")", plugin.name);
        }
        text.push_str(&values);
        text
    }

    /// Module and name of a port's class: what the file says, or what its location asks for.
    fn class_of(&self, port: &PortDescription) -> (String, String) {
        let said = self.node.notes.port_specs.get(port.name).cloned();
        let class = said.unwrap_or_else(|| {
            let settings = self.resolved.ports.get(&(self.index, port.name));
            let location = settings.and_then(|settings| settings.location.as_ref());
            port_class(
                port.direction,
                location.map_or("memory", |location| location.scheme()),
            )
        });
        let (module, name) = class.split_once(':').unwrap_or(("", &class));
        (module.to_owned(), name.to_owned())
    }

    fn is_broadcast(&self, port: &PortDescription) -> bool {
        let mut into = self.graph.connections.iter();
        into.any(|connection| {
            connection.to.operator == self.index
                && connection.to.port == port.name
                && crate::channel::Delivery::from(connection.partitioning)
                    == crate::channel::Delivery::Broadcast
        })
    }
}

/// A schema without defaults and logical types, which a Python library would give other types for.
fn canonical(schema: String) -> String {
    apache_avro::Schema::parse_str(&schema).map_or(schema, |schema| schema.canonical_form())
}
