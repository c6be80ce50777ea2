//! Reports on pypz's wire: a `HealthCheck` of exactly seven fields, with our report under the payload key `pypz`.
//!
//! pypz-python ignores payload keys that it does not know, and rejects any eighth field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::{Layout, MemberId, ProcessId, Side};
use super::plain::{PlainStatus, PlainWord};
use super::report::Report;

/// The longest status message that is read, in bytes (1 MiB).
pub const MAX_STATUS_BYTES: usize = 1 << 20;

impl StatusError {
    /// The kind of error, by which messages are counted.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too long",
            Self::Malformed { .. } => "malformed",
            Self::ForeignChannel => "of another channel",
            Self::UnknownPeer => "of unknown ports",
        }
    }
}

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
    /// A well-formed word of somebody who is not expected on the channel.
    #[error("status message of a port that is not connected to the channel")]
    UnknownPeer,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<P> {
    channel_name: String,
    channel_context_name: String,
    #[serde(default)]
    channel_group_name: Option<String>,
    #[serde(default)]
    channel_group_index: u32,
    status: PlainStatus,
    #[serde(default)]
    payload: Option<P>,
    #[serde(default)]
    timestamp: Option<serde_json::Number>,
}

#[derive(Default, Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pypz: Option<Report>,
    /// Which process of ours speaks, where it reports nothing.
    #[serde(default, rename = "pypzProcess", skip_serializing_if = "Option::is_none")]
    pypz_process: Option<ProcessId>,
    #[serde(default, rename = "sentRecordCount", skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
    #[serde(
        default,
        rename = "receivedRecordCount",
        skip_serializing_if = "Option::is_none"
    )]
    received: Option<u64>,
}

/// The payload of a member's sign of life, with the figures that pypz-python's have.
#[derive(Serialize)]
struct Sign {
    #[serde(flatten)]
    said: Payload,
    #[serde(flatten)]
    metrics: BTreeMap<&'static str, f64>,
}

/// What pypz-python calls the figures of [`Metrics`].
const fn figures(side: Side) -> [&'static str; 4] {
    match side {
        Side::Readers => [
            "elapsedTimeSinceLastReadCycleMs",
            "averageTimePerReadCycleMs",
            "averageTimePerReadRecordMs",
            "averageRecordPerReadCycle",
        ],
        Side::Writers => [
            "elapsedTimeSinceLastOutputCycleMs",
            "averageTimePerOutputCycleMs",
            "averageTimePerOutputRecordMs",
            "averageRecordPerOutputCycle",
        ],
    }
}

/// What a status message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A process of ours, of its members.
    Report(Report),
    /// One member, in pypz-python's own words.
    Word(PlainWord),
}

/// Puts a report on the wire. `timestamp` is for people and for pypz-python: milliseconds since the Unix epoch.
#[must_use]
pub fn encode(layout: &Layout, side: Side, report: Report, timestamp: i64) -> StatusRecord {
    // A report that names nobody is the mark of a run, by whom it belongs to.
    let first = report.members.first();
    let speaker = first.map_or_else(
        || layout.keeper(),
        |range| MemberId {
            side,
            index: range.first,
        },
    );
    let payload = Payload {
        pypz: Some(report),
        ..Payload::default()
    };
    let bytes = message(
        layout,
        speaker,
        PlainStatus::HealthCheck,
        Some(payload),
        timestamp,
    );
    StatusRecord { side, bytes }
}

/// Puts a word on the wire, as pypz-python has it.
#[must_use]
pub fn encode_word(layout: &Layout, word: &PlainWord, timestamp: i64) -> StatusRecord {
    // Only signs of life have a payload.
    let payload = (word.status == PlainStatus::HealthCheck).then(|| Sign {
        said: Payload {
            pypz: None,
            pypz_process: word.process,
            sent: word.sent,
            received: word.received,
        },
        metrics: word
            .metrics
            .iter()
            .flat_map(|metrics| figures(word.member.side).into_iter().zip(metrics.figures()))
            .collect(),
    });
    StatusRecord {
        side: word.member.side,
        bytes: message(layout, word.member, word.status, payload, timestamp),
    }
}

/// A message that only says that somebody is there, for a transport that has to mark a place in its status log. It goes to
/// no machine.
#[must_use]
pub fn sign_of_life(layout: &Layout, speaker: MemberId, timestamp: i64) -> Vec<u8> {
    let payload = Some(Payload::default());
    message(layout, speaker, PlainStatus::HealthCheck, payload, timestamp)
}

