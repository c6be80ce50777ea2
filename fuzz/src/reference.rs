//! Avro's binary encoding read by its specification alone, from the schema as JSON: what the codec is compared with.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

/// The limits that the codec promises beyond the specification.
const MAX_DEPTH: usize = 128;
const MAX_EMPTY_ITEMS: u64 = 65_536;

/// A schema, with what it names.
pub(crate) struct Reference {
    schema: Value,
    named: HashMap<String, Value>,
}

struct Datum<'a> {
    rest: &'a [u8],
    depth: usize,
    empty_items: u64,
}

impl Reference {
    pub(crate) fn new(schema: &str) -> Option<Self> {
        let schema: Value = serde_json::from_str(schema).ok()?;
        let mut named = HashMap::new();
        collect(&schema, &mut named);
        Some(Self { schema, named })
    }

    /// The value as `serde_json` has it, if the bytes are exactly one datum. Numbers that JSON cannot say are null.
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<Value> {
        let mut datum = Datum {
            rest: bytes,
            depth: 0,
            empty_items: 0,
        };
        let value = self.value(&self.schema, &mut datum)?;
        datum.rest.is_empty().then_some(value)
    }

    fn value(&self, schema: &Value, datum: &mut Datum<'_>) -> Option<Value> {
        match schema {
            Value::String(name) => match self.named.get(name) {
                Some(named) => self.value(named, datum),
                None => plain(name, datum),
            },
            Value::Array(variants) => {
                let index = usize::try_from(datum.int()?).ok()?;
                self.value(variants.get(index)?, datum)
            }
            Value::Object(fields) => self.complex(fields, datum),
            _ => None,
        }
    }

    fn complex(&self, schema: &Map<String, Value>, datum: &mut Datum<'_>) -> Option<Value> {
        match schema.get("type")?.as_str()? {
            "record" => {
                datum.depth += 1;
                if datum.depth > MAX_DEPTH {
                    return None;
                }
                let mut record = Map::new();
                for field in schema.get("fields")?.as_array()? {
                    let value = self.value(field.get("type")?, datum)?;
                    record.insert(field.get("name")?.as_str()?.to_owned(), value);
                }
                datum.depth -= 1;
                Some(Value::Object(record))
            }
            "enum" => {
                let index = usize::try_from(datum.int()?).ok()?;
                schema.get("symbols")?.get(index).cloned()
            }
            "array" => {
                let mut items = Vec::new();
                self.blocks(datum, |datum| {
                    let before = datum.rest.len();
                    let item = self.value(schema.get("items")?, datum)?;
                    if datum.rest.len() == before {
                        datum.empty_items += 1;
                        if datum.empty_items > MAX_EMPTY_ITEMS {
                            return None;
                        }
                    }
                    items.push(item);
                    Some(())
                })?;
                Some(Value::Array(items))
            }
            "map" => {
                let mut entries = Map::new();
                self.blocks(datum, |datum| {
                    let key = datum.text()?;
                    let value = self.value(schema.get("values")?, datum)?;
                    entries.insert(key, value);
                    Some(())
                })?;
                Some(Value::Object(entries))
            }
            name => plain(name, datum),
        }
    }

    fn blocks(
        &self,
        datum: &mut Datum<'_>,
        mut item: impl FnMut(&mut Datum<'_>) -> Option<()>,
    ) -> Option<()> {
        loop {
            let count = datum.long()?;
            if count < 0 {
                datum.long()?;
            }
            if count == 0 {
                return Some(());
            }
            for _ in 0..count.unsigned_abs() {
                item(datum)?;
            }
        }
    }
}

fn collect(schema: &Value, named: &mut HashMap<String, Value>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| collect(item, named)),
        Value::Object(fields) => {
            if let Some(name) = fields.get("name").and_then(Value::as_str)
                && fields.contains_key("type")
                && (fields.contains_key("fields") || fields.contains_key("symbols"))
            {
                named.insert(name.to_owned(), schema.clone());
            }
            fields.values().for_each(|field| collect(field, named));
        }
        _ => {}
    }
}

fn plain(name: &str, datum: &mut Datum<'_>) -> Option<Value> {
    let float = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
    match name {
        "null" => Some(Value::Null),
        "boolean" => match datum.bytes::<1>()? {
            [0] => Some(Value::Bool(false)),
            [1] => Some(Value::Bool(true)),
            _ => None,
        },
        "int" => Some(datum.int()?.into()),
        "long" => Some(datum.long()?.into()),
        "float" => Some(float(f64::from(f32::from_le_bytes(datum.bytes()?)))),
        "double" => Some(float(f64::from_le_bytes(datum.bytes()?))),
        "string" => Some(datum.text()?.into()),
        _ => None,
    }
}

impl Datum<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*first)
    }

    fn long(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let [byte] = self.bytes()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                let half = (number / 2).cast_signed();
                return Some(if number.is_multiple_of(2) { half } else { !half });
            }
        }
        None
    }

    fn int(&mut self) -> Option<i32> {
        i32::try_from(self.long()?).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.long()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}
