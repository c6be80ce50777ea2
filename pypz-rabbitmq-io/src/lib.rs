//! RabbitMQ as a transport of pypz: `amqp://user:password@host:port/vhost`, `amqps://…` with the feature `tls`.
//!
//! A channel is an exchange and a durable quorum queue that the reader replicas compete for: each record is a job of its
//! own that any of them may take. In broadcast, and where the user asks for order by key, each replica has a queue of its
//! own. Status goes over two streams beside it, `<channel>.reader.status` and `<channel>.writer.status`.
//!
//! Records are persistent, mandatory and confirmed by the broker. What is at hand at the same time travels in one message
//! ([`pack`](crate#packs)), and a message is acknowledged when all its records are processed and what was made from them
//! is acknowledged. A message that no replica survives goes to `<channel>.dead-letters` after `deliveryLimit` attempts.
//!
//! A process has one connection to publish and one to consume a location, and a channel a port.
//!
//! # Packs
//!
//! A message with the content type [`PACK`] holds several records: each is its length, then its details, then its
//! bytes. Any other message is one record without key, headers and timestamp, as pypz-python sends it.
//!
//! # What it does not do
//!
//! It never infers an end from a queue's depth, never changes or re-creates what somebody deleted, and never deletes a
//! queue that holds unread records. It promises no order over replicas that compete, and no replay.

mod acknowledge;
mod clients;
mod committer;
mod config;
mod consumer;
mod dead_letters;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod holder;
mod inbox;
mod link;
mod look;
mod numbers;
mod outbox;
mod pack;
mod packing;
mod plain;
mod ports;
mod queues;
mod reader;
mod status;
mod transport;
mod window;
mod writer;

pub use config::SETTINGS;
pub use pack::PACK;
pub use ports::{RabbitMq, RabbitMqInputPort, RabbitMqOutputPort};
pub use reader::RabbitMqChannelReader;
pub use transport::RabbitMqTransport;
pub use writer::RabbitMqChannelWriter;
