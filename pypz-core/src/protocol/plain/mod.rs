//! Members that are plain pypz-python: what they say, and what ours say to them.
//!
//! A plain member has no run, no epoch and no process: it says `Opened`, `Started`, `HealthCheck` every 2 to 14 s, `Stopped` and
//! `Closed` under its port's name, and how many records it sent or received. It is judged by the order of the log and by our
//! observed time at the reception, never by its clock.
//!
//! # Which words are of this run
//!
//! When a principal of ours opens a run it puts a *mark* into the writers' log: a report that names no member. A plain writer is
//! of the run when it speaks behind the mark, when the mark names it as one that was a little earlier, or, in the first run of a log that nobody read before, whenever it spoke. A log
//! that somebody read before begins with a word of a reader that is ours now, before any report: leftovers of a run of
//! pypz-python. A plain reader is of the run when it speaks after this process has read the history: whoever is alive does so
//! every 2 s.
//!
//! A plain principal opens no run. The first writer of ours does so in its place, once the principal is heard.

mod acknowledge;
mod arrived;
mod cycles;
mod hear;
mod peers;
mod speak;
mod word;

pub(super) use acknowledge::Told;
pub(super) use cycles::Cycles;
pub use cycles::Metrics;
pub use hear::{Counts, PlainCount};
pub(super) use peers::PlainPeers;
pub use word::{PlainStatus, PlainWord};
