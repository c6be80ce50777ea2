//! Defaults of fields, which a schema has as JSON.

use apache_avro::Schema;
use serde_json::Value;

use super::super::bounds::Bounds;
use super::number;

/// The longest default, in bytes (1 MiB).
const LONGEST: usize = 1 << 20;

/// Appends a default as a datum; `None` if it is not of its type, or too long.
pub(super) fn write_default(
    bounds: &Bounds,
    schema: &'static Schema,
    value: &Value,
    out: &mut Vec<u8>,
) -> Option<()> {
    if out.len() > LONGEST {
        return None;
    }
    match (bounds.resolve(schema), value) {
        (Schema::Array(array), Value::Array(items)) => {
            block(items.len(), out)?;
            for item in items {
                write_default(bounds, &array.items, item, out)?;
            }
        }
        (Schema::Map(map), Value::Object(items)) => {
            block(items.len(), out)?;
            for (key, item) in items {
                counted(key.as_bytes(), out)?;
                write_default(bounds, &map.types, item, out)?;
            }
        }
        (Schema::Record(record), Value::Object(values)) => {
            for field in &record.fields {
                let value = values.get(&field.name).or(field.default.as_ref())?;
                write_default(bounds, &field.schema, value, out)?;
            }
            return Some(());
        }
        (Schema::Union(union), value) => {
            let (at, bytes) = (0..).zip(union.variants()).find_map(|(at, branch)| {
                let mut bytes = Vec::new();
                write_default(bounds, branch, value, &mut bytes)?;
                Some((at, bytes))
            })?;
            number(at, out);
            out.extend(bytes);
            return Some(());
        }
        (schema, value) => return write_scalar(schema, value, out),
    }
    number(0, out);
    Some(())
}

fn write_scalar(schema: &Schema, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match (schema, value) {
        (Schema::Null, Value::Null) => {}
        (Schema::Boolean, Value::Bool(is)) => out.push(u8::from(*is)),
        (Schema::Float, Value::Number(of)) => {
            #[allow(clippy::cast_possible_truncation, reason = "a float has this many digits")]
            let of = of.as_f64()? as f32;
            out.extend_from_slice(&of.to_le_bytes());
        }
        (Schema::Double, Value::Number(of)) => out.extend_from_slice(&of.as_f64()?.to_le_bytes()),
        (Schema::String, Value::String(of)) => counted(of.as_bytes(), out)?,
        (Schema::Bytes, Value::String(of)) => counted(&bytes(of)?, out)?,
        (Schema::Fixed(fixed), Value::String(of)) => {
            out.extend(bytes(of).filter(|bytes| bytes.len() == fixed.size)?);
        }
        (Schema::Enum(of), Value::String(symbol)) => {
            let at = of.symbols.iter().position(|known| known == symbol)?;
            number(i64::try_from(at).ok()?, out);
        }
        (
            Schema::Int
            | Schema::Long
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos,
            Value::Number(of),
        ) => number(of.as_i64()?, out),
        _ => return None,
    }
    Some(())
}

/// The head of the only block of so many items, if there are any.
fn block(items: usize, out: &mut Vec<u8>) -> Option<()> {
    if items > 0 {
        number(i64::try_from(items).ok()?, out);
    }
    Some(())
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    number(i64::try_from(bytes.len()).ok()?, out);
    out.extend_from_slice(bytes);
    Some(())
}

/// In the default of bytes each char is one.
fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|char| u8::try_from(char).ok()).collect()
}
