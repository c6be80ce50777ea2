//! The rows of the matrix as runs.

mod clocks;
mod confirms;
mod disks;
mod kills;
mod layouts;
mod meddling;
mod networks;
mod outages;
mod peer_faults;
mod peers;
mod points;
mod races;
mod records;
mod schemas;
mod signals;

use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::form::Form;
use crate::ground::{Ground, Terms};
use crate::line::{Guarantee, Line, Subject, Transport};
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
    /// Whose work is under test.
    pub(crate) subject: Subject,
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
            subject: Subject::Ours,
            alone: $alone,
            play: |ground, terms| Box::pin($play(ground, terms)),
        }
    };
}

/// Makes a case of what pypz-python does.
macro_rules! peer {
    ($row:literal, $name:literal, $transport:ident, $short:expr, $full:expr, $alone:literal, $play:path) => {
        Case {
            subject: Subject::Python,
            ..case!($row, $name, $transport, AtLeastOnce, $short, $full, $alone, $play)
        }
    };
}

/// All cases, in the order of their rows.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    case!(1, "random kills", Kafka, AtLeastOnce, (100_000, 10), (1_000_000, 100), false, kills::random),
    case!(1, "random kills", Kafka, ExactlyOnce, (100_000, 10), (1_000_000, 100), false, kills::random),
    case!(1, "random kills", Rabbitmq, AtLeastOnce, (100_000, 10), (1_000_000, 100), false, kills::random),
    case!(1, "random kills, four relays", Kafka, ExactlyOnce, (100_000, 5), (1_000_000, 20), false, kills::random_of_four),
    case!(2, "every fail-point", Kafka, AtLeastOnce, (600, 1), (2_000, 3), false, points::everywhere),
    case!(2, "every fail-point", Kafka, ExactlyOnce, (600, 1), (2_000, 3), false, points::everywhere),
    case!(2, "every fail-point", Rabbitmq, AtLeastOnce, (600, 1), (2_000, 3), false, points::everywhere),
    case!(3, "writer killed for good", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::for_good),
    case!(3, "writer killed for good", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::for_good),
    peer!(3, "writer killed for good", Kafka, (2_000, 1), (2_000, 1), false, peers::killed),
    peer!(3, "writer killed for good", Rabbitmq, (2_000, 1), (2_000, 1), false, peers::killed),
    case!(4, "writer fails", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::failure),
    case!(4, "writer fails", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, kills::failure),
    case!(5, "SIGTERM and restart", Kafka, AtLeastOnce, (30_000, 5), (300_000, 100), false, signals::drained),
    case!(5, "SIGTERM and restart", Kafka, ExactlyOnce, (30_000, 5), (300_000, 100), false, signals::drained),
    case!(5, "SIGTERM and restart", Rabbitmq, AtLeastOnce, (30_000, 5), (300_000, 100), false, signals::drained),
    peer!(5, "SIGTERM and restart", Kafka, (2_000, 1), (2_000, 1), false, peers::drained),
    peer!(5, "SIGTERM and restart", Rabbitmq, (2_000, 1), (2_000, 1), false, peers::drained),
    case!(6, "second SIGTERM", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, signals::twice),
    case!(6, "second SIGTERM", Kafka, ExactlyOnce, (20_000, 1), (100_000, 1), false, signals::twice),
    case!(6, "second SIGTERM", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, signals::twice),
    case!(7, "behind the last word", Kafka, AtLeastOnce, (600, 1), (600, 1), false, points::behind_the_last_word),
    case!(7, "behind the last word", Kafka, ExactlyOnce, (600, 1), (600, 1), false, points::behind_the_last_word),
    case!(7, "behind the last word", Rabbitmq, AtLeastOnce, (600, 1), (600, 1), false, points::behind_the_last_word),
    case!(8, "broker restarts", Kafka, AtLeastOnce, (40_000, 2), (400_000, 20), true, outages::restarts),
    case!(8, "broker restarts", Kafka, ExactlyOnce, (40_000, 2), (400_000, 20), true, outages::restarts),
    case!(8, "broker restarts", Rabbitmq, AtLeastOnce, (40_000, 2), (400_000, 20), true, outages::restarts),
    peer!(8, "broker restarts", Kafka, (2_000, 1), (2_000, 1), true, peers::restarted),
    peer!(8, "broker restarts", Rabbitmq, (2_000, 1), (2_000, 1), true, peers::restarted),
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
    case!(15, "channel deleted", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, meddling::deleted),
    case!(15, "channel deleted", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, meddling::deleted),
    case!(15, "channel made again", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, meddling::made_again),
    case!(16, "other number of replicas", Kafka, AtLeastOnce, (10_000, 1), (100_000, 1), false, layouts::repartitioned),
    case!(16, "other number of replicas", Rabbitmq, AtLeastOnce, (10_000, 1), (100_000, 1), false, layouts::repartitioned),
    peer!(16, "other number of replicas", Kafka, (2_000, 1), (2_000, 1), false, peer_faults::repartitioned),
    case!(17, "stale status", Kafka, AtLeastOnce, (4_000, 50_000), (4_000, 500_000), false, meddling::stale),
    case!(17, "stale status", Rabbitmq, AtLeastOnce, (4_000, 50_000), (4_000, 500_000), false, meddling::stale),
    peer!(17, "stale status", Kafka, (1_000, 2_000), (1_000, 2_000), false, peer_faults::stale),
    peer!(17, "stale status", Rabbitmq, (1_000, 2_000), (1_000, 2_000), false, peer_faults::stale),
    case!(18, "slow sink", Kafka, AtLeastOnce, (40_000, 1), (400_000, 1), false, layouts::slow),
    case!(18, "slow sink", Rabbitmq, AtLeastOnce, (40_000, 1), (400_000, 1), false, layouts::slow),
    case!(19, "disk full", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), true, outages::full),
    case!(20, "ledger's disk full", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, disks::ledger),
    case!(20, "ledger's disk full", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, disks::ledger),
    case!(20, "log's disk full", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, disks::logs),
    case!(20, "log's disk full", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, disks::logs),
    case!(20, "log's disk full, failing", Kafka, AtLeastOnce, (4_000, 1), (4_000, 1), false, disks::last_words),
    case!(20, "log's disk full, failing", Rabbitmq, AtLeastOnce, (4_000, 1), (4_000, 1), false, disks::last_words),
    case!(21, "long records", Kafka, AtLeastOnce, (3, 1), (30, 1), false, records::long),
    case!(21, "long records", Rabbitmq, AtLeastOnce, (3, 1), (30, 1), false, records::long),
    case!(21, "records of 50 MB", Kafka, AtLeastOnce, (2, 1), (20, 1), false, records::huge),
    case!(21, "records of 50 MB", Rabbitmq, AtLeastOnce, (2, 1), (20, 1), false, records::huge),
    case!(21, "empty records", Kafka, AtLeastOnce, (5_000, 1), (100_000, 1), false, records::empty),
    case!(21, "empty records", Rabbitmq, AtLeastOnce, (5_000, 1), (100_000, 1), false, records::empty),
    case!(22, "poison record", Kafka, AtLeastOnce, (20_000, 1), (100_000, 1), false, meddling::poisoned),
    case!(22, "poison record", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, meddling::poisoned),
    case!(22, "dead letters", Kafka, AtLeastOnce, (20_000, 100), (100_000, 1_000), false, records::dead_letters),
    case!(22, "dead letters", Rabbitmq, AtLeastOnce, (20_000, 100), (100_000, 1_000), false, records::dead_letters),
    case!(24, "hostile status", Kafka, AtLeastOnce, (10_000, 3), (100_000, 50), false, meddling::hostile),
    case!(24, "hostile status", Rabbitmq, AtLeastOnce, (10_000, 3), (100_000, 50), false, meddling::hostile),
    peer!(24, "hostile status", Kafka, (1_000, 1), (1_000, 1), false, peer_faults::hostile),
    peer!(24, "hostile status", Rabbitmq, (1_000, 1), (1_000, 1), false, peer_faults::hostile),
    case!(31, "clocks off by 10 minutes", Kafka, AtLeastOnce, (20_000, 10), (100_000, 10), false, clocks::skewed),
    case!(31, "clocks off by 10 minutes", Kafka, ExactlyOnce, (20_000, 10), (100_000, 10), false, clocks::skewed),
    case!(31, "clocks off by 10 minutes", Rabbitmq, AtLeastOnce, (20_000, 10), (100_000, 10), false, clocks::skewed),
    case!(31, "clocks off by a year", Kafka, AtLeastOnce, (20_000, 525_600), (100_000, 525_600), false, clocks::skewed),
    case!(31, "clocks off by a year", Rabbitmq, AtLeastOnce, (20_000, 525_600), (100_000, 525_600), false, clocks::skewed),
    peer!(31, "clocks off by 10 minutes", Kafka, (1_000, 10), (1_000, 10), false, peer_faults::skewed),
    peer!(31, "clocks off by 10 minutes", Rabbitmq, (1_000, 10), (1_000, 10), false, peer_faults::skewed),
    case!(32, "two of one name", Kafka, AtLeastOnce, (4_000, 3), (4_000, 100), false, races::twins),
    case!(32, "two of one name", Rabbitmq, AtLeastOnce, (4_000, 3), (4_000, 100), false, races::twins),
    case!(33, "quick ends", Kafka, AtLeastOnce, (0, 10), (0, 1_000), false, races::ends),
    case!(33, "quick ends", Rabbitmq, AtLeastOnce, (0, 10), (0, 1_000), false, races::ends),
    peer!(33, "quick ends", Kafka, (0, 5), (0, 30), false, peers::many),
    peer!(33, "quick ends", Rabbitmq, (0, 5), (0, 30), false, peers::many),
    case!(34, "replica late", Kafka, AtLeastOnce, (4_000, 1), (4_000, 1), false, layouts::late),
    case!(34, "replica late", Rabbitmq, AtLeastOnce, (4_000, 1), (4_000, 1), false, layouts::late),
    case!(34, "replica never", Kafka, AtLeastOnce, (4_000, 1), (4_000, 1), false, layouts::never),
    case!(34, "replica never", Rabbitmq, AtLeastOnce, (4_000, 1), (4_000, 1), false, layouts::never),
    case!(34, "replica lost", Kafka, AtLeastOnce, (10_000, 1), (100_000, 1), false, layouts::lost),
    case!(34, "replica lost", Rabbitmq, AtLeastOnce, (10_000, 1), (100_000, 1), false, layouts::lost),
    case!(35, "2, 4, 1 replicas", Kafka, AtLeastOnce, (4_000, 1), (100_000, 1), false, layouts::scaled),
    case!(35, "2, 4, 1 replicas", Kafka, ExactlyOnce, (4_000, 1), (100_000, 1), false, layouts::scaled),
    case!(35, "2, 4, 1 replicas", Rabbitmq, AtLeastOnce, (4_000, 1), (100_000, 1), false, layouts::scaled),
    case!(36, "field added", Kafka, AtLeastOnce, (8_000, 1), (80_000, 1), false, schemas::compatible),
    case!(36, "field added", Rabbitmq, AtLeastOnce, (8_000, 1), (80_000, 1), false, schemas::compatible),
    case!(36, "field of another type", Kafka, AtLeastOnce, (8_000, 1), (80_000, 1), false, schemas::incompatible),
    case!(36, "field of another type", Rabbitmq, AtLeastOnce, (8_000, 1), (80_000, 1), false, schemas::incompatible),
    case!(37, "no way to the queue", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, records::unroutable),
    case!(37, "confirms never come", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, confirms::never),
    case!(37, "messages refused", Rabbitmq, AtLeastOnce, (20_000, 1), (100_000, 1), false, confirms::refused),
    case!(38, "random start orders", Kafka, AtLeastOnce, (0, 8), (0, 1_000), false, races::starts),
    case!(38, "random start orders", Rabbitmq, AtLeastOnce, (0, 8), (0, 1_000), false, races::starts),
    peer!(38, "random start orders", Kafka, (0, 5), (0, 5), false, peer_faults::starts),
    peer!(38, "random start orders", Rabbitmq, (0, 5), (0, 5), false, peer_faults::starts),
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
        keep: false,
        blank: false,
        form: Form::Usual,
        channel_config: Vec::new(),
        port_settings: Vec::new(),
    }
}

/// Adds what a part of a run found to what the parts before it found.
fn fold(line: &mut Line, part: Line) {
    line.records += part.records;
    line.lost += part.lost;
    line.duplicated += part.duplicated;
    line.reread += part.reread;
    line.reordered += part.reordered;
    line.invented += part.invented;
    line.broken += part.broken;
    line.disturbances += part.disturbances;
    line.seconds += part.seconds;
    line.max_rss_mib = line.max_rss_mib.max(part.max_rss_mib);
    for (name, code) in part.exit_codes {
        // The worst of each part of the pipeline.
        let worst = line.exit_codes.entry(name).or_insert(code);
        *worst = if *worst == 0 { code } else { *worst };
    }
    part.reasons.into_iter().for_each(|reason| line.breaks(reason));
}
