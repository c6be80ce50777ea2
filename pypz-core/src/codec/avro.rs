//! Bare Avro binary data (Apache Avro 1.11 specification, "Binary Encoding"), as pypz-python has it on the wire.
//!
//! Only the serde path of `apache-avro` is used: its `Value` path accepts truncated bytes, allocates what a length prefix asks for,
//! and resolves schemas by the look of values.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{AvroSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounds::Bounds;
use super::{Codec, CodecError, DECODE_BUDGET, Translation, evolution};

/// Encodes each record as one bare Avro datum: no magic byte, no schema id, no container.
///
/// The schema is that of the Rust type (`#[derive(AvroSchema)]`). Where a run began with another one, records are translated by the
/// rules of Avro ("Schema Resolution"), or the port is refused if that does not work for every value. Of a recursive type at
/// most 128 records are in each other, and of items that take no bytes a datum has at most 65,536; more is an error on
/// both sides.
pub struct Avro {
    schema: &'static Schema,
    text: &'static str,
    bounds: Bounds,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

impl std::fmt::Debug for Avro {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Avro")
            .field("schema", &self.schema.canonical_form())
            .finish_non_exhaustive()
    }
}

#[diagnostic::do_not_recommend]
impl<T: AvroSchema + Serialize + DeserializeOwned + 'static> Codec<T> for Avro {
    fn new() -> Result<Self, CodecError> {
        apache_avro::util::max_allocation_bytes(DECODE_BUDGET);
        let type_name = type_name::<T>();
        let refused = |error: apache_avro::Error| CodecError::Schema {
            type_name,
            reason: error.to_string(),
        };
        let (schema, text) = schema_of::<T>();
        Ok(Self {
            schema,
            text,
            bounds: Bounds::of(schema),
            writer: GenericDatumWriter::builder(schema).build().map_err(refused)?,
            reader: GenericDatumReader::builder(schema).build().map_err(refused)?,
        })
    }

    fn encode(&mut self, value: &T, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        let refused = |reason: String| CodecError::Encode {
            type_name: type_name::<T>(),
            reason,
        };
        let start = buffer.len();
        self.writer
            .write_ser(buffer, value)
            .map_err(|error| refused(error.to_string()))?;
        match buffer.get(start..) {
            Some(datum) if self.bounds.are_needed() => self.bounds.check(datum).map_err(refused),
            _ => Ok(()),
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<T, CodecError> {
        self.bounds
            .check_hostile(bytes)
            .map_err(|reason| CodecError::decode(type_name::<T>(), reason))?;
        let mut rest = bytes;
        let value = self
            .reader
            .read_deser(&mut rest)
            .map_err(|error| CodecError::decode(type_name::<T>(), error))?;
        match rest.len() {
            0 => Ok(value),
            left => Err(CodecError::decode(
                type_name::<T>(),
                format!("{left} of {} bytes left over", bytes.len()),
            )),
        }
    }

    fn schema(&self) -> Option<String> {
        Some(self.text.to_owned())
    }

    fn translation(from: &str, to: &str) -> Result<Option<Translation>, String> {
        evolution::translation(from, to)
    }
}

/// The schema of a type and its text, built once a process: the datum reader and writer borrow it for as long as they live.
fn schema_of<T: AvroSchema + 'static>() -> (&'static Schema, &'static str) {
    static SCHEMAS: OnceLock<Mutex<HashMap<TypeId, (&'static Schema, &'static str)>>> = OnceLock::new();
    let mut schemas = SCHEMAS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *schemas.entry(TypeId::of::<T>()).or_insert_with(|| {
        let schema = T::get_schema();
        let text = serde_json::to_string(&schema).unwrap_or_default();
        (Box::leak(Box::new(schema)), text.leak())
    })
}
