//! What every transport of pypz promises, as cases that run against it.
//!
//! A transport passes if all of its cases do. Each case runs whole pipelines through the public API at the location of a
//! [`Site`], and compares what arrived with what was sent: every record says who sent it, which one it is, and whether its
//! bytes are whole. A case names in its documentation the promise that it proves.
//!
//! A test file of a transport is one invocation, which makes a test of each case:
//!
//! ```
//! // The crate of the transport has to be linked, so that its scheme is known: `use my_transport as _;`
//! mod memory {
//!     use pypz_testkit::conformance::Site;
//!
//!     // Of a transport whose records outlive a process: `pypz_testkit::conformance!(Site::durable(location));`
//!     pypz_testkit::conformance_everywhere!(Site::volatile("memory://"));
//! }
//! ```
//!
//! There are two lists of cases. Those of [`conformance_everywhere!`](crate::conformance_everywhere) run the pipeline as one
//! execution. Those of [`conformance_across_processes!`](crate::conformance_across_processes) run parts of it as executions
//! of their own, some as processes that are killed, so they are for durable sites only; a process of theirs is the test's own
//! program, started again to play one part. [`conformance!`](macro@crate::conformance) is both.
//!
//! `PYPZ_TEST_STARTS` says how often the case of many starts starts, 20 times unless told otherwise.

mod agreed;
pub mod cases;
mod forms;
mod ids;
mod items;
mod ledger;
mod lists;
mod operators;
mod play;
mod raw;
mod setup;
mod site;
mod stage;

pub use play::{CaseFuture, run};
pub use site::{Lifetime, Sharing, Site};
