//! What the sinks of this process saw.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pypz::{ExitStatus, Partitioning};

static LEDGER: OnceLock<Ledger> = OnceLock::new();

/// Counts what went wrong, over all sinks of this process.
///
/// The channel keeps the order of a partition, and there is one source: so each sink sees ascending numbers, and with
/// `broadcast` it sees them all.
#[derive(Default)]
pub(super) struct Ledger {
    records: u64,
    broadcast: bool,
    /// A bit for each number, unless it is a broadcast.
    seen: Vec<AtomicU64>,
    duplicated: AtomicU64,
    disordered: AtomicU64,
    damaged: AtomicU64,
    /// Lost in broadcasts, where each sink knows what it missed.
    missed: AtomicU64,
    /// Sinks of the pipeline, sinks that began in this process, and sinks that came to the end.
    replicas: AtomicU32,
    opened: AtomicU32,
    closed: AtomicU32,
}

impl Ledger {
    /// Opens a ledger of a number of records.
    pub(super) fn install(records: u64, partitioning: Partitioning) {
        let broadcast = partitioning == Partitioning::Broadcast;
        let words = if broadcast { 0 } else { records.div_ceil(64) };
        LEDGER.get_or_init(|| Self {
            records,
            broadcast,
            seen: (0..words).map(|_| AtomicU64::new(0)).collect(),
            ..Self::default()
        });
    }

    /// A sink begins.
    pub(super) fn open(&self, replicas: u32) {
        self.replicas.store(replicas, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// A sink got a record: the number on it, or none if it is damaged. `next` is the least number that the sink expects.
    pub(super) fn note(&self, sequence: Option<u64>, next: &mut u64) {
        let Some(sequence) = sequence.filter(|sequence| *sequence < self.records) else {
            add(&self.damaged, 1);
            return;
        };
        let late = sequence < *next;
        let again = match self.broadcast {
            true => late,
            false => {
                let bit = 1 << (sequence % 64);
                self.seen[(sequence / 64) as usize].fetch_or(bit, Ordering::Relaxed) & bit != 0
            }
        };
        match (again, late) {
            (true, _) => add(&self.duplicated, 1),
            (false, true) => add(&self.disordered, 1),
            (false, false) => {
                if self.broadcast {
                    add(&self.missed, sequence - *next);
                }
                *next = sequence + 1;
            }
        }
    }

    /// A sink came to the end.
    pub(super) fn close(&self, next: u64) {
        if self.broadcast {
            add(&self.missed, self.records - next);
        }
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many records are lost, as far as this process can know.
    fn lost(&self) -> u64 {
        let complete = self.closed.load(Ordering::Relaxed) == self.replicas.load(Ordering::Relaxed);
        if self.broadcast || !complete {
            return self.missed.load(Ordering::Relaxed);
        }
        let seen = self
            .seen
            .iter()
            .map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()));
        self.records - seen.sum::<u64>()
    }
}

/// The ledger of this process.
pub(super) fn ledger() -> &'static Ledger {
    LEDGER.get_or_init(Ledger::default)
}

/// Says on stderr what the sinks found, and makes an error of a run that ended well but was not. On a queue disorder is none:
/// replicas compete for it, and what one of them gives back comes later.
pub(crate) fn verdict(status: ExitStatus, is_queue: bool) -> ExitStatus {
    let ledger = ledger();
    if ledger.opened.load(Ordering::Relaxed) == 0 {
        return status;
    }
    // Who was interrupted has not seen everything, and does not claim so.
    let lost = if status == ExitStatus::Done {
        ledger.lost()
    } else {
        0
    };
    let [duplicated, disordered, damaged] =
        [&ledger.duplicated, &ledger.disordered, &ledger.damaged].map(|count| count.load(Ordering::Relaxed));
    eprintln!("fanout: {lost} lost, {duplicated} duplicated, {disordered} disordered, {damaged} damaged");
    let wrong = lost + duplicated + damaged + if is_queue { 0 } else { disordered };
    match (status, wrong) {
        (ExitStatus::Done | ExitStatus::Drained, 1..) if lost > 0 => ExitStatus::Incomplete,
        (ExitStatus::Done | ExitStatus::Drained, 1..) => ExitStatus::Fatal,
        _ => status,
    }
}

fn add(count: &AtomicU64, records: u64) {
    count.fetch_add(records, Ordering::Relaxed);
}
