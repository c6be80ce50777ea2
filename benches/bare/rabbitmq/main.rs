//! Ports on RabbitMQ beside bare lapin doing the same work, in turn: `cargo bench -p pypz-testkit`.
//!
//! Both publish persistent, mandatory messages with ids and confirms in a window of 1,024, through an exchange of their own
//! into a quorum queue of the same arguments, and acknowledge what they took, many at once. lapin is measured as its
//! documentation uses it, awaiting that each message is written, and with messages published at once, as ours are.
//!
//! Throughput is measured from the first record that arrived to the last, and what counts is the ratio of the medians. The
//! latency of a single record is the time from `send` to the return of `retrieve` with nothing else on its way.
//!
//! The broker is the one that `PYPZ_TEST_AMQP` names or `cargo xtask brokers up` started. `-- alone`, `-- packed` and
//! `-- latency` measure only that, `ours` and `bare` behind it only one side.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]

mod bare;
mod figures;
mod ours;

use std::time::Duration;

use bare::Publishing;
use figures::{Side, percentiles};

const PAIRS: usize = 9;
const LONE_RECORDS: usize = 400;
const RECORD_BYTES: usize = 100;
const WINDOW: usize = 1_024;
const PREFETCH: u16 = 64;

/// Before a record that travels alone: long enough for everything about the one before it to be over.
const IDLE: Duration = Duration::from_millis(15);

/// What the command line asks for: all, unless it names some of it.
struct Wanted(Vec<String>);

impl Wanted {
    fn new() -> Self {
        Self(
            std::env::args()
                .skip(1)
                .filter(|word| word != "--bench")
                .collect(),
        )
    }

    fn one_of<const N: usize>(&self, word: &str, all: [&str; N]) -> bool {
        let given = |word: &str| self.0.iter().any(|given| given == word);
        given(word) || !all.into_iter().any(given)
    }

    fn part(&self, part: &str) -> bool {
        self.one_of(part, ["alone", "packed", "latency"])
    }

    fn side(&self, side: &str) -> bool {
        self.one_of(side, ["ours", "bare"])
    }
}

async fn throughput(wanted: &Wanted) {
    let (few, many) = (20_000, 500_000);
    let mut alone = Side::new("one record a message", few);
    let mut packed = Side::new("batches of 100, packed", many);
    let mut awaited = Side::new("bare lapin, each message awaited until it is written", few);
    let mut at_once = Side::new("bare lapin, messages at once", few);
    for _ in 0..PAIRS {
        if wanted.side("bare") {
            awaited.took(bare::run(few, Publishing::Awaited).await);
        }
        if wanted.side("ours") && wanted.part("alone") {
            alone.took(ours::run(few, 100, 1).await);
        }
        if wanted.side("bare") {
            at_once.took(bare::run(few, Publishing::AtOnce).await);
        }
        if wanted.side("ours") && wanted.part("packed") {
            packed.took(ours::run(many, 100, 1_000).await);
        }
    }
    for ours in [&alone, &packed] {
        for bare in [&awaited, &at_once] {
            ours.report_beside(bare);
        }
    }
}

/// One record after the other, in rounds of each side.
async fn latency(wanted: &Wanted) {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        if wanted.side("bare") {
            bare.extend(bare::lone_records(LONE_RECORDS).await);
        }
        if wanted.side("ours") {
            ours.extend(ours::lone_records(LONE_RECORDS).await);
        }
    }
    println!("a single record: {}", percentiles(&mut ours));
    println!("a single record, bare lapin: {}", percentiles(&mut bare));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let wanted = Wanted::new();
        if wanted.part("latency") {
            latency(&wanted).await;
        }
        if wanted.part("alone") || wanted.part("packed") {
            throughput(&wanted).await;
        }
    });
}
