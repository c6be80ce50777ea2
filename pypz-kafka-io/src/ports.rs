//! Ports that are bound to Kafka.

use pypz_core::codec::Avro;
use pypz_core::port::{InputPort, LogPin, OutputPort, Pin};

/// Binds a port to `kafka://`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kafka;

impl Pin for Kafka {
    const SCHEMES: Option<&'static [&'static str]> = Some(&["kafka"]);
}

impl LogPin for Kafka {}

/// An input port that lives on Kafka only; another `channelLocation` is refused.
pub type KafkaInputPort<T, C = Avro> = InputPort<T, C, Kafka>;

/// An output port that lives on Kafka only; another `channelLocation` is refused.
pub type KafkaOutputPort<T, C = Avro> = OutputPort<T, C, Kafka>;
