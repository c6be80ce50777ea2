//! Ports that are bound to RabbitMQ.

use pypz_core::codec::Avro;
use pypz_core::port::{InputPort, OutputPort, Pin};

/// Binds a port to `amqp://` or `amqps://`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RabbitMq;

impl Pin for RabbitMq {
    const SCHEMES: Option<&'static [&'static str]> = Some(&["amqp", "amqps"]);
}

/// An input port that lives on RabbitMQ only; another `channelLocation` is refused.
pub type RabbitMqInputPort<T, C = Avro> = InputPort<T, C, RabbitMq>;

/// An output port that lives on RabbitMQ only; another `channelLocation` is refused.
pub type RabbitMqOutputPort<T, C = Avro> = OutputPort<T, C, RabbitMq>;
