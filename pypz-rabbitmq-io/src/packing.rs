//! How many records travel in one message: few are jobs for all replicas, many travel together.

/// How many messages each reader gets of what is at hand.
const MESSAGES_EACH: usize = 2;

/// How many times as many records go into a message, at most, while the broker takes fewer messages than there are.
const MOST_GROWTH: usize = 64;

/// The packing of one writer.
pub(crate) struct Packing {
    /// How many readers compete for a message.
    readers: usize,
    /// The most records in a message.
    most: usize,
    /// Doubled whenever the outbox gets full, halved whenever it is found empty.
    growth: usize,
}

impl Packing {
    pub(crate) fn new(readers: usize, most: usize) -> Self {
        Self {
            readers: readers.max(1),
            most,
            growth: 1,
        }
    }

    /// The most records of the next messages, for so many that come and so many that wait already.
    pub(crate) fn records(&mut self, come: usize, wait: usize) -> usize {
        if wait == 0 {
            self.growth = (self.growth / 2).max(1);
        }
        let each = (come + wait).div_ceil(self.readers * MESSAGES_EACH);
        (each * self.growth).clamp(1, self.most)
    }

    /// Notes that there was no room for all that came.
    pub(crate) fn was_full(&mut self) {
        self.growth = (self.growth * 2).min(MOST_GROWTH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_records_are_for_all_readers_and_many_travel_together() {
        let mut packing = Packing::new(4, 1_000);
        for (come, wait, records) in [
            (1, 0, 1),
            (8, 0, 1),
            (80, 0, 10),
            (1_000, 600, 200),
            (100_000, 1, 1_000),
        ] {
            assert_eq!(packing.records(come, wait), records, "{come} and {wait}");
        }
        assert_eq!(Packing::new(4, 1).records(1_000, 0), 1, "as the user wants it");
    }

    #[test]
    fn messages_grow_while_the_broker_is_behind_and_shrink_once_it_is_not() {
        let mut packing = Packing::new(1_000, 1_000);
        let grow = |packing: &mut Packing| {
            packing.was_full();
            packing.records(1_000, 1_000)
        };
        let grown: Vec<usize> = (0..8).map(|_| grow(&mut packing)).collect();
        assert_eq!(grown, [2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(packing.records(1_000, 1_000), 64, "it catches up");
        let shrunk: Vec<usize> = (0..7).map(|_| packing.records(1_000, 0)).collect();
        assert_eq!(shrunk, [32, 16, 8, 4, 2, 1, 1]);
    }
}
