//! Apache Kafka as a transport of pypz: `kafka://host:port[,host:port]`.
//!
//! A channel is a topic with one partition a reader replica (one partition for all in broadcast), created by the
//! principal reader and assigned by replica index: there is no group coordinator and no rebalancing. Status goes over two
//! topics beside it, `<channel>.input.state` and `<channel>.output.state`.
//!
//! A process has one producer, one status producer, one status consumer and one admin client a location, and one
//! consumer a channel that it reads, however many replicas it runs: each replica reads a queue of its own
//! (librdkafka's split partition queues).
//!
//! # What it does not do
//!
//! It never creates a topic on the writer's side, never repartitions, never deletes a topic that holds unread records,
//! and never uses a group's subscription.

mod acknowledge;
mod broadcast;
mod clients;
mod committer;
mod config;
mod consumer;
mod deliveries;
mod error;
mod fence;
mod lost;
mod own_position;
mod plain;
mod polling;
mod ports;
mod producer;
mod properties;
mod question;
mod reader;
mod records;
mod security;
mod status;
mod tail;
mod topics;
mod transactions;
mod transport;
mod trouble;
mod watch;
mod within;
mod writer;

pub use ports::{Kafka, KafkaInputPort, KafkaOutputPort};
pub use properties::RESERVED;
pub use reader::KafkaChannelReader;
pub use transport::KafkaTransport;
pub use writer::KafkaChannelWriter;
