//! Compares the ledger with what was promised. It sees no broker and no process.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ledger::{Acknowledged, Arrival, Condition};

/// Everything a run left behind.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// What the writers were told was held.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// How many records each writer may have made; any other is invented.
    pub(crate) made: BTreeMap<String, i64>,
    /// What the sinks processed, in any order.
    pub(crate) arrived: Vec<Arrival>,
    /// Whether offsets are those of a log, by which a record that was read again is told from one that is there twice.
    pub(crate) log: bool,
}

/// What the ledger says. All are counts of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Acknowledged, each once.
    pub(crate) acknowledged: u64,
    /// Acknowledged and never processed by a sink.
    pub(crate) lost: u64,
    /// There more than once: at two offsets of a log, or processed twice from a queue.
    pub(crate) duplicated: u64,
    /// Read again by a sink that was killed between its ledger and its commit. Of a queue, among the duplicated.
    pub(crate) reread: u64,
    /// Behind a later record of the same writer's incarnation that came the same way to the same partition.
    pub(crate) reordered: u64,
    /// Never made.
    pub(crate) invented: u64,
    /// With other bytes than they were made with.
    pub(crate) broken: u64,
}

impl Findings {
    /// Compares.
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let mut findings = Self::default();
        let mut places: HashMap<(&str, i64), HashSet<(u32, u64)>> = HashMap::new();
        let mut records: Vec<&Arrival> = Vec::with_capacity(evidence.arrived.len());
        for arrival in &evidence.arrived {
            let made = evidence.made.get(&arrival.writer).copied().unwrap_or(0);
            match arrival.condition {
                Condition::Broken => findings.broken += 1,
                Condition::Foreign => findings.invented += 1,
                Condition::Whole if !(0..made).contains(&arrival.sequence) => findings.invented += 1,
                Condition::Whole => {
                    let places = places.entry((&arrival.writer, arrival.sequence)).or_default();
                    let is_new = places.insert((arrival.partition, arrival.offset));
                    match evidence.log {
                        true if is_new => records.push(arrival),
                        true => findings.reread += 1,
                        false => records.push(arrival),
                    }
                }
            }
        }
        findings.duplicated = (records.len() - places.len()) as u64;
        findings.count_acknowledged(evidence, &places);
        if evidence.log {
            findings.reordered = reordered(&mut records);
        }
        findings
    }

    fn count_acknowledged(
        &mut self,
        evidence: &Evidence,
        arrived: &HashMap<(&str, i64), HashSet<(u32, u64)>>,
    ) {
        let mut seen: HashSet<(&str, i64)> = HashSet::new();
        for range in &evidence.acknowledged {
            for sequence in range.from..range.to {
                let record = (range.writer.as_str(), sequence);
                if seen.insert(record) && !arrived.contains_key(&record) {
                    self.lost += 1;
                }
            }
        }
        self.acknowledged = seen.len() as u64;
    }
}

