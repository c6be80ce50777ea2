//! The channel protocol, sans-io: reports of peers, ticks and local events in; reports to publish and answers out.
//!
//! There is no clock, no broker and no task in here. [`Machine`] is told the time, is fed with the reports that a status
//! log carries in one order to everybody, and is asked what its channel may do next. Transports only carry reports;
//! `simulation` runs many machines against each other.
//!
//! # Rules
//!
//! 1. **Readiness**: a writer sends its first record when all expected readers are assigned and positioned.
//! 2. **End by proof**: a reader's input ends when every expected writer of the run said `Stopped`, with its ends, and
//!    the reader has read to the end of the log that was final then. Silence is never an end.
//! 3. **Nothing unread is deleted**: the principal closes the run when all replicas said that they have read to the end.
//! 4. **Identity** is run, member and epoch. A run belongs to its principal reader; what was said in an older run, or by
//!    an older epoch of a member, is not heard.
//! 5. **Ownership**: a member is claimed in the log before it is taken. The first claim wins; a holder that is alive
//!    answers a later claim, and the claimant withdraws; one that does not answer is replaced and, should it wake up,
//!    finds itself fenced. The order of the claims in the log gives each incarnation an epoch of its own.
//! 6. **Monotonic local time** decides, and only as far as our own reports come back from the log: a broker that is
//!    away, or a stop of our own process, makes no peer a lost one.
//! 7. **Failure spreads with its cause.** A failure that is history when a process starts is no failure yet: the member
//!    has the patience to come back.
//! 8. **The incarnations of a member do the same work in a run**: a later one may repeat what an earlier one did, and
//!    adds nothing to what an earlier one finished. New work is a new run.
//! 9. **A run has one schema**, that of whoever opened it. Who has another one translates, or does not take part.

mod acknowledged;
mod answers;
mod claim;
mod clock;
mod identity;
mod local;
mod machine;
mod peers;
mod plain;
mod report;
mod runs;
mod schema;
mod view;
mod wire;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use acknowledged::{Acknowledgement, Acknowledgements, Numbers, SentRecords};
pub use identity::{Layout, MemberId, Process, ProcessId, RunId, Side};
pub use local::LocalEvent;
pub use machine::{Machine, RunPolicy, Timing};
pub use peers::MAX_SOURCE_BYTES;
pub use plain::{Counts, Metrics, PlainCount, PlainStatus, PlainWord};
pub use report::{Covering, End, MemberRange, MemberState, Report};
pub use schema::MAX_SCHEMA_BYTES;
pub use view::{Membership, Readiness, Refusal, Siblings, Upstream};
pub use wire::{
    Heard, MAX_STATUS_BYTES, StatusError, StatusRecord, decode, encode, encode_word, sign_of_life,
};
