//! `metricsEnabled`, a setting of pypz-python's ports that every broker's ports take.

use super::ChannelSpec;
use crate::protocol::{MemberId, Side};

/// The setting's name in `channelConfig`.
pub const METRICS_ENABLED: &str = "metricsEnabled";

/// What is wrong with the value of [`METRICS_ENABLED`]. Python's own spellings are as good.
#[must_use]
pub fn metrics_problem(value: &str) -> Option<String> {
    let is_known = is_true(value) || matches!(value, "false" | "False" | "0");
    (!is_known).then(|| format!("channelConfig: '{METRICS_ENABLED}' takes true or false"))
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "True" | "1")
}

impl ChannelSpec {
    /// Whether a member's signs of life tell pypz-python's ports how fast it is.
    #[must_use]
    pub(crate) fn measures(&self, member: MemberId) -> bool {
        let config = match member.side {
            Side::Readers => Some(&self.reader_config),
            Side::Writers => self.writer_config.get(member.index as usize),
        };
        config
            .and_then(|config| config.get(METRICS_ENABLED))
            .is_some_and(|value| is_true(value))
    }
}
