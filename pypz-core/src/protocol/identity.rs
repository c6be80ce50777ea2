//! Who takes part: runs, processes and members.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One run of a channel, opened by its principal reader.
///
/// The number counts the runs in one status log and orders them; the id tells apart what a number cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    /// Counted from 1 in each status log.
    pub number: u64,
    /// A UUIDv7.
    pub id: Uuid,
}

impl RunId {
    /// A new run with this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            number,
            id: Uuid::now_v7(),
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.id)
    }
}

/// The identity of a process, new at each start.
pub type ProcessId = Uuid;

/// A process that hosts members of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// New at each start.
    pub id: ProcessId,
    /// The name of its host, for people.
    pub host: String,
    /// Its process id on that host, for people.
    pub pid: u32,
}

impl Process {
    /// This process, with a new identity.
    #[must_use]
    pub fn current() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map_or_else(|| "localhost".to_owned(), |host| host.trim().to_owned());
        Self {
            id: Uuid::now_v7(),
            host,
            pid: std::process::id(),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {} pid {}", self.host.escape_debug(), self.pid)
    }
}

/// The two sides of a channel. Each has a status log of its own that the other side reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The replicas of the input port.
    Readers,
    /// The replicas of all connected output ports.
    Writers,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Readers, Self::Writers];
}

/// A member of a channel: a reader by its group index, or a writer by its place in [`Layout::writers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId {
    /// Reader or writer.
    pub side: Side,
    /// The index on that side, from 0.
    pub index: u32,
}

impl MemberId {
    /// The principal reader, to whom the runs of the channel belong.
    pub const PRINCIPAL: Self = Self::reader(0);

    /// The reader with this group index.
    #[must_use]
    pub const fn reader(index: u32) -> Self {
        Self {
            side: Side::Readers,
            index,
        }
    }

    /// The writer with this place.
    #[must_use]
    pub const fn writer(index: u32) -> Self {
        Self {
            side: Side::Writers,
            index,
        }
    }
}

/// Everybody who is expected on a channel, known from the pipeline before it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The full name of the principal's input port.
    pub channel: Arc<str>,
    /// The port names of the readers by group index: `pl.clean.lines`, `pl.clean_0.lines`, …
    pub readers: Vec<String>,
    /// The port names of the writers: every replica of every connected output port.
    pub writers: Vec<String>,
    /// The members of operators that somebody else runs, who may be plain pypz-python.
    pub foreign: BTreeSet<MemberId>,
    /// Of each writer the place of its operator's principal; empty if no operator that writes is replicated.
    pub principals: Vec<u32>,
}

impl Layout {
    /// How many members a side has.
    #[must_use]
    pub const fn len(&self, side: Side) -> usize {
        match side {
            Side::Readers => self.readers.len(),
            Side::Writers => self.writers.len(),
        }
    }

    /// The full name of a member's port.
    #[must_use]
    pub fn name(&self, member: MemberId) -> &str {
        let names = match member.side {
            Side::Readers => &self.readers,
            Side::Writers => &self.writers,
        };
        names.get(member.index as usize).map_or("unknown", String::as_str)
    }

    /// To whom the runs belong: the principal reader, or where others run that the first writer of ours.
    #[must_use]
    pub fn keeper(&self) -> MemberId {
        if !self.foreign.contains(&MemberId::PRINCIPAL) {
            return MemberId::PRINCIPAL;
        }
        let mut writers = self.members(Side::Writers);
        let ours = writers.find(|writer| !self.foreign.contains(writer));
        ours.unwrap_or(MemberId::PRINCIPAL)
    }

    /// The group of a member as pypz-python has it: the port name of its operator's principal, if the operator is
    /// replicated, and the member's index in there.
    #[must_use]
    pub fn group(&self, member: MemberId) -> (Option<&str>, u32) {
        let principal = match member.side {
            Side::Readers => 0,
            Side::Writers => self
                .principals
                .get(member.index as usize)
                .copied()
                .unwrap_or(member.index),
        };
        let size = match member.side {
            Side::Readers => self.readers.len(),
            Side::Writers => self.principals.iter().filter(|of| **of == principal).count(),
        };
        let side = member.side;
        let name = (size > 1).then(|| {
            self.name(MemberId {
                side,
                index: principal,
            })
        });
        (name, member.index.saturating_sub(principal))
    }

    /// All members of a side.
    pub fn members(&self, side: Side) -> impl Iterator<Item = MemberId> + use<> {
        (0..u32::try_from(self.len(side)).unwrap_or(u32::MAX)).map(move |index| MemberId { side, index })
    }
}
