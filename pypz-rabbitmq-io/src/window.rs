//! How many messages a reader may have in hand.

/// After so many windows full of messages that were acknowledged in time, a window is narrower again.
const CALM: usize = 16;

/// What the consumers of a reader may have in hand together. It doubles when an operator that commits late needs to see more,
/// and is halved when it has not needed that for long: what waits in the inbox counts against the memory of the channel.
pub(crate) struct Window {
    /// What the first consumer may have in hand.
    first: u16,
    total: usize,
    /// How many messages came since the wider half was needed.
    calm: usize,
}

impl Window {
    pub(crate) const fn new(first: u16) -> Self {
        Self {
            first,
            total: first as usize,
            calm: 0,
        }
    }

    pub(crate) const fn first(&self) -> u16 {
        self.first
    }

    /// Notes messages that came.
    pub(crate) const fn came(&mut self, messages: usize) {
        self.calm += messages;
    }

    /// Notes an operator that waits for more with this many in hand, all of them given out. Returns how many one more consumer
    /// has to add if it cannot see more otherwise (AMQP counts them in 16 bits).
    pub(crate) fn starved(&mut self, in_hand: usize) -> Option<u16> {
        if in_hand > self.total / 2 {
            self.calm = 0;
        }
        (in_hand >= self.total).then(|| {
            let more = u16::try_from(self.total).unwrap_or(u16::MAX);
            self.total += usize::from(more);
            more
        })
    }

    /// Whether the last consumer that was added is not needed any more; it counts as taken back.
    pub(crate) fn narrows(&mut self, last: u16) -> bool {
        let is_calm = self.total > usize::from(self.first) && self.calm >= CALM * self.total;
        if is_calm {
            self.total -= usize::from(last);
            self.calm = 0;
        }
        is_calm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_doubles_for_a_late_commit_and_is_halved_when_that_is_long_past() {
        let mut window = Window::new(64);
        assert_eq!(window.starved(63), None);
        assert_eq!(window.starved(64), Some(64));
        assert_eq!(window.starved(64), None);
        assert_eq!(window.starved(128), Some(128));
        window.came(CALM * 256 - 1);
        assert!(!window.narrows(128));
        // It needed more than half of it.
        assert_eq!(window.starved(129), None);
        window.came(1);
        assert!(!window.narrows(128));
        window.came(CALM * 256);
        assert!(window.narrows(128));
        window.came(CALM * 128);
        assert!(window.narrows(64));
        window.came(CALM * 128);
        assert!(!window.narrows(64), "the first consumer stays");
    }

    #[test]
    fn a_consumer_adds_at_most_what_amqp_can_count() {
        let mut window = Window::new(u16::MAX);
        assert_eq!(window.starved(65_535), Some(65_535));
        assert_eq!(window.starved(131_070), Some(65_535));
    }
}
