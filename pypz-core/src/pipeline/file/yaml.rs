//! YAML: from the parser's events to a tree within limits.
//!
//! The parser expands nothing, so that an alias costs what it stands for and a bomb is over at its first excess.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::node::{Builder, Fault, Fields, Kind, MAX_DEPTH, Mark, Node, shown};
use super::scalar;

/// A mapping or a list of which the end has not come yet.
struct Open {
    at: Mark,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { fields: Fields, key: Option<Key> },
}

/// The key whose value comes next.
enum Key {
    Text(Mark, String),
    /// One that was refused; its value is left out.
    Refused,
}

struct Tree<'a> {
    builder: &'a mut Builder,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
}

/// Reads a file with one document.
///
/// # Errors
///
/// The fault behind which nothing could be read; those before it are with the builder.
pub(super) fn parse(text: &str, builder: &mut Builder) -> Result<Node, Fault> {
    let mut parser = Parser::new_from_str(text);
    let mut tree = Tree {
        builder,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
    };
    let mut end = Mark { line: 1, column: 1 };
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| refused(&error))?;
        end = mark(span.start);
        tree.take(event, end)?;
    }
    tree.root.ok_or_else(|| Fault::new(end, "the file is empty"))
}

fn mark(marker: Marker) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark {
        line: number(marker.line()).max(1),
        column: number(marker.col()).saturating_add(1),
    }
}

fn refused(error: &ScanError) -> Fault {
    Fault::new(
        mark(*error.marker()),
        format!("not YAML: {}", shown(&error.info())),
    )
}

impl Tree<'_> {
    fn take(&mut self, event: Event<'_>, at: Mark) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) if self.documents > 0 => Err(Fault::new(
                at,
                "a second document begins here: a file has one pipeline",
            )),
            Event::DocumentStart(..) => {
                self.documents += 1;
                Ok(())
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Fault::new(at, "an alias inside of what it stands for"));
                };
                self.builder.spend_copy(at, node)?;
                let kind = node.kind.clone();
                self.place(Node { at, kind })
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.builder.spend(at, text.len())?;
                let kind = self.scalar(&text, style, tag.as_deref(), at)?;
                let node = Node { at, kind };
                self.remember(anchor, &node)?;
                self.place(node)
            }
            Event::SequenceStart(_, anchor, tag) => self.begin(at, anchor, tag, OpenKind::List(Vec::new())),
            Event::MappingStart(_, anchor, tag) => {
                let kind = OpenKind::Map {
                    fields: Fields::new(),
                    key: None,
                };
                self.begin(at, anchor, tag, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            // Comments, and what only is told to those who ask for it.
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Mark) -> Result<Kind, Fault> {
        let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
        if let Some(tag) = tag.filter(|_| !is_text) {
            self.refuse_tag(tag, at)?;
        }
        if is_text || style != ScalarStyle::Plain {
            return Ok(Kind::Text(text.to_owned()));
        }
        match scalar::plain(text) {
            Ok(kind) => Ok(kind),
            Err(why) => {
                self.builder.fault(
                    at,
                    format!("this is {}: quote it, or write it in another way", why.0),
                )?;
                Ok(Kind::Text(text.to_owned()))
            }
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, at: Mark) -> Result<(), Fault> {
        let mend = match tag.suffix() == "set" {
            true => "write a list",
            false => "leave it out",
        };
        self.builder.fault(at, format!("tags are not known here: {mend}"))
    }

    fn begin(
        &mut self,
        at: Mark,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        kind: OpenKind,
    ) -> Result<(), Fault> {
        self.builder.spend(at, 0)?;
        if let Some(tag) = tag {
            self.refuse_tag(&tag, at)?;
        }
        if self.open.len() >= MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} mappings and lists in each other");
            return Err(Fault::new(at, what));
        }
        self.open.push(Open { at, anchor, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { fields, .. } => Kind::Map(fields),
        };
        let node = Node { at: open.at, kind };
        self.remember(open.anchor, &node)?;
        self.place(node)
    }

    /// Keeps what an alias may stand for.
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Fault> {
        if anchor > 0 {
            self.builder.spend_copy(node.at, node)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    /// Puts a whole value where it belongs: into the list or mapping that is open, or at the top.
    fn place(&mut self, node: Node) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { fields, key }) => match key.take() {
                Some(Key::Text(at, key)) => self.builder.insert(fields, (at, key), node)?,
                Some(Key::Refused) => {}
                None => *key = Some(key_of(node, self.builder)?),
            },
        }
        Ok(())
    }
}

fn key_of(node: Node, builder: &mut Builder) -> Result<Key, Fault> {
    let at = node.at;
    let what = match node.kind {
        Kind::Text(text) => return Ok(Key::Text(at, text)),
        Kind::List(_) | Kind::Map(_) => {
            return Err(Fault::new(at, "a key must be a text"));
        }
        _ => "a key must be a text: quote it",
    };
    builder.fault(at, what)?;
    Ok(Key::Refused)
}
