//! Which partition each record goes to.

use super::{EncodedBatch, Run};

/// How the records of a connection find their replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioning {
    /// In turn. One by one while little is waiting; in growing runs, up to 1,000, the more is waiting and the longer that goes on.
    #[default]
    RoundRobin,
    /// By the record's key: all records of a key go to one replica, in order. Records without a key are refused.
    ByKey,
    /// Every replica gets every record (pypz: group mode).
    Broadcast,
}

/// Below so many waiting records round robin goes one by one, so that few records spread evenly.
const SPREAD_EVENLY_BELOW: usize = 256;

/// A run is at most this part of what a partition has got of the burst on the average: a half.
const SHARE_OF_BURST: usize = 2;

/// The longest run of round robin.
const LONGEST_RUN: usize = 1_000;

/// Chooses partitions for one writer of one channel.
#[derive(Debug)]
pub struct Partitioner {
    partitioning: Partitioning,
    partitions: u32,
    next: u32,
    longest_run: usize,
    /// How many records of the run that `next` is getting are to come.
    left_of_run: usize,
    /// Records in a row before which others waited.
    burst: usize,
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
            left_of_run: 0,
            burst: 0,
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
                let longest = self.longest_run(records, waiting);
                let mut left = records;
                self.left_of_run = self.left_of_run.min(longest);
                while left > 0 {
                    if self.left_of_run == 0 {
                        self.left_of_run = longest;
                    }
                    let records = self.left_of_run.min(left);
                    runs.push(Run {
                        partition: self.next,
                        records,
                    });
                    left -= records;
                    self.left_of_run -= records;
                    if self.left_of_run == 0 {
                        self.next = (self.next + 1) % self.partitions;
                    }
                }
            }
        }
    }

    /// How many records go to one partition before it is the next one's turn: the more, the fewer requests. But each partition is to
    /// get its share of what is sent at once, and of a burst. A burst is over when everything before is acknowledged; what was before
    /// few waited counts half.
    fn longest_run(&mut self, records: usize, waiting: usize) -> usize {
        let partitions = self.partitions as usize;
        self.burst = match waiting {
            0 => 0,
            few if few < SPREAD_EVENLY_BELOW => self.burst / 2,
            _ => self.burst,
        };
        let enough = self.longest_run * partitions * SHARE_OF_BURST;
        self.burst = (self.burst + records).min(enough);
        match records + waiting {
            few if few < SPREAD_EVENLY_BELOW => 1,
            many => (many.max(self.burst / SHARE_OF_BURST) / partitions).clamp(1, self.longest_run),
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

    #[test]
    fn runs_grow_with_a_burst_and_what_comes_when_it_is_over_is_spread_evenly() {
        for (partitions, longest) in [(4, 1_000), (100, 1_000), (1_000, 200)] {
            let mut partitioner = Partitioner::new(Partitioning::RoundRobin, partitions, 0);
            let (mut runs, mut shares) = (Vec::new(), vec![0_usize; partitions as usize]);
            for _ in 0..400 {
                partitioner.assign(1_000, 1_000, |_| None, &mut runs);
                runs.iter()
                    .for_each(|run| shares[run.partition as usize] += run.records);
            }
            assert_eq!(partitioner.longest_run(1_000, 1_000), longest, "{partitions}");
            let mean = 400_000 / partitions as usize;
            assert!(
                shares.iter().all(|share| (mean / 3..mean * 2).contains(share)),
                "{shares:?}"
            );
            partitioner.assign(1_000, 0, |_| None, &mut runs);
            let most = runs.iter().map(|run| run.records).max();
            assert_eq!(most, Some(1_000 / partitions as usize), "{partitions}");
        }
    }

    #[test]
    fn a_run_goes_on_in_the_next_batch_so_that_no_length_of_batches_favours_a_partition() {
        for batch in [999, 1_001, 1_024, 1_500] {
            let mut partitioner = Partitioner::new(Partitioning::RoundRobin, 2, 0);
            let (mut runs, mut shares) = (Vec::new(), [0_usize; 2]);
            for _ in 0..1_000 {
                partitioner.assign(batch, 100_000, |_| None, &mut runs);
                runs.iter()
                    .for_each(|run| shares[run.partition as usize] += run.records);
            }
            assert!(
                shares[0].abs_diff(shares[1]) <= LONGEST_RUN,
                "{batch}: {shares:?}"
            );
        }
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
