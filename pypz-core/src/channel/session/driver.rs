//! Carries the status of one channel between its machine and its log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::time::Instant;

use super::{LOG_EVERY, Shared};
use crate::channel::{StatusEvent, StatusLog};
use crate::protocol::{Heard, Machine, PlainWord, Report, Side, StatusError, decode, encode, encode_word};

/// How often messages that were not heard are counted in the log.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// Messages that were not heard, by reason.
#[derive(Debug)]
struct Rejected {
    counts: BTreeMap<&'static str, u64>,
    logged: Option<Instant>,
}

impl Rejected {
    /// Counts one, and says so in the log once a minute.
    fn count(&mut self, channel: &str, error: &StatusError) {
        *self.counts.entry(error.reason()).or_default() += 1;
        tracing::debug!(
            channel,
            "status message not heard: {}",
            error.to_string().escape_debug()
        );
        if self.logged.is_some_and(|at| at.elapsed() < COUNT_EVERY) {
            return;
        }
        self.logged = Some(Instant::now());
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let last = error.to_string();
        tracing::warn!(
            channel,
            "status messages not heard so far: {}; the last: {}",
            counts.join(", "),
            last.escape_debug()
        );
    }
}

impl Shared {
    /// Takes an event in; a message that cannot be heard is counted and costs nothing else.
    fn hear(&self, event: StatusEvent, rejected: &mut Rejected) {
        match event {
            StatusEvent::HistoryRead => self.lock().on_history_read(),
            StatusEvent::Record(record) => match decode(&self.spec.layout, record.side, &record.bytes) {
                Ok(Heard::Report(report)) => self.lock().on_report(record.side, &report),
                Ok(Heard::Word(word)) => self.lock().on_plain(&word),
                Err(error) => rejected.count(self.spec.name(), &error),
            },
        }
    }
}

/// Says once of each plain member that it is one.
fn introduce(shared: &Shared, machine: &Machine, known: &mut BTreeSet<String>) {
    if shared.spec.layout.foreign.is_empty() {
        return;
    }
    for name in machine.plain_members() {
        if known.insert(name.clone()) {
            let channel = shared.spec.name();
            tracing::info!(
                channel,
                "peer {name} is pypz-python (no end markers): records are counted"
            );
        }
    }
}

/// Carries the status of one channel until the session ends.
pub(super) async fn drive(shared: Arc<Shared>, mut log: Box<dyn StatusLog>) {
    let mut history_read = false;
    let mut suspects_logged = Instant::now();
    let (mut introduced, mut clock) = (BTreeSet::new(), 0);
    let mut rejected = Rejected {
        counts: BTreeMap::new(),
        logged: None,
    };
    while !shared.ended.load(Ordering::Acquire) {
        let (words, reports, next_tick) = {
            let mut machine = shared.lock();
            machine.on_tick(shared.started.elapsed());
            let reports = machine.take_reports();
            (machine.take_words(), reports, machine.next_tick())
        };
        clock = clock.max(now());
        publish(&shared, log.as_mut(), words, reports, clock);
        if history_read {
            let machine = shared.lock();
            shared.refresh(&machine, None);
            introduce(&shared, &machine, &mut introduced);
            if suspects_logged.elapsed() > LOG_EVERY {
                suspects_logged = Instant::now();
                if let Some((missing, sent)) = machine.on_the_way() {
                    let channel = shared.spec.name();
                    tracing::info!(
                        channel,
                        "waiting for {missing} of the {sent} records that were sent"
                    );
                }
                for suspect in machine.suspects() {
                    tracing::warn!(channel = shared.spec.name(), "suspect: {suspect}");
                }
            }
        }
        let tick = Box::pin(tokio::time::sleep_until(shared.started + next_tick));
        tokio::select! {
            event = log.next() => {
                let mut next = Some(event);
                while let Some(event) = next.take() {
                    match event {
                        Ok(event) => {
                            history_read |= event == StatusEvent::HistoryRead;
                            shared.hear(event, &mut rejected);
                        }
                        Err(error) => return shared.refresh(&shared.lock(), Some(error)),
                    }
                    next = log.next().now_or_never();
                }
            }
            () = shared.kick.notified() => {}
            () = tick => {}
        }
    }
    // The last words of the members are flushed by whoever ended the session, before it did so.
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Publishes words before reports: a report that has come back says that the words before it are in the log.
fn publish(
    shared: &Shared,
    log: &mut dyn StatusLog,
    words: Vec<PlainWord>,
    reports: Vec<(Side, Report)>,
    timestamp: i64,
) {
    let layout = &shared.spec.layout;
    for word in &words {
        if let Some(metrics) = &word.metrics {
            tracing::debug!(port = layout.name(word.member), ?metrics, "sign of life");
        }
    }
    let words = words.iter().map(|word| encode_word(layout, word, timestamp));
    let reports = reports
        .into_iter()
        .map(|(side, report)| encode(layout, side, report, timestamp));
    for record in words.chain(reports) {
        if let Err(error) = log.publish(record) {
            tracing::warn!(channel = shared.spec.name(), "status not published: {error}");
        }
    }
}
