//! Parameters: what a pipeline, operator, port or plugin can be told from outside.
//!
//! A parameter is declared by a field with `#[parameter]`, set by name on the pipeline or by the typed setter of a
//! handle, and may be set once for many instances by a cascading prefix ([`cascade`]).

pub mod cascade;
mod secret;
mod template;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use secret::Secret;
pub(crate) use secret::hidden;
pub use template::{TemplateError, expand};

/// Whether a parameter must be given.
#[derive(Debug, Clone, PartialEq)]
pub enum Requirement {
    /// The pipeline does not run without it.
    Required,
    /// The instance's own default stands, written here as text.
    Optional {
        /// The default, as `Debug` shows it; empty if it is not shown.
        default: String,
    },
}

/// A parameter that an instance declares.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// The name by which it is set.
    pub name: &'static str,
    /// The Rust type of the field.
    pub type_name: &'static str,
    /// Whether it must be given.
    pub requirement: Requirement,
    /// What it means, from the field's doc comment.
    pub doc: &'static str,
}

/// Why a parameter was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// Nobody declares a parameter of this name.
    #[error("there is no parameter '{name}'{}", hint(.known))]
    Unknown {
        /// The name that was set.
        name: String,
        /// The names that are declared.
        known: Vec<String>,
    },
    /// The value is not of the declared type. The value itself is not repeated: it may be a secret.
    #[error("parameter '{name}' wants {type_name}, but was given {given}")]
    Mistyped {
        /// The name of the parameter.
        name: String,
        /// The declared type.
        type_name: &'static str,
        /// The kind of value that was given.
        given: &'static str,
    },
    /// The value is a template that cannot be expanded.
    #[error("parameter '{name}': {source}")]
    Template {
        /// The name of the parameter.
        name: String,
        /// What is wrong with the template.
        source: TemplateError,
    },
}

fn hint(known: &[String]) -> String {
    match known {
        [] => ": none is declared here".to_owned(),
        names => format!(": the declared ones are {}", names.join(", ")),
    }
}

/// Reads a parameter's value as the type of its field.
///
/// # Errors
///
/// [`ParameterError::Mistyped`] if the value is of another type, [`ParameterError::Template`] if it refers to something
/// that is not there. A text that a template gave (`${env:COUNT}`) is also read as a number or boolean.
pub fn read<T: DeserializeOwned>(
    name: &str,
    type_name: &'static str,
    value: &Value,
) -> Result<T, ParameterError> {
    let template = |source| ParameterError::Template {
        name: name.to_owned(),
        source,
    };
    let expanded = expand(value).map_err(template)?;
    let mistyped = |_| ParameterError::Mistyped {
        name: name.to_owned(),
        type_name,
        given: kind_of(&expanded),
    };
    serde_json::from_value(expanded.clone())
        .or_else(|error| match (&expanded, &expanded == value) {
            (Value::String(text), false) => serde_json::from_str(text),
            _ => Err(error),
        })
        .map_err(mistyped)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (null)",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number that does not fit",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// What has parameters: operators, ports and plugins. `#[derive(OperatorSpec)]` and `#[derive(PluginSpec)]` implement
/// it from the fields marked `#[parameter]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` declares no parameters",
    label = "not an operator or plugin",
    note = "derive `OperatorSpec` (operators) or `PluginSpec` (plugins) for `{Self}`, beside `Default`"
)]
pub trait Parameterized {
    /// The declared parameters.
    #[must_use]
    fn parameters() -> Vec<ParameterSpec>
    where
        Self: Sized;

    /// Sets one parameter.
    ///
    /// # Errors
    ///
    /// See [`ParameterError`]; the instance is unchanged then.
    fn set_parameter(&mut self, name: &str, value: &Value) -> Result<(), ParameterError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_of_another_type_is_refused_without_repeating_it() {
        let error = read::<u64>("recordCount", "u64", &json!("hunter2")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "parameter 'recordCount' wants u64, but was given a text"
        );
        assert_eq!(read::<u64>("recordCount", "u64", &json!(30)).unwrap(), 30);
        assert!(read::<u64>("recordCount", "u64", &json!(-1)).is_err());
        assert!(
            read::<u64>("recordCount", "u64", &json!("30")).is_err(),
            "a text is not a number"
        );
    }

    #[test]
    fn a_template_gives_a_number_where_a_number_is_wanted() {
        let path = std::env::var("PATH").unwrap();
        assert_eq!(
            read::<String>("p", "String", &json!("${env:PATH}")).unwrap(),
            path
        );
        assert!(read::<u64>("p", "u64", &json!("${env:PATH}")).is_err());
        assert_eq!(
            read::<u64>("p", "u64", &json!("${env:NO_SUCH_VARIABLE:-7}")).unwrap(),
            7
        );
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret: Secret = read("password", "Secret", &json!("hunter2")).unwrap();
        assert_eq!(format!("{secret:?} {secret}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2");
    }
}
