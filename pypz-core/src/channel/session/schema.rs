//! What the records of a channel's run look like.

use std::sync::Arc;

use super::ChannelSession;
use crate::protocol::{MAX_SCHEMA_BYTES, RunId};

impl ChannelSession {
    /// Sets the schema of the records of a run that a member in this process opens.
    pub fn describe(&self, schema: &str) {
        if schema.len() > MAX_SCHEMA_BYTES {
            let (channel, bytes) = (self.shared.spec.name(), schema.len());
            tracing::warn!(
                channel,
                "a schema of {bytes} bytes is not compared with those of later builds: the limit is {MAX_SCHEMA_BYTES}"
            );
        }
        self.shared.lock().describe(schema);
    }

    /// The schema that the records of a run have; `None` if nobody has said it.
    #[must_use]
    pub fn schema(&self, run: RunId) -> Option<Arc<str>> {
        self.shared.lock().schema(run)
    }
}
