//! Ports of pypz beside the bare clients: what the benchmarks share.
//!
//! A comparison is one of [`figures::Pairs`]: both sides do the same work in turn, in one process and one run, and what counts is
//! the ratio of the medians with its range over the pairs. An absolute figure says something about the machine only.
//!
//! `cargo xtask bench` runs all of it on real brokers and writes `docs/performance.md`. A single benchmark is run by
//! `cargo bench -p pypz-benches --bench transport`, on the brokers of `cargo xtask brokers up`; words behind `--` choose by name.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::must_use_candidate,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "programs that print what they measured"
)]

pub mod arrivals;
pub mod bare {
    pub mod channel;
    pub mod kafka;
    pub mod rabbitmq;
}
pub mod figures;
pub mod hop;
pub mod pipelines;
pub mod process;
pub mod relay;
