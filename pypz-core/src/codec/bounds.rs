//! What the bytes of an Avro datum do not bound by themselves: how deep a recursive type goes, how many items that take no
//! bytes an array has, and how long a text says that it is.
//!
//! `apache-avro` takes all three as they come: ten bytes ask for 2^62 empty items, a megabyte for a stack a million deep, and
//! four for 64 MiB, which are filled with zeros before it is seen that they are not there.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};

/// The most records of a recursive type in each other.
pub(super) const MAX_DEPTH: usize = 128;
/// The most items without bytes in one datum.
pub(super) const MAX_EMPTY_ITEMS: u64 = 65_536;

/// Looks through a datum of a type that needs it, before a value is made of it and after one was.
#[derive(Debug)]
pub(super) struct Bounds {
    schema: &'static Schema,
    named: HashMap<&'static Name, &'static Schema>,
    /// Whether the type refers to itself or has arrays of items without bytes.
    unbounded: bool,
}

/// The way through a datum, and what was found there.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    depth: usize,
    empty_items: u64,
}

impl Bounds {
    pub(super) fn of(schema: &'static Schema) -> Self {
        let mut named = HashMap::new();
        let mut recursive = false;
        collect(schema, &mut named, &mut Vec::new(), &mut recursive);
        let mut bounds = Self {
            schema,
            named,
            unbounded: false,
        };
        bounds.unbounded = recursive || bounds.has_empty_items(schema);
        bounds
    }

    /// Whether every datum has to be looked through, on the way out, too: the bytes of the type bound nothing.
    pub(super) const fn are_needed(&self) -> bool {
        self.unbounded
    }

    /// Checks a datum from anybody, if there can be anything wrong with it.
    ///
    /// # Errors
    ///
    /// As [`Bounds::check`].
    pub(super) fn check_hostile(&self, datum: &[u8]) -> Result<(), String> {
        match self.unbounded || may_have_a_long_number(datum) {
            true => self.check(datum),
            false => Ok(()),
        }
    }

    /// Checks a datum; what stands behind it is not looked at.
    ///
    /// # Errors
    ///
    /// Which limit the datum exceeds, or where it ends too early.
    pub(super) fn check(&self, datum: &[u8]) -> Result<(), String> {
        let mut walk = Walk::new(datum);
        self.skip(self.schema, &mut walk)
    }

    /// What a reference stands for.
    pub(super) fn resolve(&self, schema: &'static Schema) -> &'static Schema {
        match schema {
            Schema::Ref { name } => self.named.get(name).copied().unwrap_or(schema),
            schema => schema,
        }
    }

    fn has_empty_items(&self, schema: &'static Schema) -> bool {
        match schema {
            Schema::Array(array) => {
                self.is_empty(&array.items, &mut Vec::new()) || self.has_empty_items(&array.items)
            }
            Schema::Map(map) => self.has_empty_items(&map.types),
            Schema::Union(union) => union.variants().iter().any(|schema| self.has_empty_items(schema)),
            Schema::Record(record) => record
                .fields
                .iter()
                .any(|field| self.has_empty_items(&field.schema)),
            _ => false,
        }
    }

    /// Whether a value takes no bytes. `within` holds the records that are being looked at.
    fn is_empty(&self, schema: &'static Schema, within: &mut Vec<&'static Name>) -> bool {
        match self.resolve(schema) {
            Schema::Null => true,
            Schema::Fixed(fixed) => fixed.size == 0,
            Schema::Record(record) => {
                if within.contains(&&record.name) {
                    return false;
                }
                within.push(&record.name);
                let is_empty = record
                    .fields
                    .iter()
                    .all(|field| self.is_empty(&field.schema, within));
                within.pop();
                is_empty
            }
            _ => false,
        }
    }

    /// Goes over a datum.
    pub(super) fn skip(&self, schema: &'static Schema, walk: &mut Walk<'_>) -> Result<(), String> {
        match self.resolve(schema) {
            Schema::Null => Ok(()),
            Schema::Boolean => walk.take(1),
            Schema::Float => walk.take(4),
            Schema::Double => walk.take(8),
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                walk.take(fixed.size)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => walk.take(fixed.size),
                InnerDecimalSchema::Bytes => walk.take_counted(),
            },
            Schema::Bytes
            | Schema::String
            | Schema::BigDecimal
            | Schema::Uuid(UuidSchema::Bytes | UuidSchema::String) => walk.take_counted(),
            Schema::Array(array) => {
                let is_empty = self.is_empty(&array.items, &mut Vec::new());
                self.skip_blocks(walk, is_empty, |walk| self.skip(&array.items, walk))
            }
            Schema::Map(map) => self.skip_blocks(walk, false, |walk| {
                walk.take_counted()?;
                self.skip(&map.types, walk)
            }),
            Schema::Union(union) => {
                let index = walk.number()?;
                let variant = usize::try_from(index)
                    .ok()
                    .and_then(|index| union.variants().get(index))
                    .ok_or_else(|| format!("there is no variant {index} of a union"))?;
                self.skip(variant, walk)
            }
            Schema::Record(record) => {
                walk.depth += 1;
                if walk.depth > MAX_DEPTH {
                    return Err(format!("more than {MAX_DEPTH} records in each other"));
                }
                for field in &record.fields {
                    self.skip(&field.schema, walk)?;
                }
                walk.depth -= 1;
                Ok(())
            }
            Schema::Ref { name } => Err(format!("nothing is known of {name}")),
            // What is left are numbers: of enums, and of all kinds of times.
            _ => walk.number().map(drop),
        }
    }

