//! Topic to operator to topic, beside bare rdkafka: `cargo bench -p pypz-benches --bench hop [-- at-least-once|exactly-once]`.
//!
//! The first topic is full before the clock begins. At least once positions are committed behind the acknowledgements of what was
//! made from them, exactly once everything is in transactions of 100 ms; both sides have the settings of ours when nothing is set.

#![allow(missing_docs, reason = "a program")]

use pypz_benches::bare::kafka::{self, Promise};
use pypz_benches::figures::{Pairs, is_quick, is_wanted, pairs};
use pypz_benches::hop;

const BYTES: usize = 100;
const PARTITIONS: u32 = 4;

fn main() {
    // Fewer would be a measurement of how both start.
    let records = if is_quick() { 1_000_000 } else { 2_000_000 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for (name, promise) in [
            ("at-least-once", Promise::AtLeastOnce),
            ("exactly-once", Promise::ExactlyOnce),
        ] {
            if !is_wanted(name) {
                continue;
            }
            let mut compared = Pairs::new(
                format!("hop/Kafka: {BYTES} B, {PARTITIONS} partitions, {name}"),
                records,
            );
            for _ in 0..pairs() {
                compared.bare(kafka::hop(records, BYTES, PARTITIONS as usize, promise).await);
                let exactly_once = promise == Promise::ExactlyOnce;
                compared.ours(hop::run(records, BYTES, PARTITIONS, exactly_once).await);
            }
            compared.report();
        }
    });
}
