//! The rows of the matrix as runs.

mod kills;
mod networks;
mod outages;
mod signals;

use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::ground::{Ground, Terms};
use crate::line::{Guarantee, Line, Transport};
use crate::play::Shape;

use Guarantee::{AtLeastOnce, ExactlyOnce};
use Transport::{Kafka, Rabbitmq};

/// How a case is run.
type Play = fn(Arc<Ground>, Terms) -> BoxFuture<'static, Result<Line>>;

/// A row on a transport with a guarantee.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The row of the matrix.
    pub(crate) row: u32,
    /// What is particular about it.
    pub(crate) name: &'static str,
    /// Where the records travel.
    pub(crate) transport: Transport,
    /// What is promised.
    pub(crate) guarantee: Guarantee,
    /// Records of all sources together, and rounds: in the short form and in the full one.
    pub(crate) size: [(u64, u64); 2],
    /// Whether it breaks the broker, so that nobody else may use it meanwhile.
    pub(crate) alone: bool,
    /// Runs it.
    pub(crate) play: Play,
}

/// Makes a case of an asynchronous function.
macro_rules! case {
    ($row:literal, $name:literal, $transport:ident, $guarantee:ident, $short:expr, $full:expr, $alone:literal, $play:path) => {
        Case {
            row: $row,
            name: $name,
            transport: $transport,
            guarantee: $guarantee,
            size: [$short, $full],
            alone: $alone,
            play: |ground, terms| Box::pin($play(ground, terms)),
        }
    };
}

/// All cases, in the order of their rows.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    case!(1, "random kills", Kafka, AtLeastOnce, (100_000, 10), (1_000_000, 100), false, kills::random),
    case!(1, "random kills", Kafka, ExactlyOnce, (100_000, 10), (1_000_000, 100), false, kills::random),
    case!(1, "random kills", Rabbitmq, AtLeastOnce, (100_000, 10), (1_000_000, 100), false, kills::random),
    case!(3, "writer killed for good", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::for_good),
    case!(3, "writer killed for good", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::for_good),
    case!(4, "writer fails", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::failure),
    case!(4, "writer fails", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::failure),
    case!(5, "SIGTERM and restart", Kafka, AtLeastOnce, (30_000, 5), (300_000, 100), false, signals::drained),
    case!(5, "SIGTERM and restart", Kafka, ExactlyOnce, (30_000, 5), (300_000, 100), false, signals::drained),
    case!(5, "SIGTERM and restart", Rabbitmq, AtLeastOnce, (30_000, 5), (300_000, 100), false, signals::drained),
    case!(6, "second SIGTERM", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, signals::twice),
    case!(6, "second SIGTERM", Kafka, ExactlyOnce, (20_000, 1), (100_000, 1), false, signals::twice),
    case!(6, "second SIGTERM", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, signals::twice),
    case!(8, "broker restarts", Kafka, AtLeastOnce, (40_000, 2), (400_000, 20), true, outages::restarts),
    case!(8, "broker restarts", Kafka, ExactlyOnce, (40_000, 2), (400_000, 20), true, outages::restarts),
    case!(8, "broker restarts", Rabbitmq, AtLeastOnce, (40_000, 2), (400_000, 20), true, outages::restarts),
    case!(9, "broker nowhere", Kafka, AtLeastOnce, (4_000, 1), (4_000, 1), false, outages::nowhere),
    case!(9, "broker nowhere", Rabbitmq, AtLeastOnce, (4_000, 1), (4_000, 1), false, outages::nowhere),
    case!(9, "broker late", Kafka, AtLeastOnce, (4_000, 1), (4_000, 1), false, outages::late),
    case!(9, "broker late", Rabbitmq, AtLeastOnce, (4_000, 1), (4_000, 1), false, outages::late),
    case!(10, "broker gone", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), true, outages::gone),
    case!(10, "broker gone", Kafka, ExactlyOnce, (20_000, 1), (100_000, 1), true, outages::gone),
    case!(10, "broker gone", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), true, outages::gone),
    case!(11, "writer cut off", Kafka, AtLeastOnce, (20_000, 1), (200_000, 20), false, networks::cut_off),
    case!(11, "writer cut off", Kafka, ExactlyOnce, (20_000, 1), (200_000, 20), false, networks::cut_off),
    case!(11, "writer cut off", Rabbitmq, AtLeastOnce, (20_000, 1), (200_000, 20), false, networks::cut_off),
    case!(12, "relay cut off for good", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, networks::cut_off_for_good),
    case!(12, "relay cut off for good", Kafka, ExactlyOnce, (20_000, 1), (100_000, 1), false, networks::cut_off_for_good),
    case!(12, "relay cut off for good", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, networks::cut_off_for_good),
    case!(13, "bad network", Kafka, AtLeastOnce, (20_000, 8), (200_000, 100), false, networks::bad),
    case!(13, "bad network", Kafka, ExactlyOnce, (20_000, 8), (200_000, 100), false, networks::bad),
    case!(13, "bad network", Rabbitmq, AtLeastOnce, (20_000, 8), (200_000, 100), false, networks::bad),
    case!(14, "zombie", Kafka, AtLeastOnce, (30_000, 1), (100_000, 1), false, signals::zombie),
    case!(14, "zombie", Kafka, ExactlyOnce, (30_000, 1), (100_000, 1), false, signals::zombie),
    case!(14, "zombie", Rabbitmq, AtLeastOnce, (30_000, 1), (100_000, 1), false, signals::zombie),
    case!(19, "disk full", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), true, outages::full),
];

/// The usual pipeline: two sources of two replicas, two relays, a sink.
fn shape(terms: &Terms) -> Shape {
    Shape {
        writers: 2,
        writer_replicas: 2,
        relays: 2,
        sinks: 1,
        records: (terms.records / 4).max(1),
        batch: 50,
        rate: 0,
        record_bytes: 140,
        fail_at: None,
        sink_pause: 0,
        patience: 30.0,
        exactly_once: false,
        channel_config: Vec::new(),
    }
}