    fn skip_blocks(
        &self,
        walk: &mut Walk<'_>,
        is_empty: bool,
        mut item: impl FnMut(&mut Walk<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let items = walk.block()?;
            if items == 0 {
                return Ok(());
            }
            if is_empty {
                walk.empty_items = walk.empty_items.saturating_add(items);
                if walk.empty_items > MAX_EMPTY_ITEMS {
                    return Err(format!("more than {MAX_EMPTY_ITEMS} items that take no bytes"));
                }
            } else {
                for _ in 0..items {
                    item(walk)?;
                }
            }
        }
    }
}

/// Whether a number of more than three bytes may stand somewhere: a length of less than 1 MiB has at most three.
fn may_have_a_long_number(datum: &[u8]) -> bool {
    // Most texts are known at once.
    if datum.is_ascii() {
        return false;
    }
    // Without an early end, so that the compiler takes many bytes at once.
    let high = datum
        .windows(3)
        .fold(0, |high, bytes| high | (bytes[0] & bytes[1] & bytes[2]));
    high & 0x80 != 0
}

/// Notes all named schemas, and whether one is referred to inside of itself.
fn collect(
    schema: &'static Schema,
    named: &mut HashMap<&'static Name, &'static Schema>,
    within: &mut Vec<&'static Name>,
    recursive: &mut bool,
) {
    match schema {
        Schema::Array(array) => collect(&array.items, named, within, recursive),
        Schema::Map(map) => collect(&map.types, named, within, recursive),
        Schema::Union(union) => {
            for variant in union.variants() {
                collect(variant, named, within, recursive);
            }
        }
        Schema::Record(record) => {
            named.insert(&record.name, schema);
            within.push(&record.name);
            for field in &record.fields {
                collect(&field.schema, named, within, recursive);
            }
            within.pop();
        }
        Schema::Enum(of) => _ = named.insert(&of.name, schema),
        Schema::Fixed(of) | Schema::Duration(of) | Schema::Uuid(UuidSchema::Fixed(of)) => {
            named.insert(&of.name, schema);
        }
        Schema::Decimal(decimal) => {
            if let InnerDecimalSchema::Fixed(of) = &decimal.inner {
                named.insert(&of.name, schema);
            }
        }
        Schema::Ref { name } => *recursive |= within.contains(&name),
        _ => {}
    }
}

impl<'a> Walk<'a> {
    pub(super) const fn new(datum: &'a [u8]) -> Self {
        Self {
            rest: datum,
            depth: 0,
            empty_items: 0,
        }
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that something goes over.
    pub(super) fn over(
        &mut self,
        go: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<&'a [u8], String> {
        let before = self.rest;
        go(self)?;
        let taken = before.len() - self.rest.len();
        Ok(before.get(..taken).unwrap_or_default())
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        let rest = self
            .rest
            .get(bytes..)
            .ok_or_else(|| format!("{bytes} bytes are wanted, {} are left", self.rest.len()))?;
        self.rest = rest;
        Ok(())
    }

    pub(super) fn take_counted(&mut self) -> Result<(), String> {
        let bytes = self.number()?;
        let bytes = usize::try_from(bytes).map_err(|_| format!("a length of {bytes} bytes"))?;
        self.take(bytes)
    }

    /// The head of a block: how many items it has, 0 behind the last block.
    pub(super) fn block(&mut self) -> Result<u64, String> {
        let count = self.number()?;
        if count < 0 {
            // The length of the block in bytes, which tells nothing that its items do not.
            self.number()?;
        }
        Ok(count.unsigned_abs())
    }

    /// A zigzag number of at most ten bytes.
    pub(super) fn number(&mut self) -> Result<i64, String> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or("it ends within a number")?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err("a number of more than ten bytes".to_owned())
    }
}
