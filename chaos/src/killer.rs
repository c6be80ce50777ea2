//! Who is killed when: a schedule that follows from a seed.

use std::time::Duration;

use crate::dice::Dice;

/// What a kill waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So many records have arrived.
    Arrived(u64),
    /// So long after the kill before it, while what that one killed is still coming back.
    After(Duration),
}

/// A kill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kill {
    /// See [`Moment`].
    pub(crate) moment: Moment,
    /// Whom.
    pub(crate) part: String,
}

/// The kills of a run of `records` records: most of them spread over it, every third right behind another one. None comes when
/// everybody may have finished.
pub(crate) fn schedule(seed: u64, parts: &[String], kills: u64, records: u64) -> Vec<Kill> {
    let mut dice = Dice::new(seed, "kills");
    let spread = kills - kills / 3;
    let mut moments: Vec<u64> = (0..spread)
        .map(|_| dice.within(records / 50..records * 4 / 5))
        .collect();
    moments.sort_unstable();
    let mut at = moments.into_iter();
    (0..kills)
        .filter_map(|turn| {
            let moment = match turn % 3 {
                2 => Moment::After(Duration::from_millis(dice.within(50..2_500))),
                _ => Moment::Arrived(at.next()?),
            };
            let part = dice.one_of(parts)?.clone();
            Some(Kill { moment, part })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_schedule_and_every_kill_comes_before_the_end() {
        let parts = ["a", "b", "c"].map(str::to_owned);
        for (seed, kills) in (0..50).zip([1, 2, 3, 10, 11, 20, 100].into_iter().cycle()) {
            let schedule = schedule(seed, &parts, kills, 1_000);
            assert_eq!(schedule, super::schedule(seed, &parts, kills, 1_000));
            assert_eq!(schedule.len() as u64, kills);
            let last = schedule.iter().filter_map(|kill| match kill.moment {
                Moment::Arrived(count) => Some(count),
                Moment::After(_) => None,
            });
            assert!(last.clone().is_sorted() && last.max() < Some(800));
        }
        assert_ne!(schedule(1, &parts, 10, 1_000), schedule(2, &parts, 10, 1_000));
    }
}
