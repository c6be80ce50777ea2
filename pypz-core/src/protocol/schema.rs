//! What the records of a run look like: one schema, that of whoever opened the run, until the run is closed.

use std::sync::Arc;
use std::time::Duration;

use super::identity::{RunId, Side};
use super::machine::Machine;
use super::report::{MemberState, Report};

/// The longest schema that is said, in bytes (256 KiB): it has room in a status message, whatever else stands in there.
pub const MAX_SCHEMA_BYTES: usize = 256 << 10;

/// How often it is said again, so that a status log that forgets its head after days still tells it.
const SAY_EVERY: Duration = Duration::from_secs(3600);

/// The schema of the channel's last run, and our own.
#[derive(Debug, Default)]
pub(super) struct Schema {
    /// What a run gets that this process opens.
    ours: Option<Arc<str>>,
    /// What whoever held the run said first.
    said: Option<(RunId, Arc<str>)>,
    /// Of which run our own report of it last came back, and the observed time.
    heard: Option<(RunId, Duration)>,
}

impl Schema {
    /// Takes in a report of whoever holds the run.
    pub(super) fn hear(&mut self, report: &Report, is_ours: bool, observed: Duration) {
        let Some(text) = report
            .schema
            .as_deref()
            .filter(|text| text.len() <= MAX_SCHEMA_BYTES)
        else {
            return;
        };
        if self.said.as_ref().is_none_or(|(run, _)| *run != report.run) {
            self.said = Some((report.run, text.into()));
        }
        if is_ours {
            self.heard = Some((report.run, observed));
        }
    }
}

impl Machine {
    /// Sets the schema that the records of a run have which this process opens; one that is too long is not said.
    pub fn describe(&mut self, schema: &str) {
        self.schema.ours = (schema.len() <= MAX_SCHEMA_BYTES).then(|| schema.into());
    }

    /// The schema that the records of a run have, whoever sends them; `None` if nobody has said it.
    #[must_use]
    pub fn schema(&self, run: RunId) -> Option<Arc<str>> {
        let said = self.schema.said.as_ref().filter(|(of, _)| *of == run);
        said.map(|(_, text)| Arc::clone(text))
    }

    /// What the next report of a side says of it: whoever holds the run repeats what was said first, until it is heard.
    pub(super) fn schema_to_say(&self, side: Side, run: RunId) -> Option<Box<str>> {
        let keeper = self.keeper();
        let local = self.local.get(&keeper).filter(|_| keeper.side == side)?;
        let holds = local.run == Some(run) && local.word() != MemberState::Claimed;
        let observed = self.clock.observed();
        let is_due = self
            .schema
            .heard
            .is_none_or(|(of, at)| of != run || observed.saturating_sub(at) >= SAY_EVERY);
        // A run that somebody else has opened without a word of it has records of whatever schema.
        let is_new = self.announced.is_none_or(|announced| announced.run != run);
        let ours = self.schema.ours.as_ref().filter(|_| is_new);
        let text = self.schema(run).or_else(|| ours.cloned());
        text.filter(|_| holds && is_due).map(|text| (*text).into())
    }
}
