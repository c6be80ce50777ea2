//! Which records a reader has given out and not acknowledged to their writers, by the writers' own numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use pypz_core::RecordId;
use pypz_core::protocol::Numbers;

/// The most ranges that a reader keeps in mind for an operator that may acknowledge.
const MOST: usize = 10_000;

/// Records with consecutive numbers of one writer.
#[derive(Debug)]
struct Given {
    counter: Arc<str>,
    first: u64,
    end: u64,
    /// The position behind the last of them.
    behind: u64,
}

/// What was given out since the last acknowledgement. Bounded: an operator that never acknowledges costs no more.
#[derive(Debug, Default)]
pub(crate) struct GivenOut {
    given: VecDeque<Given>,
    /// There were more than fit, so that nothing can be said any more.
    is_full: bool,
}

impl GivenOut {
    /// Notes the records of a message, up to a position.
    pub(crate) fn note(&mut self, first: Option<RecordId>, records: u32, behind: u64) {
        let Some(RecordId { counter, sequence }) = first.filter(|_| !self.is_full) else {
            return;
        };
        let end = sequence.saturating_add(u64::from(records));
        if let Some(last) = self.given.back_mut()
            && last.end == sequence
            && last.counter == counter
        {
            (last.end, last.behind) = (end, behind);
            return;
        }
        if self.given.len() >= MOST {
            self.is_full = true;
            self.given = VecDeque::new();
            return;
        }
        self.given.push_back(Given {
            counter,
            first: sequence,
            end,
            behind,
        });
    }

    /// Takes all that was given out before a position.
    pub(crate) fn take(&mut self, position: u64) -> Result<Vec<Numbers>, usize> {
        if self.is_full {
            return Err(MOST);
        }
        let mut numbers: Vec<Numbers> = Vec::new();
        while self.given.front().is_some_and(|given| given.behind <= position) {
            let Some(given) = self.given.pop_front() else {
                break;
            };
            let range = (given.first, given.end);
            match numbers.iter_mut().find(|one| *one.counter == *given.counter) {
                Some(one) => one.ranges.push(range),
                None => numbers.push(Numbers {
                    reader: None,
                    counter: given.counter.as_ref().to_owned(),
                    ranges: vec![range],
                }),
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(counter: &str, sequence: u64) -> Option<RecordId> {
        let counter = counter.into();
        Some(RecordId { counter, sequence })
    }

    #[test]
    fn what_was_given_out_before_a_position_is_told_once() {
        let mut given = GivenOut::default();
        given.note(id("a", 0), 10, 10);
        given.note(id("a", 10), 5, 15);
        given.note(id("b", 7), 1, 16);
        given.note(None, 1, 17);
        given.note(id("a", 15), 5, 22);
        let told = given.take(17).unwrap();
        let shown: Vec<_> = told
            .iter()
            .map(|one| (one.counter.as_str(), &one.ranges[..]))
            .collect();
        assert_eq!(shown, [("a", &[(0, 15)][..]), ("b", &[(7, 8)][..])]);
        assert!(given.take(21).unwrap().is_empty());
        assert_eq!(given.take(22).unwrap()[0].ranges, [(15, 20)]);
    }

    #[test]
    fn an_operator_that_never_acknowledges_costs_no_more_than_a_limit_and_is_told_so() {
        let mut given = GivenOut::default();
        for n in 0..=MOST as u64 {
            given.note(id("a", 2 * n), 1, n + 1);
        }
        assert!(given.given.is_empty());
        assert_eq!(given.take(1), Err(MOST));
    }
}
