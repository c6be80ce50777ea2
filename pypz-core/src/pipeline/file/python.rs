//! Rust's types, defaults and names in Python's words.

use serde_json::Value;

use crate::parameter::{ParameterSpec, Requirement};

/// A text in quotes. JSON's are Python's, too.
pub(super) fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// A value that JSON and Python both have.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, field)| format!("{}: {}", text(key), literal(field)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// Words that are Python's, or names that an operator of pypz has for itself.
const TAKEN: [&str; 15] = [
    "and", "as", "class", "def", "del", "from", "global", "import", "in", "is", "lambda", "not", "or",
    "pass", "update",
];

/// The attribute that holds a port or plugin.
pub(super) fn instance(name: &str) -> String {
    let is_taken = TAKEN.contains(&name)
        || ["get_", "set_", "has_", "is_", "_", "depends_", "create_"]
            .iter()
            .any(|start| name.starts_with(start));
    match is_taken {
        true => format!("_instance_{name}"),
        false => name.to_owned(),
    }
}

/// A parameter as a class of pypz declares it.
pub(super) struct Parameter<'a> {
    pub(super) class: &'static str,
    spec: &'a ParameterSpec,
    python_type: &'static str,
}

impl<'a> Parameter<'a> {
    /// `None` if Python has no type for the Rust one.
    pub(super) fn of(spec: &'a ParameterSpec) -> Option<Self> {
        let class = match spec.requirement {
            Requirement::Required => "RequiredParameter",
            Requirement::Optional { .. } => "OptionalParameter",
        };
        Some(Self {
            class,
            spec,
            python_type: python_type(spec.type_name)?,
        })
    }

    fn attribute(&self) -> String {
        let name = self.spec.name.replace('-', "_");
        format!("_parameter_{name}")
    }

    pub(super) fn declaration(&self) -> String {
        let (attribute, class, python_type) = (self.attribute(), self.class, self.python_type);
        let (name, doc) = (text(self.spec.name), text(self.spec.doc));
        format!("    {attribute} = {class}({python_type}, alt_name={name}, description={doc})")
    }

    /// The default; nothing where it cannot be told from its text.
    pub(super) fn value(&self) -> String {
        let shown = match &self.spec.requirement {
            Requirement::Required => "None",
            Requirement::Optional { default } => default,
        };
        let inner = shown
            .strip_prefix("Some(")
            .and_then(|shown| shown.strip_suffix(')'));
        let value: Value = serde_json::from_str(inner.unwrap_or(shown)).unwrap_or_default();
        let fits = match self.python_type {
            "bool" => value.is_boolean(),
            "int" => value.is_i64() || value.is_u64(),
            "float" => value.is_number(),
            "str" => value.is_string() && !self.spec.type_name.contains("Secret"),
            "list" => value.is_array(),
            _ => value.is_object(),
        };
        let value = if fits { literal(&value) } else { "None".to_owned() };
        format!("        self.{} = {value}", self.attribute())
    }
}

/// The type that a value of a file has in Python if Rust reads it as this one.
fn python_type(rust: &str) -> Option<&'static str> {
    let inner = rust
        .split_once("Option<")
        .and_then(|(_, inner)| inner.strip_suffix('>'));
    let name = inner.unwrap_or(rust);
    let (outer, _) = name.split_once('<').unwrap_or((name, ""));
    match outer.rsplit("::").next().unwrap_or(outer) {
        "bool" => Some("bool"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => Some("int"),
        "f32" | "f64" => Some("float"),
        "String" | "PathBuf" | "Secret" | "char" => Some("str"),
        "Vec" | "VecDeque" | "BTreeSet" | "HashSet" => Some("list"),
        "HashMap" | "BTreeMap" => Some("dict"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_defaults_are_pythons() {
        let of = |type_name, default: &str| {
            let spec = ParameterSpec {
                name: "max-age",
                type_name,
                requirement: Requirement::Optional {
                    default: default.to_owned(),
                },
                doc: "How \"old\".",
            };
            Parameter::of(&spec).map(|parameter| (parameter.python_type, parameter.value()))
        };
        for (rust, shown, python, value) in [
            ("u64", "8", "int", "8"),
            ("bool", "true", "bool", "True"),
            ("f64", "0.5", "float", "0.5"),
            ("String", "\"a\\\"b\"", "str", "\"a\\\"b\""),
            ("Option<u32>", "Some(3)", "int", "3"),
            ("std::option::Option<std::path::PathBuf>", "None", "str", "None"),
            ("Secret", "***", "str", "None"),
            ("Vec<u8>", "[1, 2]", "list", "[1, 2]"),
            ("HashMap<String, bool>", "{\"a\": true}", "dict", "{\"a\": True}"),
        ] {
            let value = format!("        self._parameter_max_age = {value}");
            assert_eq!(of(rust, shown), Some((python, value)), "{rust}");
        }
        assert_eq!(of("Mode", "Fast"), None);
    }
}
