//! Between two Avro schemas: a plan that turns the bytes of one into those of the other, made once, before any record.
//!
//! The rules are those of the Avro specification 1.11, "Schema Resolution", and a plan is made only if it works for every value:
//! what would fail for some is refused. Outside of unions, where the name tells the branch, a type may have another name.
//!
//! `apache-avro` resolves values by their look: of a union it takes the first branch that fits.

mod default;
mod plan;
mod size;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;

use self::plan::{Differs, Planner, local};
use super::bounds::{Bounds, Walk};
use super::{DECODE_BUDGET, Translation};

/// How one datum becomes another.
enum Step {
    /// The bytes are the same.
    Copy(&'static Schema),
    IntegerToFloat,
    IntegerToDouble,
    FloatToDouble,
    /// Of each field that is written where it comes from.
    Record {
        from: &'static RecordSchema,
        to: Vec<Source>,
    },
    Array(Box<Self>),
    Map(Box<Self>),
    /// By symbol.
    Enum(Vec<i64>),
    /// By branch.
    Union(Vec<Self>),
    /// Into a branch.
    Branch(i64, Box<Self>),
}

/// Where a field comes from.
enum Source {
    /// The field with this place, in its own way.
    Field(usize, Step),
    Default(Vec<u8>),
}

/// Turns data of one schema into data of another; `None` if the bytes are the same.
///
/// # Errors
///
/// Both schemas by name, and the field that cannot be read.
pub(super) fn translation(from: &str, to: &str) -> Result<Option<Translation>, String> {
    if from == to {
        return Ok(None);
    }
    let (from, to) = (parsed(from)?, parsed(to)?);
    let mut planner = Planner::new(from, to);
    let step = planner.step(from, to).map_err(|Differs(mut path, reason)| {
        path.reverse();
        let field = match path.is_empty() {
            true => String::new(),
            false => format!("field `{}`: ", path.join(".")),
        };
        format!(
            "schema {} is not to be read as {}: {field}{reason}",
            kind(from),
            kind(to)
        )
    })?;
    if matches!(step, Step::Copy(_)) {
        return Ok(None);
    }
    let (bounds, dropped) = (planner.from, planner.dropped);
    let translation = Translation::new(move |datum, buffer| {
        // Afterwards every length and every branch in it is good.
        bounds.check(datum)?;
        let mut walk = Walk::new(datum);
        step.run(&bounds, &mut walk, buffer, buffer.len() + DECODE_BUDGET)?;
        match walk.left() {
            0 => Ok(()),
            left => Err(format!("{left} of {} bytes left over", datum.len())),
        }
    });
    Ok(Some(translation.dropping(dropped)))
}

/// A schema that lives as long as the process, in which there are as many as its channels have had builds.
fn parsed(text: &str) -> Result<&'static Schema, String> {
    static SCHEMAS: OnceLock<Mutex<HashMap<String, &'static Schema>>> = OnceLock::new();
    let schemas = || {
        let schemas = SCHEMAS.get_or_init(Mutex::default).lock();
        schemas.unwrap_or_else(PoisonError::into_inner)
    };
    let known = schemas().get(text).copied();
    if let Some(schema) = known {
        return Ok(schema);
    }
    size::check(text)?;
    let schema = Schema::parse_str(text).map_err(|error| format!("not an Avro schema: {error}"))?;
    Ok(schemas()
        .entry(text.to_owned())
        .or_insert_with(|| Box::leak(Box::new(schema))))
}

impl Step {
    /// Appends to `out`, up to `limit` bytes, what the datum at the front of the walk becomes.
    fn run(
        &self,
        bounds: &Bounds,
        walk: &mut Walk<'_>,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), String> {
        if out.len() > limit {
            return Err(format!("more than {DECODE_BUDGET} bytes"));
        }
        match self {
            Self::Copy(schema) => out.extend_from_slice(walk.over(|walk| bounds.skip(schema, walk))?),
            #[allow(clippy::cast_precision_loss, reason = "so says the specification")]
            Self::IntegerToFloat => out.extend_from_slice(&(walk.number()? as f32).to_le_bytes()),
            #[allow(clippy::cast_precision_loss, reason = "so says the specification")]
            Self::IntegerToDouble => out.extend_from_slice(&(walk.number()? as f64).to_le_bytes()),
            Self::FloatToDouble => {
                let bytes = walk.over(|walk| walk.take(4))?.try_into().unwrap_or_default();
                out.extend_from_slice(&f64::from(f32::from_le_bytes(bytes)).to_le_bytes());
            }
            Self::Record { from, to } => {
                let fields = from.fields.iter();
                let fields = fields.map(|field| walk.over(|walk| bounds.skip(&field.schema, walk)));
                let fields = fields.collect::<Result<Vec<_>, _>>()?;
                for source in to {
                    match source {
                        Source::Default(bytes) => out.extend_from_slice(bytes),
                        Source::Field(at, step) => {
                            let field = fields.get(*at).copied().unwrap_or_default();
                            step.run(bounds, &mut Walk::new(field), out, limit)?;
                        }
                    }
                }
            }
            Self::Array(step) => blocks(walk, out, |walk, out| step.run(bounds, walk, out, limit))?,
            Self::Map(step) => blocks(walk, out, |walk, out| {
                out.extend_from_slice(walk.over(Walk::take_counted)?);
                step.run(bounds, walk, out, limit)
            })?,
            Self::Enum(places) => {
                let symbol = walk.number()?;
                let place = usize::try_from(symbol).ok().and_then(|symbol| places.get(symbol));
                number(*place.ok_or_else(|| format!("there is no symbol {symbol}"))?, out);
            }
            Self::Union(steps) => {
                let branch = walk.number()?;
                let step = usize::try_from(branch).ok().and_then(|branch| steps.get(branch));
                let step = step.ok_or_else(|| format!("there is no variant {branch} of a union"))?;
                step.run(bounds, walk, out, limit)?;
            }
            Self::Branch(at, step) => {
                number(*at, out);
                step.run(bounds, walk, out, limit)?;
            }
        }
        Ok(())
    }
}

/// Takes block by block, without their lengths in bytes.
fn blocks<'a>(
    walk: &mut Walk<'a>,
    out: &mut Vec<u8>,
    mut item: impl FnMut(&mut Walk<'a>, &mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    loop {
        let items = walk.block()?;
        number(i64::try_from(items).map_err(|_| "too many items")?, out);
        if items == 0 {
            return Ok(());
        }
        for _ in 0..items {
            item(walk, out)?;
        }
    }
}

/// Appends a zigzag number.
fn number(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// A type in few words.
fn kind(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => local(name).to_owned(),
        None => format!("{:?}", apache_avro::schema::SchemaKind::from(schema)).to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
