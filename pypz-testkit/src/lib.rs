//! What tests of pypz pipelines need: real brokers, names of their own, processes with a deadline, and the cases that
//! every transport passes.

pub mod bare;
pub mod brokers;
pub mod conformance;
pub mod names;
pub mod processes;
pub mod python;
