//! The plan: which bytes of one schema become which of the other, or why there is none.

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, Name, RecordField, RecordSchema};

use super::super::bounds::Bounds;
use super::default::write_default;
use super::size::MAX_PARTS;
use super::{Source, Step, kind};

/// Why there is no plan: the way to what differs, innermost first, and what that is.
pub(super) struct Differs(pub(super) Vec<String>, pub(super) String);

type Planned<T> = Result<T, Differs>;

/// Makes a plan, and notes what it leaves out.
pub(super) struct Planner {
    pub(super) from: Bounds,
    to: Bounds,
    /// The pairs of records that are being looked at.
    within: Vec<(&'static Name, &'static Name)>,
    /// Those of them that were met again, inside of themselves, and taken for the same.
    taken_for_same: Vec<(&'static Name, &'static Name)>,
    pub(super) dropped: Vec<String>,
    /// How many steps there may still be.
    left: usize,
}

impl Planner {
    pub(super) fn new(from: &'static Schema, to: &'static Schema) -> Self {
        Self {
            from: Bounds::of(from),
            to: Bounds::of(to),
            within: Vec::new(),
            taken_for_same: Vec::new(),
            dropped: Vec::new(),
            left: MAX_PARTS,
        }
    }

    /// How data of one schema become data of the other, whatever their values are.
    pub(super) fn step(&mut self, from: &'static Schema, to: &'static Schema) -> Planned<Step> {
        let (from, to) = (self.from.resolve(from), self.to.resolve(to));
        let differs = || Err(Differs(Vec::new(), format!("{} is no {}", kind(from), kind(to))));
        let Some(left) = self.left.checked_sub(1) else {
            return Err(Differs(
                Vec::new(),
                format!("there are more than {MAX_PARTS} parts to compare"),
            ));
        };
        self.left = left;
        match (from, to) {
            (Schema::Union(branches), _) => {
                let steps = branches
                    .variants()
                    .iter()
                    .map(|branch| self.step_into(branch, to));
                let steps = steps.collect::<Planned<Vec<_>>>()?;
                let stays = |(at, step): (i64, &Step)| matches!(step, Step::Branch(to, step) if *to == at && matches!(**step, Step::Copy(_)));
                let same = matches!(to, Schema::Union(to) if to.variants().len() == steps.len());
                Ok(match same && (0..).zip(&steps).all(stays) {
                    true => Step::Copy(from),
                    false => Step::Union(steps),
                })
            }
            (_, Schema::Union(_)) => self.step_into(from, to),
            (Schema::Record(a), Schema::Record(b)) => self.record(from, a, b),
            (Schema::Enum(a), Schema::Enum(b)) => symbols(from, a, b),
            (Schema::Array(a), Schema::Array(b)) => Ok(match self.step(&a.items, &b.items)? {
                Step::Copy(_) => Step::Copy(from),
                step => Step::Array(Box::new(step)),
            }),
            (Schema::Map(a), Schema::Map(b)) => Ok(match self.step(&a.types, &b.types)? {
                Step::Copy(_) => Step::Copy(from),
                step => Step::Map(Box::new(step)),
            }),
            (Schema::Fixed(a), Schema::Fixed(b)) if a.size == b.size => Ok(Step::Copy(from)),
            (Schema::Fixed(_), Schema::Fixed(_)) => differs(),
            (Schema::Int, Schema::Long) | (Schema::String, Schema::Bytes) => Ok(Step::Copy(from)),
            (Schema::Int | Schema::Long, Schema::Float) => Ok(Step::IntegerToFloat),
            (Schema::Int | Schema::Long, Schema::Double) => Ok(Step::IntegerToDouble),
            (Schema::Float, Schema::Double) => Ok(Step::FloatToDouble),
            // What is left are types without parts, and with a meaning of their own.
            _ if from == to => Ok(Step::Copy(from)),
            _ => differs(),
        }
    }

    /// From something that is no union to what may be one: the branch of its name, else the first that it can be read as.
    fn step_into(&mut self, from: &'static Schema, to: &'static Schema) -> Planned<Step> {
        let from = self.from.resolve(from);
        let Schema::Union(union) = to else {
            return self.step(from, to);
        };
        let branches = (0..).zip(union.variants().iter().map(|branch| self.to.resolve(branch)));
        let (of_name, mut others): (Vec<_>, Vec<_>) = branches.partition(|(_, branch)| {
            std::mem::discriminant(from) == std::mem::discriminant(branch)
                && local_name(from) == local_name(branch)
        });
        others.retain(|(_, branch)| local_name(from).is_none() && local_name(branch).is_none());
        let mut refused = None;
        for (at, branch) in of_name.into_iter().chain(others) {
            let before = (self.within.len(), self.dropped.len());
            match self.step(from, branch) {
                Ok(step) => return Ok(Step::Branch(at, Box::new(step))),
                Err(differs) => refused = refused.or(Some(differs)),
            }
            self.within.truncate(before.0);
            self.dropped.truncate(before.1);
        }
        Err(refused
            .unwrap_or_else(|| Differs(Vec::new(), format!("no branch of the union is a {}", kind(from)))))
    }

