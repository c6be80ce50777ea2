//! Reports on pypz's wire: a `HealthCheck` of exactly seven fields, with our report under the payload key `pypz`.
//!
//! pypz-python ignores payload keys that it does not know, and rejects any eighth field.

use serde::{Deserialize, Serialize};

use super::identity::{Layout, MemberId, Side};
use super::report::Report;

/// The longest status message that is read, in bytes (1 MiB).
pub const MAX_STATUS_BYTES: usize = 1 << 20;

/// A status message, ready for a status log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRecord {
    /// The log it belongs to: readers and writers have one each.
    pub side: Side,
    /// The message, UTF-8 JSON.
    pub bytes: Vec<u8>,
}

/// Why a status message was not heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// Longer than [`MAX_STATUS_BYTES`].
    #[error("status message of {bytes} bytes, the limit is {MAX_STATUS_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the JSON of a status message.
    #[error("status message is malformed: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// A well-formed message of another channel.
    #[error("status message of another channel")]
    ForeignChannel,
    /// A well-formed message without our report: a plain pypz-python peer.
    #[error("status message of a peer without the pypz extension")]
    PlainPeer,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    channel_name: String,
    channel_context_name: String,
    #[serde(default)]
    channel_group_name: Option<String>,
    #[serde(default)]
    channel_group_index: u32,
    status: String,
    #[serde(default)]
    payload: Option<Payload>,
    #[serde(default)]
    timestamp: Option<serde_json::Number>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pypz: Option<Report>,
}

/// Puts a report on the wire. `timestamp` is for people and for pypz-python: milliseconds since the Unix epoch.
#[must_use]
pub fn encode(layout: &Layout, side: Side, report: Report, timestamp: i64) -> StatusRecord {
    let speaker = MemberId {
        side,
        index: report.members.first().map_or(0, |range| range.first),
    };
    let bytes = message(layout, speaker, Some(report), timestamp);
    StatusRecord { side, bytes }
}

/// A message that only says that somebody is there, for a transport that has to mark a place in its status log. It has no
/// report, so that [`decode`] hears nothing in it.
#[must_use]
pub fn sign_of_life(layout: &Layout, speaker: MemberId, timestamp: i64) -> Vec<u8> {
    message(layout, speaker, None, timestamp)
}

