//! The status log of channels that never leave the process.

use async_trait::async_trait;

use crate::channel::{StatusEvent, StatusLog};
use crate::error::ChannelError;
use crate::protocol::StatusRecord;

/// The status log of a channel that never leaves the process: what is published comes back at once.
#[derive(Default)]
pub(super) struct Loopback {
    history_read: bool,
    records: std::collections::VecDeque<StatusRecord>,
}

#[async_trait]
impl StatusLog for Loopback {
    async fn next(&mut self) -> Result<StatusEvent, ChannelError> {
        if !std::mem::replace(&mut self.history_read, true) {
            return Ok(StatusEvent::HistoryRead);
        }
        match self.records.pop_front() {
            Some(record) => Ok(StatusEvent::Record(record)),
            None => std::future::pending().await,
        }
    }

    fn publish(&mut self, record: StatusRecord) -> Result<(), ChannelError> {
        self.records.push_back(record);
        Ok(())
    }
}
