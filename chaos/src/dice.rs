//! Numbers that follow from a seed, so that a run can be had again.

/// A source of numbers: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of a seed for one purpose; two purposes have nothing in common.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(seed ^ purpose.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of a range; its start if the range is empty.
    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + self.next() % width
    }

    /// One of several; `None` if there are none.
    pub(crate) fn one_of<'a, T>(&mut self, several: &'a [T]) -> Option<&'a T> {
        let at = self.within(0..several.len() as u64);
        several.get(at as usize)
    }

    /// Puts several into another order.
    pub(crate) fn shuffle<T>(&mut self, several: &mut [T]) {
        for last in (1..several.len()).rev() {
            several.swap(last, self.within(0..last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_always_give_the_same_numbers() {
        let of = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [(); 5].map(|()| dice.next())
        };
        assert_eq!(of(1, "kills"), of(1, "kills"));
        assert_ne!(of(1, "kills"), of(2, "kills"));
        assert_ne!(of(1, "kills"), of(1, "faults"));
    }

    #[test]
    fn a_shuffle_keeps_everybody_and_every_number_is_in_its_range() {
        let mut dice = Dice::new(7, "test");
        let mut several: Vec<_> = (0..20).collect();
        dice.shuffle(&mut several);
        assert_ne!(several, (0..20).collect::<Vec<_>>());
        several.sort_unstable();
        assert_eq!(several, (0..20).collect::<Vec<_>>());
        assert!((0..1_000).all(|_| (5..9).contains(&dice.within(5..9))));
        assert_eq!(dice.within(5..5), 5);
    }
}
