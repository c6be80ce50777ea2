//! How much a schema is when every reference and every default is what it stands for: a few lines may stand for more than anybody
//! can go over. `apache-avro` goes over the defaults while it parses, so this comes before.

use std::collections::HashMap;
use std::fmt::Display;

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};
use serde_json::Value;

use super::super::bounds::MAX_DEPTH;

/// The most parts of a schema: far more than any that people write.
pub(super) const MAX_PARTS: usize = 100_000;

/// Where the defaults are meanwhile. The parser keeps what it does not know.
const DEFAULT: &str = "pypz.default";

/// Refuses the text of a schema that is too much to go over.
pub(super) fn check(text: &str) -> Result<(), String> {
    let none = |error: &dyn Display| format!("not an Avro schema: {error}");
    let mut json: Value = serde_json::from_str(text).map_err(|error| none(&error))?;
    hide_defaults(&mut json);
    let schema = Schema::parse(&json).map_err(|error| none(&error))?;
    let mut look = Look {
        records: HashMap::new(),
        left: MAX_PARTS,
    };
    look.define(&schema).map_err(|twice| none(&twice))?;
    look.parts(&schema, &mut Vec::new(), 0).ok_or_else(|| {
        format!("a schema of more than {MAX_PARTS} parts, or of more than {MAX_DEPTH} in each other")
    })
}

fn hide_defaults(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(hide_defaults),
        Value::Object(fields) => {
            let default = fields.remove("default");
            fields.values_mut().for_each(hide_defaults);
            fields.extend(default.map(|default| (DEFAULT.to_owned(), default)));
        }
        _ => {}
    }
}

/// A look at every part, as long as there are not too many.
struct Look<'a> {
    records: HashMap<&'a Name, &'a Schema>,
    left: usize,
}

impl<'a> Look<'a> {
    /// Notes what references stand for.
    fn define(&mut self, schema: &'a Schema) -> Result<(), String> {
        match schema {
            Schema::Array(array) => self.define(&array.items),
            Schema::Map(map) => self.define(&map.types),
            Schema::Union(union) => union.variants().iter().try_for_each(|of| self.define(of)),
            Schema::Record(record) => {
                if self.records.insert(&record.name, schema).is_some() {
                    return Err(format!("{} is defined twice", record.name));
                }
                record
                    .fields
                    .iter()
                    .try_for_each(|field| self.define(&field.schema))
            }
            _ => Ok(()),
        }
    }

    fn resolve(&self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref { name } => self.records.get(name).copied().unwrap_or(schema),
            schema => schema,
        }
    }

    fn next(&mut self, depth: usize) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        (depth < MAX_DEPTH).then_some(())
    }

    /// `within` has the records around it: in itself one is no more than a name.
    fn parts(&mut self, schema: &'a Schema, within: &mut Vec<&'a Name>, depth: usize) -> Option<()> {
        self.next(depth)?;
        match self.resolve(schema) {
            Schema::Array(array) => self.parts(&array.items, within, depth + 1),
            Schema::Map(map) => self.parts(&map.types, within, depth + 1),
            Schema::Union(union) => {
                let mut variants = union.variants().iter();
                variants.try_for_each(|of| self.parts(of, within, depth + 1))
            }
            Schema::Record(record) if within.contains(&&record.name) => Some(()),
            Schema::Record(record) => {
                within.push(&record.name);
                for field in &record.fields {
                    self.parts(&field.schema, within, depth + 1)?;
                    if let Some(default) = field.custom_attributes.get(DEFAULT) {
                        self.value(&field.schema, default, depth + 1)?;
                    }
                }
                within.pop();
                Some(())
            }
            _ => Some(()),
        }
    }

    /// A default, with the defaults that it leaves out.
    fn value(&mut self, schema: &'a Schema, value: &'a Value, depth: usize) -> Option<()> {
        self.next(depth)?;
        match (self.resolve(schema), value) {
            (Schema::Array(array), Value::Array(items)) => items
                .iter()
                .try_for_each(|item| self.value(&array.items, item, depth + 1)),
            (Schema::Map(map), Value::Object(items)) => items
                .values()
                .try_for_each(|item| self.value(&map.types, item, depth + 1)),
            (Schema::Union(union), value) => {
                let mut variants = union.variants().iter();
                variants.try_for_each(|of| self.value(of, value, depth + 1))
            }
            (Schema::Record(record), Value::Object(values)) => self.fields(record, values, depth),
            _ => Some(()),
        }
    }

    fn fields(
        &mut self,
        record: &'a RecordSchema,
        values: &'a serde_json::Map<String, Value>,
        depth: usize,
    ) -> Option<()> {
        let mut given = record.fields.iter().filter_map(|field| {
            let value = values.get(&field.name);
            Some((field, value.or_else(|| field.custom_attributes.get(DEFAULT))?))
        });
        given.try_for_each(|(field, value)| self.value(&field.schema, value, depth + 1))
    }
}
