//! What arrived, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What arrived at one replica in one process, in order.
#[derive(Debug)]
struct Page {
    operator: String,
    replica: u32,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    writer: String,
    sequence: u64,
    whole: bool,
}

/// Everything that arrived in a case.
#[derive(Debug)]
pub(super) struct Ledger(Vec<Page>);

impl Ledger {
    /// Reads the notes of all sinks. A line that is being written does not count yet.
    pub(super) fn read(folder: &Path) -> Self {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut pages: Vec<Page> = files.filter_map(|file| Page::read(&file.path())).collect();
        pages.sort_by(|a, b| (&a.operator, a.replica).cmp(&(&b.operator, b.replica)));
        Self(pages)
    }

    /// The pages of an operator, `sink`, or of one replica, `sink@1`.
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Page> {
        let (operator, replica) = name.split_once('@').map_or((name, None), |(operator, replica)| {
            (operator, replica.parse::<u32>().ok())
        });
        let is_it = move |page: &&Page| {
            page.operator == operator && replica.is_none_or(|replica| page.replica == replica)
        };
        self.0.iter().filter(is_it)
    }

    /// Whether a replica, `operator@index`, has opened its port.
    pub(super) fn is_ready(&self, replica: &str) -> bool {
        self.of(replica).next().is_some()
    }

    /// How many records arrived at all replicas of an operator.
    pub(super) fn count(&self, operator: &str) -> usize {
        self.of(operator).map(|page| page.entries.len()).sum()
    }

    /// How many records of a writer arrived at all replicas of an operator.
    pub(super) fn count_of(&self, operator: &str, writer: &str) -> usize {
        let entries = self.of(operator).flat_map(|page| &page.entries);
        entries.filter(|entry| entry.writer == writer).count()
    }

    /// How many records arrived at each replica.
    pub(super) fn shares(&self, operator: &str) -> BTreeMap<u32, usize> {
        let mut shares = BTreeMap::new();
        for page in self.of(operator) {
            *shares.entry(page.replica).or_default() += page.entries.len();
        }
        shares
    }

    /// Every record of each writer arrived exactly once at one of the replicas, whole.
    pub(super) fn exactly_once(&self, operator: &str, writers: &[&str], count: u64) {
        let arrived = self.of(operator).flat_map(|page| &page.entries);
        is_complete(operator, arrived, writers, count);
    }

    /// Every record of each writer arrived exactly once at each of the replicas, whole.
    pub(super) fn exactly_once_at_each(&self, operator: &str, replicas: u32, writers: &[&str], count: u64) {
        for replica in 0..replicas {
            self.exactly_once(&format!("{operator}@{replica}"), writers, count);
        }
    }

    /// Nothing is missing and nothing is broken or foreign; what was processed again may be there twice.
    pub(super) fn at_least_once(&self, operator: &str, writers: &[&str], count: u64) {
        let mut arrived: Vec<_> = self.of(operator).flat_map(|page| &page.entries).collect();
        arrived.sort_unstable();
        arrived.dedup();
        is_complete(operator, arrived.into_iter(), writers, count);
    }

    /// Exactly these records arrived, in this order, whole.
    pub(super) fn are(&self, operator: &str, expected: &[u64]) {
        let arrived: Vec<_> = self.of(operator).flat_map(|page| &page.entries).collect();
        let sequences: Vec<u64> = arrived.iter().map(|entry| entry.sequence).collect();
        assert_eq!(sequences, expected, "what arrived at {operator}");
        assert!(arrived.iter().all(|entry| entry.whole), "{operator}: {arrived:?}");
    }

    /// The records of each writer arrived at each replica in the order in which they were sent.
    pub(super) fn in_order(&self, operator: &str) {
        for page in self.of(operator) {
            let mut last: BTreeMap<&str, u64> = BTreeMap::new();
            for entry in &page.entries {
                let before = last.insert(&entry.writer, entry.sequence);
                assert!(
                    before.is_none_or(|before| before < entry.sequence),
                    "at {operator}@{} record {} of {} came after {before:?}",
                    page.replica,
                    entry.sequence,
                    entry.writer
                );
            }
        }
    }

    /// All records of a key arrived at one replica.
    pub(super) fn by_key(&self, operator: &str, keys: u64) {
        let mut at: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        for page in self.of(operator) {
            for entry in &page.entries {
                at.entry(entry.sequence % keys).or_default().insert(page.replica);
            }
        }
        assert_eq!(at.len() as u64, keys, "records of each key arrived at {operator}");
        for (key, replicas) in at {
            assert_eq!(
                replicas.len(),
                1,
                "records of key {key} arrived at the replicas {replicas:?}"
            );
        }
    }
}

impl Page {
    fn read(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (at, _process) = name.strip_suffix(".arrived")?.rsplit_once('.')?;
        let (operator, replica) = at.split_once('@')?;
        let text = std::fs::read_to_string(path).ok()?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let entry = |line: &str| {
            let mut words = line.split(' ');
            Some(Entry {
                writer: words.next()?.to_owned(),
                sequence: words.next()?.parse().ok()?,
                whole: words.next()? == "true",
            })
        };
        Some(Self {
            operator: operator.to_owned(),
            replica: replica.parse().ok()?,
            entries: whole
                .lines()
                .map(|line| entry(line).unwrap_or_else(|| panic!("{name} has the line {line:?}")))
                .collect(),
        })
    }
}

fn is_complete<'a>(at: &str, arrived: impl Iterator<Item = &'a Entry>, writers: &[&str], count: u64) {
    let mut times: BTreeMap<(&str, u64), usize> = BTreeMap::new();
    for entry in arrived {
        assert!(entry.whole, "{at}: a broken record arrived: {entry:?}");
        *times.entry((&entry.writer, entry.sequence)).or_default() += 1;
    }
    let expected: BTreeSet<(&str, u64)> = writers
        .iter()
        .flat_map(|writer| (0..count).map(|sequence| (*writer, sequence)))
        .collect();
    let few = |records: Vec<(&str, u64)>| {
        let shown: Vec<_> = records.iter().take(5).collect();
        format!("{} ({shown:?})", records.len())
    };
    let missing: Vec<_> = expected
        .iter()
        .filter(|of| !times.contains_key(of))
        .copied()
        .collect();
    let foreign: Vec<_> = times
        .keys()
        .filter(|of| !expected.contains(of))
        .copied()
        .collect();
    let doubled: Vec<_> = times.iter().filter(|(_, n)| **n > 1).map(|(of, _)| *of).collect();
    assert!(
        missing.is_empty() && foreign.is_empty() && doubled.is_empty(),
        "{at}: of {} records are missing {}, twice {}, never sent {}",
        expected.len(),
        few(missing),
        few(doubled),
        few(foreign)
    );
}
