//! Templates in the texts of parameters.

use pypz::parameter::expand;
use serde_json::Value;

use crate::{Verdict, must_be_plain};

/// Expands a JSON value, or else the bytes as one text.
pub fn templates(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Verdict::Refused;
    };
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    match expand(&value) {
        Ok(expanded) => {
            let has_template = any_text(&value, &|text| text.contains("${") || text.contains("$(env:"));
            assert!(
                has_template || expanded == value,
                "text without a template was changed"
            );
            Verdict::Accepted
        }
        Err(error) => {
            must_be_plain(&error.to_string());
            Verdict::Refused
        }
    }
}

fn any_text(value: &Value, is: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is)),
        Value::Object(fields) => fields.values().any(|field| any_text(field, is)),
        _ => false,
    }
}
