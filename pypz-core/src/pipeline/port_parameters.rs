//! The parameters of ports: their settings, and what pypz-python says of them in files.

use serde_json::Value;

use super::graph::{OperatorNode, PortRef};
use super::notes::OF_PYPZ;
use super::validate::Pass;
use crate::parameter::{ParameterSpec, Requirement};
use crate::port::{PortSettings, SETTINGS};

impl Pass<'_> {
    /// The parameters that ports have: more of them if a file may say them.
    pub(super) fn of_ports(&self) -> Vec<ParameterSpec> {
        let mut declared = PortSettings::parameters();
        let theirs = OF_PYPZ
            .iter()
            .filter(|name| self.graph.file.is_some() && declared.iter().all(|spec| spec.name != **name))
            .map(|name| ParameterSpec {
                name,
                type_name: "bool",
                requirement: Requirement::Optional {
                    default: "false".to_owned(),
                },
                doc: "",
            })
            .collect::<Vec<_>>();
        declared.extend(theirs);
        declared
    }

    pub(super) fn port_settings(
        &mut self,
        index: usize,
        port: &'static str,
        own: &[(String, Value)],
    ) -> PortSettings {
        let mut settings = PortSettings::default();
        let foreign = self
            .graph
            .operators
            .get(index)
            .is_some_and(OperatorNode::is_foreign);
        let end = PortRef {
            operator: index,
            port,
        };
        for (name, value) in own {
            let value = &match name.as_str() {
                "channelLocation" => self.with_scheme(end, value),
                _ => value.clone(),
            };
            if foreign {
                // Its other settings are for its own transport; writers of ours have to know when it begins to read.
                if matches!(name.as_str(), "channelLocation" | "sequentialModeEnabled") {
                    let _ = settings.set(name, value);
                }
                continue;
            }
            if OF_PYPZ.contains(&name.as_str()) && !SETTINGS.iter().any(|(known, ..)| known == name) {
                self.of_pypz(end, name, value);
                continue;
            }
            if let Err(error) = settings.set(name, value) {
                self.parameter_problem(index, &[port], name, error.to_string());
            }
        }
        settings
    }

    /// Ports wait for all peers here anyway.
    fn of_pypz(&mut self, port: PortRef, name: &str, value: &Value) {
        if matches!(value, Value::Bool(_) | Value::Null) {
            return;
        }
        let what = format!("parameter '{name}' wants a boolean");
        self.parameter_problem(port.operator, &[port.port], name, what);
    }

    /// A location without a scheme is that of the port's class: pypz-python writes `localhost:9092`.
    fn with_scheme(&self, port: PortRef, value: &Value) -> Value {
        let expanded = crate::parameter::expand(value).unwrap_or_default();
        match (expanded.as_str(), self.graph.scheme(port)) {
            (Some(text), Some(scheme)) if !text.contains("://") => format!("{scheme}://{text}").into(),
            _ => value.clone(),
        }
    }
}
