//! The parameters that every port has.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::channel::{ChannelConfig, Location, LostOffsetPolicy, PoisonPolicy};
use crate::parameter::{ParameterError, ParameterSpec, Requirement, hidden, read};

/// The parameters of a port, parsed. Of a channel those of its input port count, and an output port's `channelConfig`.
///
/// `Debug` hides the values of `channelConfig`.
#[derive(Clone, PartialEq)]
pub struct PortSettings {
    /// `channelLocation`: where the channel lives; `memory://` if nothing is said.
    pub location: Option<Location>,
    /// `channelConfig`: properties for the transport's client.
    pub config: ChannelConfig,
    /// `portOpenTimeoutMs`: how long the channel waits for peers, in place of the patience; 0 or nothing for the patience.
    pub open_timeout: Option<Duration>,
    /// `maxRecordBytes`: the longest record with key and headers; 1,000,000 if nothing is said, which fits into the
    /// 1 MiB that Apache Kafka accepts by default.
    pub max_record_bytes: usize,
    /// `bufferBytes`: the most bytes of a channel that wait in a process, each way; 64 MiB if nothing is said.
    pub buffer_bytes: usize,
    /// `sequentialModeEnabled`: whether nothing is handed out before all writers have finished.
    pub sequential: bool,
    /// `onPoison`: what becomes of a record that does not decode.
    pub on_poison: PoisonPolicy,
    /// `onLostOffset`: what a reader does when the records at its position are gone.
    pub on_lost_offset: LostOffsetPolicy,
}

impl std::fmt::Debug for PortSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PortSettings")
            .field("location", &self.location)
            .field("config", &hidden(&self.config))
            .field("open_timeout", &self.open_timeout)
            .field("max_record_bytes", &self.max_record_bytes)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("sequential", &self.sequential)
            .field("on_poison", &self.on_poison)
            .field("on_lost_offset", &self.on_lost_offset)
            .finish()
    }
}

impl Default for PortSettings {
    fn default() -> Self {
        Self {
            location: None,
            config: ChannelConfig::new(),
            open_timeout: None,
            max_record_bytes: 1_000_000,
            buffer_bytes: 64 << 20,
            sequential: false,
            on_poison: PoisonPolicy::default(),
            on_lost_offset: LostOffsetPolicy::default(),
        }
    }
}

/// Name, type, default and meaning of each of them.
pub const SETTINGS: [(&str, &str, &str, &str); 8] = [
    (
        "channelLocation",
        "String",
        "memory://",
        "Where the channel lives.",
    ),
    (
        "channelConfig",
        "map of String",
        "{}",
        "Properties that are passed through to the transport's client.",
    ),
    (
        "portOpenTimeoutMs",
        "u64",
        "0",
        "How long the channel waits for peers, in place of the patience; 0: the patience.",
    ),
    (
        "maxRecordBytes",
        "usize",
        "1000000",
        "The longest record with key and headers, in bytes.",
    ),
    (
        "bufferBytes",
        "usize",
        "67108864",
        "The most bytes of the channel that wait in a process, each way.",
    ),
    (
        "sequentialModeEnabled",
        "bool",
        "false",
        "Whether nothing is handed out before all writers have finished.",
    ),
    (
        "onPoison",
        "String",
        "fail",
        "What becomes of a record that does not decode: fail, dead-letter or skip.",
    ),
    (
        "onLostOffset",
        "String",
        "fail",
        "Where a reader goes on when the records at its position are gone: fail, earliest or latest.",
    ),
];

impl PortSettings {
    /// The parameters as a port declares them.
    #[must_use]
    pub fn parameters() -> Vec<ParameterSpec> {
        let spec = |(name, type_name, default, doc): (_, _, &str, _)| ParameterSpec {
            name,
            type_name,
            requirement: Requirement::Optional {
                default: default.to_owned(),
            },
            doc,
        };
        SETTINGS.into_iter().map(spec).collect()
    }

    /// Sets one of them.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if there is no such parameter, or the value is of another type.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), ParameterError> {
        match name {
            "channelLocation" => {
                let text: String = read(name, "String", value)?;
                let mistyped = |_| ParameterError::Mistyped {
                    name: name.to_owned(),
                    type_name: "SCHEME://ADDRESS, as in memory:// or kafka://localhost:9092",
                    given: "a text that is none",
                };
                self.location = Some(Location::parse(&text).map_err(mistyped)?);
            }
            "channelConfig" => self.config = read_config(name, value)?,
            "portOpenTimeoutMs" => {
                let milliseconds: u64 = read(name, "u64", value)?;
                self.open_timeout = (milliseconds > 0).then(|| Duration::from_millis(milliseconds));
            }
            "maxRecordBytes" => self.max_record_bytes = read(name, "usize", value)?,
            "bufferBytes" => self.buffer_bytes = read(name, "usize", value)?,
            "sequentialModeEnabled" => self.sequential = read(name, "bool", value)?,
            "onPoison" => self.on_poison = read_policy(name, "fail, dead-letter or skip", value)?,
            "onLostOffset" => self.on_lost_offset = read_policy(name, "fail, earliest or latest", value)?,
            _ => {
                let known = SETTINGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
                return Err(ParameterError::Unknown {
                    name: name.to_owned(),
                    known,
                });
            }
        }
        Ok(())
    }
}

fn read_policy<T: FromStr>(name: &str, words: &'static str, value: &Value) -> Result<T, ParameterError> {
    let word: String = read(name, words, value)?;
    word.parse().map_err(|_| ParameterError::Mistyped {
        name: name.to_owned(),
        type_name: words,
        given: "another word",
    })
}

/// Numbers and booleans are as good as texts in a client's properties.
fn read_config(name: &str, value: &Value) -> Result<ChannelConfig, ParameterError> {
    let fields: std::collections::BTreeMap<String, Value> = read(name, "map of String", value)?;
    fields
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            Value::Number(number) => Ok((key, number.to_string())),
            Value::Bool(flag) => Ok((key, flag.to_string())),
            _ => Err(ParameterError::Mistyped {
                name: format!("{name}.{key}"),
                type_name: "String",
                given: "a list, a mapping or nothing",
            }),
        })
        .collect()
}
