//! Between two schemas of the same records: whether one can be read as the other, and how.
//!
//! The rules are those of the Avro specification 1.11, "Schema Resolution", except that a type may have another name where
//! everything else is the same.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use apache_avro::Schema;
use apache_avro::error::CompatibilityError;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value;

use super::Translation;
use super::bounds::Bounds;

/// What of a schema decides which bytes a value has, and what they mean.
const MATTERS: [&str; 9] = [
    "type",
    "fields",
    "symbols",
    "items",
    "values",
    "size",
    "logicalType",
    "precision",
    "scale",
];

/// Turns data of one schema into data of another; `None` if they are the same.
///
/// # Errors
///
/// Both schemas by name, with the field that cannot be read.
pub(super) fn translation(from: &str, to: &str) -> Result<Option<Translation>, String> {
    if from == to {
        return Ok(None);
    }
    let (from, to) = (parsed(from)?, parsed(to)?);
    if shape(from) == shape(to) {
        return Ok(None);
    }
    SchemaCompatibility::can_read(from, to).map_err(|error| {
        let (path, reason) = explained(error);
        let (from, to) = (name_of(from), name_of(to));
        format!("a record of schema {from} cannot be read as {to}: {path}{reason}")
    })?;
    let unusable = |error: apache_avro::Error| error.to_string();
    let reader = GenericDatumReader::builder(from).reader_schema(to);
    let reader = reader.build().map_err(unusable)?;
    let writer = GenericDatumWriter::builder(to).build().map_err(unusable)?;
    let bounds = Bounds::of(from);
    Ok(Some(Box::new(move |datum, buffer| {
        // Afterwards no length in it is longer than the datum itself.
        bounds.check(datum)?;
        let mut rest = datum;
        let value = reader.read_value(&mut rest).map_err(unusable)?;
        if !rest.is_empty() {
            return Err(format!("{} of {} bytes left over", rest.len(), datum.len()));
        }
        writer.write_value(buffer, value).map_err(unusable)?;
        Ok(())
    })))
}

/// A schema that lives on: datum readers and writers borrow it.
fn parsed(text: &str) -> Result<&'static Schema, String> {
    static SCHEMAS: OnceLock<Mutex<HashMap<String, &'static Schema>>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(Mutex::default).lock();
    let mut schemas = schemas.unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = schemas.get(text) {
        return Ok(schema);
    }
    let schema = Schema::parse_str(text).map_err(|error| format!("not an Avro schema: {error}"))?;
    let schema: &'static Schema = Box::leak(Box::new(schema));
    schemas.insert(text.to_owned(), schema);
    Ok(schema)
}

/// A schema without what does not matter for its data, and with the places of named types for their names.
fn shape(schema: &Schema) -> Value {
    let mut value = serde_json::to_value(schema).unwrap_or_default();
    reduce(&mut value, &mut Vec::new());
    value
}

fn reduce(schema: &mut Value, named: &mut Vec<String>) {
    match schema {
        Value::String(name) => {
            if let Some(place) = named.iter().position(|known| known == name) {
                *schema = place.into();
            }
        }
        Value::Array(variants) => variants.iter_mut().for_each(|variant| reduce(variant, named)),
        Value::Object(object) => {
            if let Some(name) = object.get("name").and_then(Value::as_str) {
                let namespace = object.get("namespace").and_then(Value::as_str);
                named.push(namespace.map_or_else(|| name.to_owned(), |space| format!("{space}.{name}")));
            }
            object.retain(|key, _| MATTERS.contains(&key.as_str()));
            for field in object
                .get_mut("fields")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if let Some(of) = field.get_mut("type") {
                    reduce(of, named);
                }
                if let Some(field) = field.as_object_mut() {
                    field.retain(|key, _| ["name", "type"].contains(&key.as_str()));
                }
            }
            for key in ["type", "items", "values"] {
                if let Some(of) = object.get_mut(key) {
                    reduce(of, named);
                }
            }
        }
        _ => {}
    }
}

fn name_of(schema: &Schema) -> String {
    schema
        .name()
        .map_or_else(|| schema.canonical_form(), ToString::to_string)
}

/// Where two schemas differ, and why that cannot be read.
fn explained(mut error: CompatibilityError) -> (String, String) {
    let mut path = Vec::new();
    while let CompatibilityError::FieldTypeMismatch(field, source) = error {
        path.push(field);
        error = *source;
    }
    let reason = match error {
        CompatibilityError::MissingDefaultValue(field) => {
            path.push(field);
            "it is not in every record, and has no default".to_owned()
        }
        CompatibilityError::WrongType {
            writer_schema_type,
            reader_schema_type,
        } => format!("{writer_schema_type} is no {reader_schema_type}"),
        other => other.to_string().replace("Incompatible schemata! ", ""),
    };
    match path.is_empty() {
        true => (String::new(), reason),
        false => (format!("field `{}`: ", path.join(".")), reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"type":"record","name":"Item","fields":[
        {"name":"id","type":"int"},{"name":"at","type":{"type":"record","name":"At","fields":[{"name":"x","type":"long"}]}}]}"#;

    #[test]
    fn a_schema_that_only_names_things_differently_needs_no_translation() {
        let same = OLD.replace("\"At\"", "\"Other\"").replace(
            "\"Item\"",
            "\"Else\",\"namespace\":\"flights\",\"doc\":\"an item\"",
        );
        assert!(translation(OLD, &same).unwrap().is_none());
    }

    #[test]
    fn data_are_read_by_another_schema_with_wider_numbers_and_defaults() {
        let new = OLD
            .replace("\"id\",\"type\":\"int\"", "\"id\",\"type\":\"long\"")
            .replace(
                "}}]}",
                "}},{\"name\":\"note\",\"type\":\"string\",\"default\":\"none\"}]}",
            );
        let mut translate = translation(OLD, &new).unwrap().unwrap();
        let mut buffer = b"before".to_vec();
        // Zigzag: 7 and 9.
        translate(&[14, 18], &mut buffer).unwrap();
        assert_eq!(buffer, b"before\x0e\x12\x08none");
        for hostile in [&[14_u8] as &[u8], &[14, 18, 0]] {
            assert!(translate(hostile, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_both_names_and_the_path() {
        for (new, words) in [
            (
                OLD.replace("\"long\"", "\"string\""),
                "Item cannot be read as Item: field `at.x`: ",
            ),
            (
                OLD.replace("}}]}", "}},{\"name\":\"note\",\"type\":\"string\"}]}"),
                "field `note`: it is not in every",
            ),
            (
                OLD.replace("\"int\"", "\"bytes\"")
                    .replace("\"Item\"", "\"Thing\""),
                "of schema Item cannot be read as Thing",
            ),
            ("x".to_owned(), "not an Avro schema"),
        ] {
            let Err(refused) = translation(OLD, &new) else {
                panic!("{new} is not refused")
            };
            assert!(refused.contains(words), "{refused} does not contain {words}");
        }
    }

    #[test]
    fn a_number_with_another_scale_is_another_number() {
        let decimal =
            |scale| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}"#);
        assert!(translation(&decimal(2), &decimal(2)).unwrap().is_none());
        assert!(translation(&decimal(2), &decimal(3)).is_err());
    }
}
