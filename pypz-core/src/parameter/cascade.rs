//! Prefixes by which one assignment reaches many instances.
//!
//! `#x` sets `x` here and in the children, `>x` in the children only; each prefix goes one level, so `##x` on a pipeline
//! sets `x` on the pipeline, its operators and their ports, and `>>x` on the ports alone. An assignment nearer to an
//! instance wins over one from farther up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One assignment as it was written. `Debug` hides the value, which may be a secret.
#[derive(Clone, PartialEq)]
pub struct Assignment {
    /// Where it was written and under which key, as in `hello.>>channelLocation`.
    pub origin: String,
    /// The value.
    pub value: Value,
}

impl std::fmt::Debug for Assignment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assignment")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// What stands at one instance: keys with their prefixes, nearer assignments in place of farther ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignments(BTreeMap<String, Assignment>);

impl Assignments {
    /// Adds what was written at the instance itself; it wins over what came from above.
    #[must_use]
    pub fn overridden_by(mut self, path: &str, own: &BTreeMap<String, Value>) -> Self {
        let nearer: BTreeSet<(&str, usize)> = own
            .keys()
            .map(|key| split(key))
            .map(|(prefix, name)| (name, prefix.len()))
            .collect();
        self.0.retain(|other, _| {
            let (prefix, name) = split(other);
            !nearer.contains(&(name, prefix.len()))
        });
        for (key, value) in own {
            let assignment = Assignment {
                origin: format!("{path}.{key}"),
                value: value.clone(),
            };
            let (prefix, name) = split(key);
            // `#x` stands for `x` here: it replaces an inherited `x`, and a plain `x` beside it replaces it.
            if prefix.starts_with('#') && !own.contains_key(name) {
                self.0.insert(name.to_owned(), assignment.clone());
            }
            self.0.insert(key.clone(), assignment);
        }
        self
    }

    /// What the children inherit: every prefixed key without its first prefix.
    #[must_use]
    pub fn inherited(&self) -> Self {
        let mut inherited = BTreeMap::new();
        for (key, assignment) in &self.0 {
            let Some(rest) = key.strip_prefix(['#', '>']) else {
                continue;
            };
            inherited.insert(rest.to_owned(), assignment.clone());
            let (prefix, name) = split(rest);
            if prefix.starts_with('#') {
                inherited
                    .entry(name.to_owned())
                    .or_insert_with(|| assignment.clone());
            }
        }
        Self(inherited)
    }

    /// Name and assignment of every parameter that is set here.
    pub fn set_here(&self) -> impl Iterator<Item = (&str, &Assignment)> {
        self.0
            .iter()
            .filter(|(key, _)| split(key).0.is_empty())
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The value that is set here, if any.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|assignment| &assignment.value)
    }

    /// The origins of all assignments that cascade from here.
    #[must_use]
    pub fn cascading_origins(&self) -> BTreeSet<String> {
        self.0
            .iter()
            .filter(|(key, _)| !split(key).0.is_empty())
            .map(|(_, assignment)| assignment.origin.clone())
            .collect()
    }
}

/// Splits a key into its prefix and the name of the parameter.
#[must_use]
pub fn split(key: &str) -> (&str, &str) {
    let name = key.trim_start_matches(['#', '>']);
    key.split_at(key.len() - name.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(path: &str, inherited: &Assignments, own: &[(&str, i32)]) -> Assignments {
        let own = own
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        inherited.inherited().overridden_by(path, &own)
    }

    #[test]
    fn each_prefix_reaches_exactly_its_levels() {
        // key, then whether the pipeline, the operator and the port are set
        for (key, reached) in [
            ("x", [true, false, false]),
            ("#x", [true, true, false]),
            (">x", [false, true, false]),
            ("##x", [true, true, true]),
            (">>x", [false, false, true]),
            ("#>x", [true, false, true]),
            (">#x", [false, true, true]),
        ] {
            let pipeline = at("pl", &Assignments::default(), &[(key, 1)]);
            let operator = at("pl.op", &pipeline, &[]);
            let port = at("pl.op.in", &operator, &[]);
            let found = [&pipeline, &operator, &port].map(|level| level.value("x").is_some());
            assert_eq!(found, reached, "{key}");
        }
    }

    #[test]
    fn the_nearer_assignment_wins() {
        let pipeline = at("pl", &Assignments::default(), &[("##x", 1), (">>y", 1)]);
        let operator = at("pl.op", &pipeline, &[("#x", 2), ("y", 3)]);
        let port = at("pl.op.in", &operator, &[("y", 4)]);
        let values = [&operator, &port].map(|level| (level.value("x").cloned(), level.value("y").cloned()));
        assert_eq!(
            values,
            [(Some(json!(2)), Some(json!(3))), (Some(json!(2)), Some(json!(4)))]
        );
        assert_eq!(port.0["x"].origin, "pl.op.#x");
    }
}
