//! Pipelines of two languages: genuine pypz-python 0.10.2 beside ours, on real brokers.

#![cfg(all(feature = "kafka", feature = "rabbitmq", feature = "files"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod acknowledged;
mod chains;
mod faults;
mod flights;
mod golden;
mod operators;
mod play;
mod records;
mod replicas;
mod sequential;
mod stage;
