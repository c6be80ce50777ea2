//! The ledger: files outside of the system under test, in which writers and sinks note what they did.
//!
//! Each incarnation of a replica has a file of its own, so that a line that a killed process did not finish is the last of its
//! file. All lines of a kind have the same length: how many there are follows from the length of the files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::item::Item;

/// The bytes of a line of a sink, with its end.
const ARRIVAL: usize = 80;

/// The bytes of a line of a writer, with its end.
const ACKNOWLEDGED: usize = 48;

/// What the checksum said of a record that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// As it was made.
    Whole,
    /// Other bytes than were made.
    Broken,
    /// Made by another run.
    Foreign,
}

/// A record that a sink has processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Where it was read.
    pub(crate) partition: u32,
    /// See `partition`; on a queue it counts what the reader was given since it opened.
    pub(crate) offset: u64,
    /// Which replica made it.
    pub(crate) writer: String,
    /// Which incarnation of the writer.
    pub(crate) epoch: i64,
    /// Which record of the writer, from 0.
    pub(crate) sequence: i64,
    /// Which replica of the relay handed it on.
    pub(crate) via: i32,
    /// Which incarnation of the relay.
    pub(crate) via_epoch: i64,
    /// Whether it is as it was made.
    pub(crate) condition: Condition,
}

/// Sequences of a writer that were acknowledged in one go: from, and up to but without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// Which replica made them: `a@1`.
    pub(crate) writer: String,
    /// The first sequence.
    pub(crate) from: i64,
    /// The sequence behind the last.
    pub(crate) to: i64,
}

/// A file of the ledger that is being written.
#[derive(Debug)]
pub(crate) struct Page(File);

impl Page {
    /// Opens the page of a replica's incarnation for arrivals.
    pub(crate) fn arrivals(folder: &Path, replica: &str, incarnation: u64) -> Result<Self> {
        Self::open(folder, replica, incarnation, "arrived")
    }

    /// Opens the page of a writer's incarnation for what was acknowledged.
    pub(crate) fn acknowledged(folder: &Path, replica: &str, incarnation: u64) -> Result<Self> {
        Self::open(folder, replica, incarnation, "acknowledged")
    }

    fn open(folder: &Path, replica: &str, incarnation: u64, kind: &str) -> Result<Self> {
        let path = folder.join(format!("{replica}.{incarnation}.{kind}"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self(
            file.with_context(|| format!("cannot write {}", path.display()))?,
        ))
    }

    /// Notes records that arrived at a partition and offset. When it returns, the death of this process cannot undo it.
    pub(crate) fn arrived<'a>(
        &mut self,
        run: &str,
        items: impl Iterator<Item = (u32, u64, &'a Item)>,
    ) -> Result<()> {
        let mut lines = String::new();
        for (partition, offset, item) in items {
            let condition = match (item.is_whole(), item.run == run) {
                (false, _) => 'B',
                (true, false) => 'F',
                (true, true) => 'W',
            };
            let Item {
                writer,
                epoch,
                sequence,
                via,
                via_epoch,
                ..
            } = item;
            let start = lines.len();
            lines += &format!(
                "{partition:5} {offset:12} {writer:>16.16} {epoch:5} {sequence:12} {via:5} {via_epoch:5} {condition}"
            );
            pad(&mut lines, start, ARRIVAL)?;
        }
        Ok(self.0.write_all(lines.as_bytes())?)
    }

    /// Notes that a range of a writer's sequences was acknowledged.
    pub(crate) fn acknowledge(&mut self, from: i64, to: i64) -> Result<()> {
        let mut line = format!("{from:20} {to:20}");
        pad(&mut line, 0, ACKNOWLEDGED)?;
        Ok(self.0.write_all(line.as_bytes())?)
    }
}

/// Ends a line that began at `start` so that it has `length` bytes.
fn pad(lines: &mut String, start: usize, length: usize) -> Result<()> {
    let written = lines.len() - start;
    if written >= length {
        bail!("a line of the ledger has no room: {}", &lines[start..]);
    }
    lines.extend(std::iter::repeat_n(' ', length - 1 - written));
    lines.push('\n');
    Ok(())
}

/// How many records arrived at a replica (`sink@0`), or at all of an operator (`sink`).
pub(crate) fn count(folder: &Path, of: &str) -> u64 {
    let pages = pages(folder, "arrived");
    let ours = pages.iter().filter(|(replica, _)| is_of(replica, of));
    let bytes = ours
        .filter_map(|(_, path)| path.metadata().ok())
        .map(|file| file.len());
    bytes.map(|bytes| bytes / ARRIVAL as u64).sum()
}

/// Everything that arrived at an operator, page after page.
pub(crate) fn arrivals(folder: &Path, operator: &str) -> Result<Vec<Arrival>> {
    let mut all = Vec::new();
    for (replica, path) in pages(folder, "arrived") {
        if is_of(&replica, operator) {
            for line in lines(&path, ARRIVAL)? {
                all.push(
                    arrival(&line).with_context(|| format!("{} has the line {line:?}", path.display()))?,
                );
            }
        }
    }
    Ok(all)
}

/// Everything that was acknowledged to writers.
pub(crate) fn acknowledged(folder: &Path) -> Result<Vec<Acknowledged>> {
    let mut all = Vec::new();
    for (writer, path) in pages(folder, "acknowledged") {
        for line in lines(&path, ACKNOWLEDGED)? {
            let mut words = line.split_whitespace().map(str::parse::<i64>);
            let (Some(Ok(from)), Some(Ok(to))) = (words.next(), words.next()) else {
                bail!("{} has the line {line:?}", path.display());
            };
            let writer = writer.clone();
            all.push(Acknowledged { writer, from, to });
        }
    }
    Ok(all)
}

fn is_of(replica: &str, of: &str) -> bool {
    replica == of || replica.split('@').next() == Some(of)
}

/// The pages of a kind with their replicas, in the order of their names.
fn pages(folder: &Path, kind: &str) -> Vec<(String, PathBuf)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let page = |path: PathBuf| {
        let (replica, of) = path.file_name()?.to_str()?.split_once('.')?;
        let (_, of) = of.split_once('.')?;
        (of == kind).then(|| (replica.to_owned(), path.clone()))
    };
    let mut pages: Vec<_> = files.filter_map(|file| page(file.path())).collect();
    pages.sort();
    pages
}

