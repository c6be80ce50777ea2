//! What tests of pypz pipelines need: real brokers, names of their own, processes with a deadline.

pub mod brokers;
pub mod names;
pub mod processes;
