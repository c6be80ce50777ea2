//! YAML as it is written: block style, and every text quoted that anybody could take for something else.

use std::fmt::Write;

use serde_json::Value;

use super::node::Kind;
use super::scalar;

/// A mapping as a YAML document.
pub(super) fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0, Position::Line);
    text
}

/// Where a value begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// At the beginning of a line.
    Line,
    /// Behind `key:`.
    Key,
    /// Behind `- `.
    Item,
}

fn block(text: &mut String, value: &Value, indent: usize, position: Position) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            // A name first, as one writes it.
            let named = fields.get_key_value("name");
            let others = fields.iter().filter(|(key, _)| *key != "name");
            for (n, (key, field)) in named.into_iter().chain(others).enumerate() {
                begin(text, indent, position, n == 0);
                scalar(text, key);
                text.push(':');
                block(text, field, indent + 1, Position::Key);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                begin(text, indent, position, n == 0);
                text.push_str("- ");
                block(text, item, indent + 1, Position::Item);
            }
        }
        plain => {
            if position == Position::Key {
                text.push(' ');
            }
            match plain {
                Value::String(words) => scalar(text, words),
                Value::Number(number) => text.push_str(&written(number)),
                Value::Object(_) => text.push_str("{}"),
                Value::Array(_) => text.push_str("[]"),
                other => {
                    let _ = write!(text, "{other}");
                }
            }
            text.push('\n');
        }
    }
}

/// Begins the next entry of a block; the first one behind `- ` stands in the same line.
fn begin(text: &mut String, indent: usize, position: Position, first: bool) {
    match (position, first) {
        (Position::Item, true) => return,
        (Position::Key, true) => text.push('\n'),
        _ => {}
    }
    text.extend(std::iter::repeat_n("  ", indent));
}

/// A number that is one to YAML 1.1, too: with a point, and a sign in the exponent.
fn written(number: &serde_json::Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn scalar(text: &mut String, words: &str) {
    let is_plain = words.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && words
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b))
        && !words.ends_with(':')
        && scalar::plain(words) == Ok(Kind::Text(words.to_owned()));
    if is_plain {
        text.push_str(words);
        return;
    }
    text.push('"');
    for c in words.chars() {
        let _ = match c {
            '"' | '\\' => write!(text, "\\{c}"),
            ' '..='~' => write!(text, "{c}"),
            letter if letter.is_alphanumeric() => write!(text, "{letter}"),
            other if u32::from(other) <= 0xFFFF => write!(text, "\\u{:04x}", u32::from(other)),
            other => write!(text, "\\U{:08x}", u32::from(other)),
        };
    }
    text.push('"');
}
