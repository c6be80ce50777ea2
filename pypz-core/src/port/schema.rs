//! A port whose records have another schema than the run that it takes part in.

use crate::channel::ChannelSession;
use crate::codec::{Codec, Translation};
use crate::error::ChannelError;
use crate::protocol::{MemberId, RunId, Side};

/// How a port's records become those of the run, or the other way round; `None` if they are the same.
///
/// # Errors
///
/// [`ChannelError::Mismatch`] with both schemas and the field, if one cannot be read as the other.
pub(super) fn translation<T, C: Codec<T>>(
    codec: &C,
    session: &ChannelSession,
    member: MemberId,
    run: RunId,
) -> Result<Option<Translation>, ChannelError> {
    let (Some(ours), Some(theirs)) = (codec.schema(), session.schema(run)) else {
        return Ok(None);
    };
    let translation = match member.side {
        Side::Readers => C::translation(&theirs, &ours),
        Side::Writers => C::translation(&ours, &theirs),
    };
    let (port, channel) = (session.name(member), session.spec().name());
    let translation = translation.map_err(|reason| ChannelError::Mismatch {
        object: format!("port {port}, run {run} of channel {channel}"),
        reason: format!(
            "{}: let the run end with the schema that it began with, or give it up (--fresh)",
            crate::error::plain(&reason)
        ),
    })?;
    match (&translation, member.side) {
        (None, _) => {}
        (Some(_), Side::Readers) => tracing::info!(
            port,
            "run {run} began with another schema: its records are translated"
        ),
        (Some(_), Side::Writers) => tracing::warn!(
            port,
            "run {run} began with another schema, which its records keep: fields that are new are not sent before the \
             next run"
        ),
    }
    Ok(translation)
}
