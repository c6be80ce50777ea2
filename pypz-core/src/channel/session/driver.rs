//! Carries the status of one channel between its machine and its log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::time::Instant;

use super::{LOG_EVERY, Shared};
use crate::channel::{StatusEvent, StatusLog};
use crate::protocol::{Report, Side, StatusError, decode, encode};

impl Shared {
    /// Takes an event in; a message that cannot be heard is counted in the log and costs nothing else.
    fn hear(&self, event: StatusEvent) {
        match event {
            StatusEvent::HistoryRead => self.lock().on_history_read(),
            StatusEvent::Record(record) => match decode(&self.spec.layout, record.side, &record.bytes) {
                Ok(report) => self.lock().on_report(record.side, &report),
                Err(StatusError::ForeignChannel | StatusError::PlainPeer) => {}
                Err(error) => {
                    let channel = self.spec.name();
                    tracing::debug!(
                        channel,
                        "status message not heard: {}",
                        error.to_string().escape_debug()
                    );
                }
            },
        }
    }
}

/// Carries the status of one channel until the session ends.
pub(super) async fn drive(shared: Arc<Shared>, mut log: Box<dyn StatusLog>) {
    let mut history_read = false;
    let mut suspects_logged = Instant::now();
    while !shared.ended.load(Ordering::Acquire) {
        let (reports, next_tick) = {
            let mut machine = shared.lock();
            machine.on_tick(shared.started.elapsed());
            (machine.take_reports(), machine.next_tick())
        };
        publish(&shared, log.as_mut(), reports);
        if history_read {
            let machine = shared.lock();
            shared.refresh(&machine, None);
            if suspects_logged.elapsed() > LOG_EVERY {
                suspects_logged = Instant::now();
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
                            shared.hear(event);
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

fn publish(shared: &Shared, log: &mut dyn StatusLog, reports: Vec<(Side, Report)>) {
    let timestamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let timestamp = i64::try_from(timestamp).unwrap_or(i64::MAX);
    for (side, report) in reports {
        if let Err(error) = log.publish(encode(&shared.spec.layout, side, report, timestamp)) {
            tracing::warn!(channel = shared.spec.name(), "status not published: {error}");
        }
    }
}
