//! The classes of pypz-python that a file names, so that it is read there, too.

use serde_json::{Value, json};

use crate::operator::registered;
use crate::port::Direction;

type Field = (&'static str, fn() -> Value);

/// What the spec of a pipeline says.
pub(super) const PIPELINE: [Field; 3] = [
    ("name", || "pypz.core.specs.pipeline:Pipeline".into()),
    ("types", || json!(["<class 'pypz.core.specs.pipeline.Pipeline'>"])),
    ("nestedInstanceType", || {
        "<class 'pypz.core.specs.operator.Operator'>".into()
    }),
];

/// What the spec of an operator says beside its name.
pub(super) const OPERATOR: [Field; 2] = [
    ("types", || json!(["<class 'pypz.core.specs.operator.Operator'>"])),
    ("nestedInstanceType", || {
        "<class 'pypz.core.specs.plugin.Plugin'>".into()
    }),
];

/// The class of a port for a transport; for one that pypz-python has not, a port that carries nothing.
pub(super) fn port_class(direction: Direction, scheme: &str) -> String {
    let way = match direction {
        Direction::Input => "Input",
        Direction::Output => "Output",
    };
    match scheme {
        "kafka" => format!("pypz.plugins.kafka_io.ports:KafkaChannel{way}Port"),
        "amqp" => format!("pypz.plugins.rmq_io.ports:RMQChannel{way}Port"),
        _ => format!("pypz.core.specs.misc:Blank{way}PortPlugin"),
    }
}

/// The spec of a port.
pub(super) fn port(direction: Direction, scheme: &str) -> Value {
    let base = match direction {
        Direction::Input => "<class 'pypz.core.specs.plugin.InputPortPlugin'>",
        Direction::Output => "<class 'pypz.core.specs.plugin.OutputPortPlugin'>",
    };
    let types = match scheme {
        "kafka" | "amqp" => vec![
            "<class 'pypz.core.specs.plugin.ExtendedPlugin'>",
            base,
            "<class 'pypz.core.specs.plugin.ResourceHandlerPlugin'>",
        ],
        _ => vec![base],
    };
    json!({ "name": port_class(direction, scheme), "types": types })
}

/// The spec of a plugin, which runs in Rust alone.
pub(super) fn plugin() -> Value {
    json!({ "name": PLUGIN_CLASS, "types": ["<class 'pypz.core.specs.plugin.Plugin'>"] })
}

/// The class that stands for a plugin.
pub(super) const PLUGIN_CLASS: &str = "pypz.core.specs.misc:BlankPlugin";

/// A location as pypz-python writes it: an address without scheme, and for RabbitMQ without what it takes for granted.
pub(super) fn bare_location(value: &Value) -> Value {
    let bare = |text: &str| -> Option<String> {
        if let Some(servers) = text.strip_prefix("kafka://") {
            return Some(servers.to_owned());
        }
        let address = text.strip_prefix("amqp://")?;
        let address = address.strip_prefix("guest:guest@").unwrap_or(address);
        let address = address.strip_suffix('/').unwrap_or(address);
        (!address.contains(['@', '/', '?'])).then(|| address.to_owned())
    };
    let text = value.as_str();
    text.and_then(bare).map_or_else(|| value.clone(), Value::String)
}

/// The name under which a type is registered, if it is.
pub(super) fn spec_of(type_name: &str) -> Option<String> {
    let mut all = registered().iter();
    all.find(|(_, types)| types.iter().any(|one| one.type_name() == type_name))
        .map(|(spec, _)| spec.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_bare_if_pypz_can_say_it() {
        for (given, written) in [
            ("kafka://a:1,b:2", "a:1,b:2"),
            ("amqp://localhost", "localhost"),
            ("amqp://guest:guest@localhost:5672/", "localhost:5672"),
            (
                "amqp://me:secret@localhost/jobs",
                "amqp://me:secret@localhost/jobs",
            ),
            ("amqps://localhost", "amqps://localhost"),
            ("${env:KAFKA}", "${env:KAFKA}"),
        ] {
            assert_eq!(bare_location(&given.into()), Value::from(written));
        }
    }
}