fn message(
    layout: &Layout,
    speaker: MemberId,
    status: PlainStatus,
    payload: Option<impl Serialize>,
    timestamp: i64,
) -> Vec<u8> {
    let (group, index) = layout.group(speaker);
    let message = Message {
        channel_name: layout.channel.to_string(),
        channel_context_name: layout.name(speaker).to_owned(),
        channel_group_name: group.map(str::to_owned),
        channel_group_index: index,
        status,
        payload,
        timestamp: Some(timestamp.into()),
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

/// Reads a message off the wire and checks it against the layout.
///
/// # Errors
///
/// [`StatusError`] says why the message is not heard; the run goes on without it.
pub fn decode(layout: &Layout, side: Side, bytes: &[u8]) -> Result<Heard, StatusError> {
    if bytes.len() > MAX_STATUS_BYTES {
        return Err(StatusError::TooLong { bytes: bytes.len() });
    }
    // The reason may repeat what the message holds.
    let malformed = |reason: String| StatusError::Malformed {
        reason: crate::error::plain(&reason),
    };
    let message: Message<Payload> =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if message.channel_name != *layout.channel {
        return Err(StatusError::ForeignChannel);
    }
    let payload = message.payload.unwrap_or_default();
    let Some(report) = payload.pypz else {
        let speaker = layout
            .members(side)
            .find(|member| layout.name(*member) == message.channel_context_name);
        return Ok(Heard::Word(PlainWord {
            member: speaker.ok_or(StatusError::UnknownPeer)?,
            status: message.status,
            sent: payload.sent,
            received: payload.received,
            process: payload.pypz_process,
            metrics: None,
        }));
    };
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
        true => Ok(Heard::Report(report)),
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
            .acknowledged
            .offsets
            .is_sorted_by(|one, next| one.0 < next.0)
        && report
            .ends
            .is_sorted_by(|one, next| one.partition < next.partition)
}

#[cfg(test)]
mod tests {
    use super::super::acknowledged::{Acknowledgements, Numbers};
    use super::super::identity::{Process, RunId};
    use super::super::plain::Metrics;
    use super::super::report::{MemberRange, MemberState};
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

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
            ..Layout::default()
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
            received: vec![(1, 7, 9)],
            acknowledged: Acknowledgements {
                offsets: vec![(1, 7)],
                numbers: vec![Numbers {
                    reader: Some(1),
                    counter: "0192".to_owned(),
                    ranges: vec![(0, 7)],
                }],
            },
            schema: Some(r#"{"type":"string"}"#.into()),
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
        assert_eq!(
            decode(&layout(), Side::Readers, &record.bytes),
            Ok(Heard::Report(said))
        );
        let sign = sign_of_life(&layout(), MemberId::reader(1), 12);
        let sign: serde_json::Map<_, _> = serde_json::from_slice(&sign).unwrap();
        assert!(sign.keys().eq(message.keys()) && sign["payload"] == serde_json::json!({}));
    }

    #[test]
    fn a_sign_of_life_has_the_figures_of_pypz_python_where_they_are_wanted() {
        let metrics = Metrics {
            current: Duration::from_micros(1_500),
            cycles: 2,
            took: Duration::from_millis(30),
            records: 60,
        };
        let payload = |member, metrics| {
            let word = PlainWord {
                metrics,
                sent: Some(70),
                ..PlainWord::bare(member, PlainStatus::HealthCheck)
            };
            let bytes = encode_word(&layout(), &word, 12).bytes;
            let said = PlainWord {
                metrics: None,
                ..word
            };
            assert_eq!(decode(&layout(), member.side, &bytes), Ok(Heard::Word(said)));
            let message: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            message["payload"].clone()
        };
        let plain = serde_json::json!({"sentRecordCount": 70});
        assert_eq!(payload(MemberId::writer(0), None), plain);
        let expected = serde_json::json!({
            "sentRecordCount": 70,
            "elapsedTimeSinceLastOutputCycleMs": 1.5,
            "averageTimePerOutputCycleMs": 15.0,
            "averageTimePerOutputRecordMs": 0.5,
            "averageRecordPerOutputCycle": 30.0,
        });
        assert_eq!(payload(MemberId::writer(0), Some(metrics)), expected);
        let of_reader = payload(MemberId::reader(1), Some(metrics));
        assert_eq!(of_reader["averageTimePerReadRecordMs"], 0.5);
    }

    #[test]
    fn hostile_status_is_refused_with_its_reason() {
        let too_many = encode(&layout(), Side::Readers, report(4), 12).bytes;
        let foreign = String::from_utf8(encode(&layout(), Side::Readers, report(0), 12).bytes).unwrap();
        let plain = r#"{"channel_name": "pl.r.in", "channel_context_name": "pl.w.out", "channel_group_name": null,
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
            (plain.as_bytes().to_vec(), "not connected"),
            (
                plain.replace("Opened", "Awake").into_bytes(),
                "unknown variant `Awake`",
            ),
            (plain.replace("null,\n", "7,\n").into_bytes(), "invalid type"),
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
        let mut offset = report(1);
        offset.acknowledged.offsets = vec![(1, 7), (1, 8)];
        for said in [twice, position, source, offset] {
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
