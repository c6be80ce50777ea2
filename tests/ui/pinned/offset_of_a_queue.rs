//! A queue has no offsets.

use pypz::prelude::*;

fn on_a_log(port: &KafkaInputPort<String>) {
    let _ = port.next_offset();
}

fn on_a_queue(port: &RabbitMqInputPort<String>) {
    let _ = port.next_offset();
}

fn anywhere(port: &InputPort<String>) {
    let _ = port.next_offset();
}

fn main() {}
