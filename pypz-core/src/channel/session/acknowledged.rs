//! Acknowledgements of readers, and whether a writer has all.

use std::sync::atomic::Ordering;

use super::ChannelSession;
use crate::channel::{Delivery, WriteProgress};
use crate::protocol::{Acknowledgement, MemberId, SentRecords};

impl ChannelSession {
    /// Tells the writers what a reader here has processed. Returns whether it can be kept: not if replicas that acknowledge
    /// are too far ahead of those that do not.
    #[must_use]
    pub fn acknowledge(&self, reader: MemberId, what: Acknowledgement) -> bool {
        let to_all = self.shared.spec.delivery == Delivery::Broadcast;
        let fits = self.shared.lock().acknowledge(reader.index, what, to_all);
        self.shared.told.fetch_add(1, Ordering::Release);
        self.shared.kick.notify_one();
        fits
    }

    /// Says under which name a writer here counts its records.
    pub fn count_as(&self, counter: &str) {
        self.shared.lock().count_as(counter);
    }

    /// Says that a writer here is about to send more, where plain readers may be told of it by nothing else.
    pub fn sends(&self) {
        if self.counts_records() {
            self.shared.lock().sends();
        }
    }

    /// Which readers have not acknowledged all that a writer here sent, each with how far it is; empty if all have.
    #[must_use]
    pub fn unacknowledged(&self, progress: &dyn WriteProgress, counter: Option<&str>) -> Vec<String> {
        let sent = SentRecords {
            records: progress.written(),
            ends: &progress.ends(),
            counter,
            to_all: self.shared.spec.delivery == Delivery::Broadcast,
        };
        self.shared.lock().unacknowledged(sent)
    }
}
