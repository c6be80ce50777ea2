//! Which partition each record goes to.

use super::{EncodedBatch, Run};

/// How the records of a connection find their replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioning {
    /// In turn. One by one while little is waiting; in growing runs, up to 1,000, when the channel is saturated.
    #[default]
    RoundRobin,
    /// By the record's key: all records of a key go to one replica, in order. Records without a key are refused.
    ByKey,
    /// Every replica gets every record (pypz: group mode).
    Broadcast,
}

/// Below so many waiting records round robin goes one by one, so that few records spread evenly.
const SPREAD_EVENLY_BELOW: usize = 256;

/// The longest run of round robin.
const LONGEST_RUN: usize = 1_000;

/// Chooses partitions for one writer of one channel.
#[derive(Debug)]
pub struct Partitioner {
    partitioning: Partitioning,
    partitions: u32,
    next: u32,
    longest_run: usize,
}

impl Partitioner {
    /// A partitioner that starts at a partition, so that several writers do not all start at the first.
    #[must_use]
    pub fn new(partitioning: Partitioning, partitions: u32, start: u32) -> Self {
        let partitions = partitions.max(1);
        Self {
            partitioning,
            partitions,
            next: start % partitions,
            longest_run: LONGEST_RUN,
        }
    }

    /// Has round robin go one by one whatever is waiting, as pypz-python's writers do.
    #[must_use]
    pub const fn one_by_one(mut self) -> Self {
        self.longest_run = 1;
        self
    }

    /// Whether it needs the records' keys.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.partitioning == Partitioning::ByKey
    }

    /// Fills `runs` for `records` new records while `waiting` are not acknowledged yet. `key` is asked only if partitions
    /// go by key.
    pub fn assign<'a>(
        &mut self,
        records: usize,
        waiting: usize,
        key: impl Fn(usize) -> Option<&'a [u8]>,
        runs: &mut Vec<Run>,
    ) {
        runs.clear();
        match self.partitioning {
            Partitioning::Broadcast => runs.push(Run {
                partition: 0,
                records,
            }),
            _ if self.partitions == 1 => runs.push(Run {
                partition: 0,
                records,
            }),
            Partitioning::ByKey => {
                for index in 0..records {
                    let partition = partition_of(key(index).unwrap_or_default(), self.partitions);
                    match runs.last_mut() {
                        Some(run) if run.partition == partition => run.records += 1,
                        _ => runs.push(Run {
                            partition,
                            records: 1,
                        }),
                    }
                }
            }
            Partitioning::RoundRobin => {
                let at_hand = records + waiting;
                let step = match at_hand {
                    few if few < SPREAD_EVENLY_BELOW => 1,
                    many => (many / self.partitions as usize).clamp(1, self.longest_run),
                };
                let mut left = records;
                while left > 0 {
                    let records = step.min(left);
                    runs.push(Run {
                        partition: self.next,
                        records,
                    });
                    self.next = (self.next + 1) % self.partitions;
                    left -= records;
                }
            }
        }
    }

    /// The partitions that may take a record assigned to `partition`, best first: round robin passes one over that is
    /// full.
    pub fn alternatives(&self, partition: u32) -> impl Iterator<Item = u32> + use<> {
        let (partitions, others) = match self.partitioning {
            Partitioning::RoundRobin => (self.partitions, self.partitions),
            Partitioning::ByKey | Partitioning::Broadcast => (self.partitions, 1),
        };
        (0..others).map(move |step| (partition + step) % partitions)
    }

    /// [`Partitioner::assign`] for an encoded batch.
    pub fn assign_encoded(&mut self, batch: &EncodedBatch, waiting: usize, runs: &mut Vec<Run>) {
        self.assign(
            batch.len(),
            waiting,
            |index| batch.details(index).and_then(|d| d.key.as_deref()),
            runs,
        );
    }
}

/// The partition of a key, as Apache Kafka's default partitioner has it: murmur2 without its sign, modulo partitions.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// MurmurHash2, 32 bits, with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> 24)).wrapping_mul(M)
    };
    let mut hash = 0x9747_b28c ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M) ^ mix(word);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_hash_as_in_apache_kafka() {
        // The vectors of Kafka's own test, UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    fn shares(sends: &[usize], partitions: u32) -> Vec<usize> {
        let mut partitioner = Partitioner::new(Partitioning::RoundRobin, partitions, 0);
        let (mut shares, mut runs, mut sent) = (vec![0; partitions as usize], Vec::new(), 0);
        for records in sends {
            partitioner.assign(*records, sent, |_| None, &mut runs);
            runs.iter()
                .for_each(|run| shares[run.partition as usize] += run.records);
            sent += records;
        }
        shares
    }

    #[test]
    fn thirty_records_reach_four_replicas_as_8_8_7_7_however_they_are_sent() {
        assert_eq!(shares(&[1; 30], 4), [8, 8, 7, 7]);
        assert_eq!(shares(&[30], 4), [8, 8, 7, 7]);
        assert_eq!(shares(&[7, 3, 20], 4), [8, 8, 7, 7]);
    }

    proptest! {
        #[test]
        fn every_record_gets_one_partition_and_no_replica_more_than_a_run_above_its_share(
            sends in proptest::collection::vec(1_usize..3_000, 1..20),
            partitions in 1_u32..50,
        ) {
            let shares = shares(&sends, partitions);
            prop_assert_eq!(shares.iter().sum::<usize>(), sends.iter().sum::<usize>());
            let (most, least) = (shares.iter().max().unwrap(), shares.iter().min().unwrap());
            prop_assert!(most - least <= 2 * LONGEST_RUN * sends.len());
        }

        #[test]
        fn a_key_always_goes_to_the_same_partition(key in ".{0,20}", partitions in 1_u32..100) {
            let mut partitioner = Partitioner::new(Partitioning::ByKey, partitions, 0);
            let mut runs = Vec::new();
            partitioner.assign(3, 5, |_| Some(key.as_bytes()), &mut runs);
            prop_assert_eq!(runs, [Run { partition: partition_of(key.as_bytes(), partitions), records: 3 }]);
        }
    }
}
