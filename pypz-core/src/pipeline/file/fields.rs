//! The fields of a mapping by name: what is missing, mistyped or unknown is noted, and reading goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::node::{Fields, Kind, MAX_FAULTS, Mark, Node, shown};
use crate::pipeline::problem::{Place, Problem};

/// All problems of a file.
#[derive(Debug)]
pub(super) struct Problems {
    file: Arc<str>,
    pub(super) found: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            found: Vec::new(),
        }
    }

    pub(super) fn place(&self, at: Mark) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: at.line,
            column: at.column,
        }
    }

    /// Notes a problem of an instance, by its full name.
    pub(super) fn note(&mut self, at: Mark, instance: &str, what: impl Into<String>) {
        let mut problem = match self.found.len() {
            MAX_FAULTS.. => return,
            // The last one that is told.
            n if n + 1 == MAX_FAULTS => {
                Problem::new(shown(instance), "there are more problems than are told here")
            }
            _ => Problem::new(shown(instance), what),
        };
        problem.place = Some(self.place(at));
        self.found.push(problem);
    }
}

/// A mapping that is being read.
pub(super) struct Mapping<'a> {
    at: Mark,
    /// The full name of the instance that it describes.
    instance: String,
    fields: Option<&'a Fields>,
    known: BTreeSet<&'static str>,
}

impl<'a> Mapping<'a> {
    /// Begins to read; what is no mapping is noted and read as an empty one. Nothing at all is an empty one, too.
    pub(super) fn new(node: &'a Node, instance: &str, what: &str, problems: &mut Problems) -> Self {
        let fields = match &node.kind {
            Kind::Map(fields) => Some(fields),
            Kind::Null => None,
            _ => {
                let words = format!("{what} is a mapping, not {}", node.kind_in_words());
                problems.note(node.at, instance, words);
                None
            }
        };
        Self {
            at: node.at,
            instance: instance.to_owned(),
            fields,
            known: BTreeSet::new(),
        }
    }

    pub(super) const fn at(&self) -> Mark {
        self.at
    }

    /// A field that is there and not null.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.insert(name);
        let (_, node) = self.fields?.get(name)?;
        (node.kind != Kind::Null).then_some(node)
    }

    fn wanted(&self, node: &Node, name: &str, wanted: &str, problems: &mut Problems) {
        let what = format!("'{name}' is {wanted}, not {}", node.kind_in_words());
        problems.note(node.at, &self.instance, what);
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str, problems: &mut Problems) -> Option<(&'a str, Mark)> {
        let node = self.get(name)?;
        match &node.kind {
            Kind::Text(text) => Some((text, node.at)),
            _ => {
                self.wanted(node, name, "a text", problems);
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<(&'a str, Mark)> {
        if self.get(name).is_none() {
            problems.note(self.at, &self.instance, format!("'{name}' is missing"));
        }
        self.text(name, problems)
    }

    /// A list; empty if it is not there.
    pub(super) fn list(&mut self, name: &'static str, problems: &mut Problems) -> &'a [Node] {
        match self.get(name).map(|node| (node, &node.kind)) {
            Some((_, Kind::List(items))) => items,
            Some((node, _)) => {
                self.wanted(node, name, "a list", problems);
                &[]
            }
            None => &[],
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str, problems: &mut Problems) -> Vec<(&'a str, Mark)> {
        let mut texts = Vec::new();
        for item in self.list(name, problems) {
            match &item.kind {
                Kind::Text(text) => texts.push((text.as_str(), item.at)),
                _ => self.wanted(item, name, "a list of texts", problems),
            }
        }
        texts
    }

    /// A mapping with keys of the user's own.
    pub(super) fn map(&mut self, name: &'static str, problems: &mut Problems) -> Option<&'a Fields> {
        let node = self.get(name)?;
        match &node.kind {
            Kind::Map(fields) => Some(fields),
            _ => {
                self.wanted(node, name, "a mapping", problems);
                None
            }
        }
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self, problems: &mut Problems) {
        let fields = self.fields.into_iter().flatten();
        for (name, (at, _)) in fields.filter(|(name, _)| !self.known.contains(name.as_str())) {
            let known: Vec<_> = self.known.iter().copied().collect();
            let what = format!(
                "there is no field '{}': there are {}",
                shown(name),
                known.join(", ")
            );
            problems.note(*at, &self.instance, what);
        }
    }
}
