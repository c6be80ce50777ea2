//! What only a pipeline file says: it is kept for whoever reads the file that is written back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::graph::{Graph, PortRef};
use super::problem::{Place, Problem};

/// Parameters of ports that pypz-python knows beside those of [`crate::port::SETTINGS`].
pub(super) const OF_PYPZ: [&str; 1] = ["syncConnectionsOpen"];

/// What a file says of the pipeline as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct FileNotes {
    /// The pipeline's own spec, without its operators.
    pub(super) spec: Map<String, Value>,
    /// Where each instance stands, by its path: `""`, `writer`, `writer.output`.
    pub(super) places: BTreeMap<String, Place>,
    /// The paths of instances of which too little could be read to say what else is wrong with them.
    pub(super) doubtful: Vec<String>,
}

/// What a file says of an operator.
#[derive(Debug, Clone, Default)]
pub(super) struct OperatorNotes {
    /// The spec as the file has it, parameters of nested instances left out.
    pub(super) spec: Option<Map<String, Value>>,
    /// The operators that it depends on. Ours need no such order: they wait for each other.
    pub(super) depends_on: Vec<String>,
    /// `operatorImageName`.
    pub(super) image: Option<Value>,
    /// Spec names of ports, as `pypz.plugins.kafka_io.ports:KafkaChannelInputPort`.
    pub(super) port_specs: BTreeMap<Arc<str>, String>,
}

/// By which the place of a parameter is found among those of instances.
pub(super) fn parameter_path(path: &str, parameter: &str) -> String {
    format!("{path}#{parameter}")
}

/// The scheme of the locations that a port class of pypz-python speaks: it writes `localhost:9092` and means Kafka.
pub(super) fn scheme_of(port_spec: &str) -> Option<&'static str> {
    match port_spec.split_once(':')?.0 {
        "pypz.plugins.kafka_io.ports" => Some("kafka"),
        "pypz.plugins.rmq_io.ports" => Some("amqp"),
        _ => None,
    }
}

impl Graph {
    /// The scheme of a port by its class in a file, or else by that of a port which it is connected to.
    pub(super) fn scheme(&self, port: PortRef) -> Option<&'static str> {
        let by_class = |port: PortRef| {
            let specs = &self.operators.get(port.operator)?.notes.port_specs;
            scheme_of(specs.get(port.port)?)
        };
        let connected = || {
            let ends = self.connections.iter().map(|one| (one.from, one.to));
            ends.filter(|(from, to)| *from == port || *to == port)
                .flat_map(|(from, to)| [from, to])
                .find_map(by_class)
        };
        by_class(port).or_else(connected)
    }

    /// Where a parameter of an operator, or of something in it, is set in the file.
    pub(super) fn place_of(&self, operator: usize, parts: &[&str], parameter: &str) -> Option<Place> {
        let path = self.path(operator, parts);
        self.place_in(path.strip_prefix(&self.name)?.trim_start_matches('.'), parameter)
    }

    /// Where a parameter of the instance with this path is set in the file.
    pub(super) fn place_in(&self, path: &str, parameter: &str) -> Option<Place> {
        let places = &self.file.as_ref()?.places;
        places.get(&parameter_path(path, parameter)).cloned()
    }

    /// Says of each problem where it stands, and leaves out those of instances that could not be read as a whole.
    pub(super) fn place(&self, problems: &mut Vec<Problem>) {
        let Some(file) = &self.file else { return };
        let path = |at: &str| match at.strip_prefix(&self.name) {
            Some(path) => path.trim_start_matches('.').to_owned(),
            None => at.to_owned(),
        };
        let within = |path: &str, doubtful: &String| {
            path.strip_prefix(doubtful.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        problems.retain(|problem| {
            let path = path(&problem.at);
            problem.place.is_some() || !file.doubtful.iter().any(|doubtful| within(&path, doubtful))
        });
        for problem in problems.iter_mut().filter(|problem| problem.place.is_none()) {
            let mut path = path(&problem.at);
            // The nearest instance around it that stands in the file.
            problem.place = loop {
                if let Some(place) = file.places.get(&path) {
                    break Some(place.clone());
                }
                match path.rsplit_once('.') {
                    Some((outer, _)) => path = outer.to_owned(),
                    None => break file.places.get("").cloned(),
                }
            };
        }
    }
}