/// Counts records that lie behind a later one of the same writer, in the order of the log. The incarnations of writer and
/// relay belong to the way: a new one may send again what an earlier one had sent.
fn reordered(records: &mut [&Arrival]) -> u64 {
    records.sort_by_key(|record| (record.partition, record.offset));
    let mut last: HashMap<(u32, &str, i64, i32, i64), i64> = HashMap::new();
    let mut reordered = 0;
    for record in records {
        let way = (
            record.partition,
            record.writer.as_str(),
            record.epoch,
            record.via,
            record.via_epoch,
        );
        let last = last.entry(way).or_insert(-1);
        reordered += u64::from(record.sequence < *last);
        *last = record.sequence.max(*last);
    }
    reordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A run without faults: two writers, two relays, a sink with two partitions.
    fn flawless(records: i64) -> Evidence {
        let mut evidence = Evidence {
            log: true,
            ..Evidence::default()
        };
        for writer in ["a@0", "b@0"] {
            evidence.made.insert(writer.to_owned(), records);
            evidence.acknowledged.push(Acknowledged {
                writer: writer.to_owned(),
                from: 0,
                to: records,
            });
            for sequence in 0..records {
                evidence.arrived.push(Arrival {
                    partition: (sequence % 2) as u32,
                    offset: (sequence / 2 * 2) as u64 + u64::from(writer == "b@0"),
                    writer: writer.to_owned(),
                    epoch: 1,
                    sequence,
                    via: (sequence % 2) as i32,
                    via_epoch: 1,
                    condition: Condition::Whole,
                });
            }
        }
        evidence
    }

    proptest! {
        #[test]
        fn a_run_without_faults_has_no_findings(records in 1_i64..200) {
            let expected = Findings { acknowledged: 2 * records as u64, ..Findings::default() };
            prop_assert_eq!(Findings::of(&flawless(records)), expected);
        }

        #[test]
        fn every_record_that_is_missing_is_lost(records in 2_i64..100, at in any::<prop::sample::Index>()) {
            let mut evidence = flawless(records);
            evidence.arrived.swap_remove(at.index(2 * records as usize));
            let findings = Findings::of(&evidence);
            prop_assert_eq!((findings.lost, findings.duplicated, findings.reordered), (1, 0, 0));
        }

        #[test]
        fn a_record_at_two_offsets_is_a_duplicate_and_one_read_twice_is_not(
            records in 2_i64..100,
            at in any::<prop::sample::Index>(),
        ) {
            let mut evidence = flawless(records);
            let again = evidence.arrived[at.index(2 * records as usize)].clone();
            let elsewhere = Arrival { offset: again.offset + 1_000, via_epoch: 2, ..again.clone() };
            evidence.arrived.push(again);
            let findings = Findings::of(&evidence);
            prop_assert_eq!((findings.duplicated, findings.reread), (0, 1));
            evidence.log = false;
            prop_assert_eq!(Findings::of(&evidence).duplicated, 1);
            evidence.log = true;
            evidence.arrived.push(elsewhere);
            let findings = Findings::of(&evidence);
            prop_assert_eq!((findings.duplicated, findings.reread, findings.reordered), (1, 1, 0));
        }

        #[test]
        fn two_records_in_each_others_place_are_reordered(records in 4_i64..100, at in any::<prop::sample::Index>()) {
            let mut evidence = flawless(records);
            let at = at.index(records as usize - 2);
            let (one, other) = (evidence.arrived[at].offset, evidence.arrived[at + 2].offset);
            evidence.arrived[at].offset = other;
            evidence.arrived[at + 2].offset = one;
            let findings = Findings::of(&evidence);
            prop_assert_eq!((findings.lost, findings.duplicated, findings.reordered), (0, 0, 1));
        }

        #[test]
        fn what_was_never_made_is_invented_and_replaces_nothing(records in 2_i64..100, which in 0_usize..4) {
            let mut evidence = flawless(records);
            let changed = &mut evidence.arrived[0];
            match which {
                0 => changed.sequence = records,
                1 => changed.sequence = -1,
                2 => changed.writer = "c@0".to_owned(),
                _ => changed.condition = Condition::Foreign,
            }
            let findings = Findings::of(&evidence);
            prop_assert_eq!((findings.invented, findings.lost), (1, 1));
        }

        #[test]
        fn a_record_with_wrong_bytes_is_broken_and_does_not_count_as_arrived(records in 2_i64..100) {
            let mut evidence = flawless(records);
            evidence.arrived[1].condition = Condition::Broken;
            let findings = Findings::of(&evidence);
            prop_assert_eq!((findings.broken, findings.lost), (1, 1));
        }
    }

    #[test]
    fn what_was_acknowledged_twice_counts_once_and_what_never_was_may_be_missing() {
        let mut evidence = flawless(10);
        evidence.acknowledged[0].to = 8;
        evidence.acknowledged.push(Acknowledged {
            writer: "a@0".to_owned(),
            from: 2,
            to: 5,
        });
        evidence
            .arrived
            .retain(|record| record.writer == "b@0" || record.sequence != 9);
        let findings = Findings::of(&evidence);
        assert_eq!((findings.acknowledged, findings.lost), (18, 0));
    }

    #[test]
    fn a_new_incarnation_may_send_again_what_an_earlier_one_sent() {
        let mut evidence = flawless(10);
        let again: Vec<_> = evidence.arrived[4..8].to_vec();
        evidence.arrived.extend(again.into_iter().map(|record| Arrival {
            offset: record.offset + 1_000,
            epoch: 2,
            ..record
        }));
        let findings = Findings::of(&evidence);
        assert_eq!((findings.duplicated, findings.reordered), (4, 0));
    }
}
