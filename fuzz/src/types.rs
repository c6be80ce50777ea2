//! Records of every shape that a derived schema has.

use std::collections::HashMap;

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

/// One field of each plain kind.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Flat {
    pub(crate) text: String,
    pub(crate) flag: bool,
    pub(crate) small: i32,
    pub(crate) large: i64,
    pub(crate) float: f32,
    pub(crate) double: f64,
    pub(crate) kind: Kind,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) enum Kind {
    Departure,
    Arrival,
}

/// Records in records and in arrays; the second use of a type is a reference in the schema.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Nested {
    pub(crate) name: String,
    pub(crate) first: Part,
    pub(crate) parts: Vec<Part>,
    pub(crate) table: Vec<Vec<i64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Part {
    pub(crate) number: i64,
    pub(crate) share: f64,
}

/// Maps.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Keyed {
    pub(crate) counts: HashMap<String, i64>,
    pub(crate) parts: HashMap<String, Vec<Part>>,
}

/// Options of plain values, of records and of arrays.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Optional {
    pub(crate) text: Option<String>,
    pub(crate) delay: Option<f64>,
    pub(crate) part: Option<Part>,
    pub(crate) many: Option<Vec<Option<i32>>>,
}

/// A type that refers to itself twice.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Tree {
    pub(crate) value: i32,
    pub(crate) children: Vec<Self>,
    pub(crate) next: Option<Box<Self>>,
}

/// Items that take no bytes.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Empties {
    pub(crate) items: Vec<Empty>,
    pub(crate) by_name: HashMap<String, Vec<Empty>>,
    pub(crate) last: Option<Empty>,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Empty {}