    fn record(
        &mut self,
        schema: &'static Schema,
        from: &'static RecordSchema,
        to: &'static RecordSchema,
    ) -> Planned<Step> {
        let pair = (&from.name, &to.name);
        if self.within.contains(&pair) {
            self.taken_for_same.push(pair);
            return Ok(Step::Copy(schema));
        }
        self.within.push(pair);
        let sources = to.fields.iter().map(|field| {
            let source = self.source(from, to, field);
            source.map_err(|Differs(mut path, reason)| {
                path.push(field.name.clone());
                Differs(path, reason)
            })
        });
        let sources = sources.collect::<Planned<Vec<_>>>()?;
        self.within.pop();
        let copies =
            |(at, source): (usize, &Source)| matches!(source, Source::Field(of, Step::Copy(_)) if *of == at);
        if sources.len() == from.fields.len() && (0..).zip(&sources).all(copies) {
            return Ok(Step::Copy(schema));
        }
        if self.taken_for_same.contains(&pair) {
            let reason = format!("{} is in itself, and not the same any more", local(&from.name));
            return Err(Differs(Vec::new(), reason));
        }
        let is_read = |at: usize| {
            sources
                .iter()
                .any(|source| matches!(source, Source::Field(of, _) if *of == at))
        };
        let dropped = from.fields.iter().enumerate().filter(|(at, _)| !is_read(*at));
        self.dropped
            .extend(dropped.map(|(_, field)| format!("{}.{}", local(&from.name), field.name)));
        Ok(Step::Record { from, to: sources })
    }

    fn source(
        &mut self,
        from: &'static RecordSchema,
        to: &'static RecordSchema,
        field: &'static RecordField,
    ) -> Planned<Source> {
        let named = |name: &String| from.fields.iter().position(|field| field.name == *name);
        // The specification knows aliases of the reader only; a writer of a later build has them, too. What goes by its own name
        // is not meant by an alias.
        let is_read = |of: &RecordField| to.fields.iter().any(|field| field.name == of.name);
        let known_as = || {
            let mut fields = from.fields.iter();
            fields.position(|of| of.aliases.contains(&field.name) && !is_read(of))
        };
        let found = named(&field.name)
            .or_else(|| field.aliases.iter().find_map(named))
            .or_else(known_as);
        if let Some((at, of)) = found.and_then(|at| Some((at, from.fields.get(at)?))) {
            return Ok(Source::Field(at, self.step(&of.schema, &field.schema)?));
        }
        let reason = |words: &str| Differs(Vec::new(), words.to_owned());
        let default = field
            .default
            .as_ref()
            .ok_or_else(|| reason("not in every record, and without a default"))?;
        let mut bytes = Vec::new();
        write_default(&self.to, &field.schema, default, &mut bytes)
            .ok_or_else(|| reason("its default is not of its type, or too long"))?;
        Ok(Source::Default(bytes))
    }
}

/// By symbol; one that is not there any more is the default.
fn symbols(schema: &'static Schema, from: &EnumSchema, to: &EnumSchema) -> Planned<Step> {
    let place = |symbol: &String| {
        (0..)
            .zip(&to.symbols)
            .find(|(_, known)| *known == symbol)
            .map(|(at, _)| at)
    };
    let default = to.default.as_ref().and_then(place);
    let places = from.symbols.iter().map(|symbol| {
        place(symbol)
            .or(default)
            .ok_or_else(|| Differs(Vec::new(), format!("{} has no symbol {symbol}", local(&to.name))))
    });
    let places = places.collect::<Planned<Vec<i64>>>()?;
    Ok(match (0..).zip(&places).all(|(at, to)| at == *to) {
        true => Step::Copy(schema),
        false => Step::Enum(places),
    })
}

/// The name of a type, without its namespace.
fn local_name(schema: &Schema) -> Option<&str> {
    schema.name().map(local)
}

pub(super) fn local(name: &Name) -> &str {
    name.name()
}
