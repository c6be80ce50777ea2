//! How much a schema is when every reference is what it stands for: a few lines may stand for more than anybody can go over.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::Name;

use super::super::bounds::MAX_DEPTH;

/// The most parts of a schema: far more than any that people write.
const MAX_PARTS: u64 = 100_000;

/// Parts, and how deep they are in each other.
#[derive(Clone, Copy)]
struct Size(u64, usize);

/// Refuses a schema that is too much to go over.
pub(super) fn check(schema: &Schema) -> Result<(), String> {
    let Size(parts, depth) = of(schema, &mut HashMap::new());
    match parts > MAX_PARTS || depth > MAX_DEPTH {
        true => Err(format!(
            "a schema of more than {MAX_PARTS} parts, or with more than {MAX_DEPTH} in each other"
        )),
        false => Ok(()),
    }
}

fn of<'a>(schema: &'a Schema, named: &mut HashMap<&'a Name, Size>) -> Size {
    let around = |Size(parts, depth)| Size(parts + 1, depth + 1);
    match schema {
        Schema::Array(array) => around(of(&array.items, named)),
        Schema::Map(map) => around(of(&map.types, named)),
        Schema::Union(union) => around(all(union.variants().iter(), named)),
        Schema::Record(record) => {
            // In itself it is no more than a name.
            named.insert(&record.name, Size(1, 1));
            let size = around(all(record.fields.iter().map(|field| &field.schema), named));
            named.insert(&record.name, size);
            size
        }
        Schema::Ref { name } => named.get(name).copied().unwrap_or(Size(1, 1)),
        _ => Size(1, 1),
    }
}

fn all<'a>(parts: impl Iterator<Item = &'a Schema>, named: &mut HashMap<&'a Name, Size>) -> Size {
    parts.fold(Size(0, 0), |Size(parts, depth), part| {
        let Size(more, deep) = of(part, named);
        Size(parts.saturating_add(more).min(u64::MAX / 2), depth.max(deep))
    })
}
