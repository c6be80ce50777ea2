//! What earlier runs and incarnations left behind in a channel.

use super::ChannelSession;

impl ChannelSession {
    /// Whether the principal reader has ever been in the run.
    #[must_use]
    pub fn is_opened(&self) -> bool {
        self.shared.lock().is_opened()
    }

    /// Whether records of an earlier run of pypz-python were in the channel when this run was opened.
    #[must_use]
    pub fn has_leftovers(&self) -> bool {
        self.shared.lock().has_leftovers()
    }
}
