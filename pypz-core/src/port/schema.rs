//! A port whose records have another schema than the run that it takes part in.

use crate::channel::ChannelSession;
use crate::codec::{Codec, Translation};
use crate::error::{ChannelError, plain};
use crate::protocol::{MemberId, RunId, Side};

/// How a port's records become those of the run, or the other way round; `None` if their bytes are the same.
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
    let (port, channel) = (session.name(member), session.spec().name());
    let mismatch = |reason: String| ChannelError::Mismatch {
        object: format!("port {port}, run {run} of channel {channel}"),
        reason: format!(
            "{reason}: let the run end with the schema that it began with, or give it up (--fresh)"
        ),
    };
    let (ours, theirs) = match (codec.schema(), session.schema(run), member.side) {
        (_, None, _) | (None, Some(_), Side::Writers) => return Ok(None),
        (None, Some(_), Side::Readers) => {
            return Err(mismatch(
                "its records have a schema, and the port's codec reads none".to_owned(),
            ));
        }
        (Some(ours), Some(theirs), _) => (ours, theirs),
    };
    let made = match member.side {
        Side::Readers => C::translation(&theirs, &ours),
        Side::Writers => C::translation(&ours, &theirs),
    };
    let translation = made.map_err(|reason| {
        mismatch(match member.side {
            Side::Readers => format!("of the run's records, {}", plain(&reason)),
            Side::Writers => format!("of the port's records, {}", plain(&reason)),
        })
    })?;
    let Some(translation) = translation else {
        return Ok(None);
    };
    match (member.side, translation.dropped()) {
        (Side::Readers, _) if session.spec().plain_writers().next().is_some() => {
            return Err(mismatch(
                "it began with another schema, and pypz-python does not say with which it writes".to_owned(),
            ));
        }
        (Side::Writers, dropped @ [_, ..]) => {
            let dropped = plain(&dropped.join(", "));
            tracing::warn!(
                port,
                "run {run} began with another schema, which its records keep: not sent before the next run: {dropped}"
            );
        }
        _ => tracing::info!(
            port,
            "run {run} began with another schema: records are translated"
        ),
    }
    Ok(Some(translation))
}
