//! `${env:VAR}` and `$(env:VAR)` in the texts of parameters.

use serde_json::Value;

/// Why a template could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The variable is not set and the template has no default.
    #[error(
        "environment variable {shown} is not set: set it, or give a default with ${{env:{shown}:-default}}",
        shown = .name.escape_debug()
    )]
    Missing {
        /// The variable.
        name: String,
    },
    /// The template is not `${env:NAME}` or `${env:NAME:-default}`.
    #[error(
        "the ${{ at character {at} is not a template: only ${{env:NAME}} and ${{env:NAME:-default}} are known"
    )]
    Malformed {
        /// The place of `${` in the text, from 1. The text itself is not repeated: it may be a secret.
        at: usize,
    },
}

/// Expands every `${env:NAME}` and `${env:NAME:-default}` in the texts of a value, once: what a variable holds is not
/// expanded again. `$(env:NAME)`, which pypz-python expands where the operator runs, is the same here.
///
/// # Errors
///
/// [`TemplateError`] if a variable is missing or a template is not understood.
pub fn expand(value: &Value) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => Value::String(expand_text(text)?),
        Value::Array(items) => Value::Array(items.iter().map(expand).collect::<Result<_, _>>()?),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), expand(field)?)))
                .collect::<Result<_, TemplateError>>()?,
        ),
        plain => plain.clone(),
    })
}

fn expand_text(text: &str) -> Result<String, TemplateError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, template, close)) = next_template(rest) {
        let place = text.len() - rest.len() + before.len();
        let malformed = || TemplateError::Malformed {
            at: text[..place].chars().count() + 1,
        };
        let (inner, after) = template.split_once(close).ok_or_else(malformed)?;
        let variable = inner.strip_prefix("env:").ok_or_else(malformed)?;
        let (name, default) = variable
            .split_once(":-")
            .map_or((variable, None), |(name, default)| (name, Some(default)));
        let given = std::env::var(name).ok().or_else(|| default.map(str::to_owned));
        expanded.push_str(before);
        expanded.push_str(&given.ok_or_else(|| TemplateError::Missing {
            name: name.to_owned(),
        })?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// What stands before the next template, what behind its bracket, and the bracket that closes it.
fn next_template(text: &str) -> Option<(&str, &str, char)> {
    let braces = text.split_once("${").map(|(before, after)| (before, after, '}'));
    // Other texts have `$(` in them, too, so that only the whole word counts.
    let round = text.find("$(env:").map(|at| (&text[..at], &text[at + 2..], ')'));
    match (braces, round) {
        (Some(braces), Some(round)) if round.0.len() < braces.0.len() => Some(round),
        (braces, round) => braces.or(round),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_variable_and_an_unknown_template_are_errors() {
        for (template, part) in [
            ("${env:PYPZ_NO_SUCH_VARIABLE}", "PYPZ_NO_SUCH_VARIABLE is not set"),
            ("${file:/etc/passwd}", "is not a template"),
            ("${env:PATH", "is not a template"),
            ("x${hunter2", "the ${ at character 2 is not a template"),
        ] {
            assert!(
                expand(&json!([template])).unwrap_err().to_string().contains(part),
                "{template}"
            );
        }
    }

    #[test]
    fn the_name_of_a_missing_variable_is_shown_without_control_characters() {
        let shown = expand(&json!("${env:PYPZ_\u{1b}[31m\n}"))
            .unwrap_err()
            .to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }

    #[test]
    fn a_default_stands_in_and_other_text_stays() {
        assert_eq!(
            expand(&json!({"a": "x-${env:PYPZ_NO:-1}-$y {}"})).unwrap(),
            json!({"a": "x-1-$y {}"})
        );
        assert_eq!(
            expand(&json!("$(env:PYPZ_NO:-1) $(date) ${env:PYPZ_NO:-2}")).unwrap(),
            json!("1 $(date) 2")
        );
    }
}