/// The whole lines of a page; what a killed process left unfinished is none.
fn lines(path: &Path, length: usize) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = bytes.chunks_exact(length);
    Ok(lines
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect())
}

fn arrival(line: &str) -> Option<Arrival> {
    let mut words = line.split_whitespace();
    Some(Arrival {
        partition: words.next()?.parse().ok()?,
        offset: words.next()?.parse().ok()?,
        writer: words.next()?.to_owned(),
        epoch: words.next()?.parse().ok()?,
        sequence: words.next()?.parse().ok()?,
        via: words.next()?.parse().ok()?,
        via_epoch: words.next()?.parse().ok()?,
        condition: match words.next()? {
            "W" => Condition::Whole,
            "B" => Condition::Broken,
            "F" => Condition::Foreign,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_an_unfinished_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let item = Item::new("run", "a@0", 2, 41, 10);
        let broken = Item {
            payload: "?".to_owned(),
            ..item.clone()
        };
        let foreign = Item::new("other", "a@0", 2, 42, 10);
        let mut page = Page::arrivals(folder.path(), "sink@0", 1).unwrap();
        let noted = [(0, 7, &item), (0, 8, &broken), (0, 9, &foreign)];
        page.arrived("run", noted.into_iter()).unwrap();
        page.0.write_all(b"    0   1").unwrap();
        let conditions: Vec<_> = arrivals(folder.path(), "sink").unwrap();
        let conditions: Vec<_> = conditions
            .iter()
            .map(|a| (a.offset, a.sequence, a.condition))
            .collect();
        let expected = [
            (7, 41, Condition::Whole),
            (8, 41, Condition::Broken),
            (9, 42, Condition::Foreign),
        ];
        assert_eq!(conditions, expected);
        assert_eq!(count(folder.path(), "sink"), 3);
        assert_eq!(count(folder.path(), "sink@1"), 0);
    }

    #[test]
    fn what_was_acknowledged_is_read_by_writer() {
        let folder = tempfile::tempdir().unwrap();
        for (writer, incarnation, from, to) in [("a@0", 1, 0, 500), ("a@0", 2, 400, 600), ("b@1", 1, 0, 5)] {
            let mut page = Page::acknowledged(folder.path(), writer, incarnation).unwrap();
            page.acknowledge(from, to).unwrap();
        }
        let read = acknowledged(folder.path()).unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|range| (range.writer.as_str(), range.from, range.to))
            .collect();
        assert_eq!(read, [("a@0", 0, 500), ("a@0", 400, 600), ("b@1", 0, 5)]);
    }
}