fn message(layout: &Layout, speaker: MemberId, report: Option<Report>, timestamp: i64) -> Vec<u8> {
    let side = speaker.side;
    let message = Message {
        channel_name: layout.channel.to_string(),
        channel_context_name: layout.name(speaker).to_owned(),
        channel_group_name: (side == Side::Readers && layout.readers.len() > 1)
            .then(|| layout.channel.to_string()),
        channel_group_index: if side == Side::Readers { speaker.index } else { 0 },
        status: "HealthCheck".to_owned(),
        payload: Some(Payload { pypz: report }),
        timestamp: Some(timestamp.into()),
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

/// Reads a report off the wire and checks it against the layout.
///
/// # Errors
///
/// [`StatusError`] says why the message is not heard; the run goes on without it.
pub fn decode(layout: &Layout, side: Side, bytes: &[u8]) -> Result<Report, StatusError> {
    if bytes.len() > MAX_STATUS_BYTES {
        return Err(StatusError::TooLong { bytes: bytes.len() });
    }
    // The reason may repeat what the message holds.
    let malformed = |reason: String| StatusError::Malformed {
        reason: crate::error::plain(&reason),
    };
    let message: Message = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if message.channel_name != *layout.channel {
        return Err(StatusError::ForeignChannel);
    }
    let report = message
        .payload
        .and_then(|payload| payload.pypz)
        .ok_or(StatusError::PlainPeer)?;
    let count = layout.len(side);
    if let Some(range) = report
        .members
        .iter()
        .find(|range| range.first > range.last || range.last as usize >= count)
    {
        return Err(malformed(format!(
            "members {}..={} of {count} expected",
            range.first, range.last
        )));
    }
    match is_in_order(&report) {
        true => Ok(report),
        false => Err(malformed("a member is named twice, or out of order".to_owned())),
    }
}

/// Whether nobody is named twice: a message says at most one thing of each, so that it costs no more to hear than a channel
/// has members.
fn is_in_order(report: &Report) -> bool {
    report.members.is_sorted_by(|one, next| one.last < next.first)
        && report.positions.is_sorted_by(|one, next| one.0 < next.0)
        && report.sources.is_sorted_by(|one, next| one.0 < next.0)
        && report
            .ends
            .is_sorted_by(|one, next| one.partition < next.partition)
}

#[cfg(test)]
mod tests {
    use super::super::identity::{Process, RunId};
    use super::super::report::{MemberRange, MemberState};
    use super::*;
    use proptest::prelude::*;

    fn layout() -> Layout {
        let name = |n: u32| {
            if n == 0 {
                "pl.r.in".to_owned()
            } else {
                format!("pl.r_{}.in", n - 1)
            }
        };
        Layout {
            channel: "pl.r.in".into(),
            readers: (0..4).map(name).collect(),
            writers: vec!["pl.w.out".into()],
        }
    }

    fn report(last: u32) -> Report {
        let members = vec![MemberRange {
            first: 0,
            last,
            epoch: 1,
            state: MemberState::Started,
            cause: None,
        }];
        Report {
            run: RunId::new(1),
            process: Process::current(),
            members,
            ends: vec![],
            positions: vec![(1, 7)],
            sources: vec![(0, "line 4".to_owned())],
        }
    }

    #[test]
    fn a_message_has_exactly_the_seven_fields_that_pypz_python_accepts() {
        let said = report(3);
        let record = encode(&layout(), Side::Readers, said.clone(), 12);
        let message: serde_json::Map<_, _> = serde_json::from_slice(&record.bytes).unwrap();
        let mut fields: Vec<_> = message.keys().map(String::as_str).collect();
        fields.sort_unstable();
        let seven = [
            "channel_context_name",
            "channel_group_index",
            "channel_group_name",
            "channel_name",
            "payload",
            "status",
            "timestamp",
        ];
        assert_eq!(fields, seven);
        assert_eq!(decode(&layout(), Side::Readers, &record.bytes).unwrap(), said);
        let sign = sign_of_life(&layout(), MemberId::reader(1), 12);
        let sign: serde_json::Map<_, _> = serde_json::from_slice(&sign).unwrap();
        assert!(sign.keys().eq(message.keys()) && sign["payload"] == serde_json::json!({}));
    }

    #[test]
    fn hostile_status_is_refused_with_its_reason() {
        let too_many = encode(&layout(), Side::Readers, report(4), 12).bytes;
        let foreign = String::from_utf8(encode(&layout(), Side::Readers, report(0), 12).bytes).unwrap();
        let plain =
            br#"{"channel_name": "pl.r.in", "channel_context_name": "pl.w.out", "channel_group_name": null,
            "channel_group_index": 0, "status": "Opened", "payload": null, "timestamp": 1795226957066}"#;
        for (bytes, part) in [
            (too_many, "members 0..=4 of 4"),
            (
                foreign
                    .replace("\"pl.r.in\",\"channel_context", "\"x\",\"channel_context")
                    .into_bytes(),
                "another channel",
            ),
            (
                foreign
                    .replace("\"status\"", "\"eighth\":1,\"status\"")
                    .into_bytes(),
                "unknown field",
            ),
            (plain.to_vec(), "without the pypz extension"),
            (b"{\"\x7f\": 1}".to_vec(), r"unknown field `\u{7f}`"),
            (vec![0xff, 0xfe], "malformed"),
            (vec![b'['; 100_000], "malformed"),
            (vec![b' '; MAX_STATUS_BYTES + 1], "the limit is"),
        ] {
            let error = decode(&layout(), Side::Readers, &bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error} does not contain {part}");
        }
    }

    #[test]
    fn a_member_that_is_named_twice_is_refused() {
        let mut twice = report(1);
        twice.members.push(twice.members[0].clone());
        let mut position = report(1);
        position.positions = vec![(1, 7), (1, 8)];
        let mut source = report(1);
        source.sources = vec![(1, "a".to_owned()), (0, "b".to_owned())];
        for said in [twice, position, source] {
            let bytes = encode(&layout(), Side::Readers, said, 12).bytes;
            let error = decode(&layout(), Side::Readers, &bytes).unwrap_err().to_string();
            assert!(error.contains("named twice, or out of order"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_report_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&layout(), Side::Writers, &bytes);
        }
    }
}
