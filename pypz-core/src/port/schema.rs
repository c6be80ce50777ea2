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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::channel::{ChannelSpec, ControlThread, Delivery, Guarantee, Location};
    use crate::codec::{Avro, Raw};
    use crate::protocol::{Layout, LocalEvent, Process, RunPolicy, Timing};

    const READER: MemberId = MemberId::PRINCIPAL;
    const WRITER: MemberId = MemberId {
        side: Side::Writers,
        index: 0,
    };

    /// A channel whose run a principal has opened with a schema; its writer may be pypz-python.
    async fn channel(control: &ControlThread, schema: &str, is_plain: bool) -> (ChannelSession, RunId) {
        let spec = ChannelSpec {
            layout: Arc::new(Layout {
                channel: "pl.r.in".into(),
                readers: vec!["pl.r.in".to_owned()],
                writers: vec!["pl.w.out".to_owned()],
                foreign: is_plain.then_some(WRITER).into_iter().collect(),
                ..Layout::default()
            }),
            location: Location::memory(),
            reader_config: std::collections::BTreeMap::default(),
            writer_config: vec![std::collections::BTreeMap::default()],
            delivery: Delivery::Shared,
            local_readers: vec![0],
            local_writers: vec![0],
            timing: Timing::default(),
            run_policy: RunPolicy::Resume,
            guarantee: Guarantee::AtLeastOnce,
            max_record_bytes: 1_000,
            buffer_bytes: 1_000_000,
            sequential: false,
            on_poison: crate::channel::PoisonPolicy::Fail,
            on_lost_offset: crate::channel::LostOffsetPolicy::Fail,
        };
        let session = ChannelSession::start(Arc::new(spec), Process::current(), None, control.runtime());
        session.describe(schema);
        let run = session.join(READER).await.unwrap().unwrap().run;
        session.tell(READER, LocalEvent::Opened);
        session.settle(READER).await.unwrap();
        (session, run)
    }

    fn avro() -> Avro {
        <Avro as Codec<i64>>::new().unwrap()
    }

    #[tokio::test]
    async fn a_port_is_refused_by_name_where_it_would_read_or_write_something_else() {
        let control = ControlThread::start().unwrap();
        let refused = |of: Result<Option<Translation>, ChannelError>| of.unwrap_err().to_string();
        let (session, run) = channel(&control, "\"string\"", false).await;
        let words = refused(translation::<i64, _>(&avro(), &session, READER, run));
        let port = format!("port pl.r.in, run {run} of channel pl.r.in: ");
        assert!(words.starts_with(&port), "{words}");
        assert!(
            words.contains("of the run's records, schema string is not to be read as long"),
            "{words}"
        );
        let words = refused(translation::<i64, _>(&avro(), &session, WRITER, run));
        assert!(
            words.contains("of the port's records, schema long is not"),
            "{words}"
        );
        let words = refused(translation::<Vec<u8>, _>(&Raw, &session, READER, run));
        assert!(words.contains("codec reads none"), "{words}");
        let other_run = RunId::new(run.number + 1);
        assert!(
            translation::<i64, _>(&avro(), &session, READER, other_run)
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn nothing_is_translated_beside_a_writer_that_does_not_say_with_which_schema_it_writes() {
        let control = ControlThread::start().unwrap();
        let nullable = "[\"long\"]";
        let (ours, run) = channel(&control, nullable, false).await;
        assert!(
            translation::<i64, _>(&avro(), &ours, READER, run)
                .unwrap()
                .is_some()
        );
        let (plain, run) = channel(&control, nullable, true).await;
        let words = translation::<i64, _>(&avro(), &plain, READER, run)
            .unwrap_err()
            .to_string();
        assert!(words.contains("pypz-python does not say"), "{words}");
        let (same, run) = channel(&control, "\"long\"", true).await;
        assert!(
            translation::<i64, _>(&avro(), &same, READER, run)
                .unwrap()
                .is_none()
        );
    }
}
