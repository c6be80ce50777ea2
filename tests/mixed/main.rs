//! Pipelines of two languages: genuine pypz-python 0.10.2 beside ours, on real brokers.

#![cfg(all(feature = "kafka", feature = "rabbitmq", feature = "files"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod chains;
mod faults;
mod figures;
mod flights;
mod golden;
mod operators;
mod records;
mod replicas;
mod stage;
