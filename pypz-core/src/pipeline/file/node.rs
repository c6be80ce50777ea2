//! What a file holds, with the place of everything, whatever its format.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

/// The most bytes of a file.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// The most mappings and lists in each other.
pub(super) const MAX_DEPTH: usize = 64;
/// What everything in a file may cost together, aliases expanded: 64 a value, and its bytes.
const MAX_COST: usize = 4 << 20;
const COST_OF_A_VALUE: usize = 64;
/// The most faults of a file that are told.
pub(super) const MAX_FAULTS: usize = 100;

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) kind: Kind,
}

/// The fields of a mapping: where the key stands, and the value.
pub(super) type Fields = BTreeMap<String, (Mark, Node)>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Fields),
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) at: Mark,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(at: Mark, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
        }
    }
}

impl Node {
    /// The value without places.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Map(fields) => Value::Object(values(fields)),
        }
    }

    /// The kind of the value in words; the value itself may be a secret.
    pub(super) const fn kind_in_words(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}

/// The values of fields without places.
pub(super) fn values(fields: &Fields) -> Map<String, Value> {
    let values = fields
        .iter()
        .map(|(name, (_, node))| (name.clone(), node.value()));
    values.collect()
}

/// A text of a file as it may be shown: short, and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(120) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

/// Puts the values of a file together and holds them to their limits.
#[derive(Debug, Default)]
pub(super) struct Builder {
    spent: usize,
    pub(super) faults: Vec<Fault>,
}

impl Builder {
    /// Pays for a value with this many bytes of text.
    pub(super) fn spend(&mut self, at: Mark, bytes: usize) -> Result<(), Fault> {
        self.charge(at, COST_OF_A_VALUE + bytes)
    }

    /// Pays for a copy of a value, and says what it costs.
    pub(super) fn spend_copy(&mut self, at: Mark, node: &Node) -> Result<(), Fault> {
        self.charge(at, cost(node))
    }

    fn charge(&mut self, at: Mark, cost: usize) -> Result<(), Fault> {
        self.spent = self.spent.saturating_add(cost);
        match self.spent > MAX_COST {
            true => Err(Fault::new(
                at,
                "the file holds more than a pipeline may, aliases expanded",
            )),
            false => Ok(()),
        }
    }

    /// Notes a fault after which reading can go on, unless there are too many.
    pub(super) fn fault(&mut self, at: Mark, what: impl Into<String>) -> Result<(), Fault> {
        let fault = Fault::new(at, what);
        match self.faults.len() + 1 < MAX_FAULTS {
            true => self.faults.push(fault),
            false => return Err(fault),
        }
        Ok(())
    }

    /// Adds a field, or says that it is there already.
    pub(super) fn insert(
        &mut self,
        fields: &mut Fields,
        (at, key): (Mark, String),
        node: Node,
    ) -> Result<(), Fault> {
        if let Some((first, _)) = fields.get(&key) {
            let what = format!(
                "'{}' stands here twice, first in line {}",
                shown(&key),
                first.line
            );
            return self.fault(at, what);
        }
        fields.insert(key, (at, node));
        Ok(())
    }
}

/// What a value cost. It is at most [`MAX_DEPTH`] deep.
fn cost(node: &Node) -> usize {
    let inner: usize = match &node.kind {
        Kind::Text(text) => text.len(),
        Kind::List(items) => items.iter().map(cost).sum(),
        Kind::Map(fields) => fields
            .iter()
            .map(|(key, (_, node))| COST_OF_A_VALUE + key.len() + cost(node))
            .sum(),
        _ => 0,
    };
    COST_OF_A_VALUE + inner
}
