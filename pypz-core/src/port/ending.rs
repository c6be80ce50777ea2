//! What an input knows of its end, once no writer writes any more.

use std::time::Duration;

use tokio::time::Instant;

use crate::channel::ChannelSpec;
use crate::error::ChannelError;

/// After so long without a record, an input that has not reached its end asks for the end again.
const STARVED: Duration = Duration::from_secs(1);

/// Where an input ends, and how.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The offset up to which it is read, when it is known.
    pub(super) offset: Option<u64>,
    /// Up to where the writers say that they wrote.
    pub(super) stated: u64,
    /// Since when nothing has come, though the end was not reached.
    pub(super) starved: Option<Instant>,
    /// Since when the broker has not told the end.
    pub(super) unknown: Option<Instant>,
    /// How the run fails then: a writer failed or was lost.
    pub(super) failure: Option<ChannelError>,
}

impl Ending {
    /// Whether an input at this position has read all.
    pub(super) fn is_reached(&self, position: u64) -> bool {
        self.offset.is_some_and(|end| position >= end)
    }

    /// Whether nothing has come for so long, though the end is not reached, that it is to be asked for again.
    pub(super) fn is_in_doubt(&mut self, position: u64) -> bool {
        let is_short = self.offset.is_some() && !self.is_reached(position);
        let since = *self.starved.get_or_insert_with(Instant::now);
        let is_in_doubt = is_short && since.elapsed() >= STARVED;
        if is_in_doubt {
            self.starved = None;
        }
        is_in_doubt
    }

    /// Takes an end in that is nearer than the one that was told first.
    pub(super) fn comes_nearer(&mut self, found: Option<u64>) {
        if let (Some(end), Some(found)) = (self.offset, found) {
            self.offset = Some(end.min(found));
        }
    }

    /// An end, if it lies behind all that the writers say that they wrote.
    pub(super) fn checked(&self, end: u64, spec: &ChannelSpec, partition: u32) -> Result<u64, ChannelError> {
        let stated = self.stated;
        if end >= stated {
            return Ok(end);
        }
        Err(ChannelError::Mismatch {
            object: format!("channel {}, partition {partition}", spec.name()),
            reason: format!(
                "it ends at offset {end}, but its writers wrote up to {stated}: records were deleted"
            ),
        })
    }
}
