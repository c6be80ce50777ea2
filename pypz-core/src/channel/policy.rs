//! What a reader does with what it cannot read.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use super::{ChannelSpec, Delivery};
use crate::protocol::Layout;

/// What becomes of a record that does not decode (`onPoison`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PoisonPolicy {
    /// `fail`: the reader stops in front of it, and the run ends with exit 121.
    #[default]
    Fail,
    /// `dead-letter`: it goes to the channel's dead letters as it is, with its reason and origin in headers
    /// ([`DEAD_LETTER_HEADERS`]), and is acknowledged there before the reader's position is committed. In memory there
    /// are none, and the policy is `fail`: what does not decode there was never on a wire.
    DeadLetter,
    /// `skip`: it is counted and left out.
    Skip,
}

/// What a reader does when the records at its position are gone (`onLostOffset`): retention, or somebody's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LostOffsetPolicy {
    /// `fail`: the run ends with exit 123.
    #[default]
    Fail,
    /// `earliest`: it goes on at the first record that is left.
    Earliest,
    /// `latest`: it goes on behind the last one.
    Latest,
}

/// The headers of a dead letter, behind those that the record had: why it did not decode, the channel it was read from, its
/// partition and offset there in decimal, the full name of the port that read it, and the record's id.
pub const DEAD_LETTER_HEADERS: [&str; 6] = [
    "pypz.dead-letter.reason",
    "pypz.dead-letter.channel",
    "pypz.dead-letter.partition",
    "pypz.dead-letter.offset",
    "pypz.dead-letter.reader",
    "pypz.dead-letter.id",
];

/// A word that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be one of {0}")]
pub struct UnknownPolicy(&'static str);

impl FromStr for PoisonPolicy {
    type Err = UnknownPolicy;

    fn from_str(word: &str) -> Result<Self, UnknownPolicy> {
        match word {
            "fail" => Ok(Self::Fail),
            "dead-letter" => Ok(Self::DeadLetter),
            "skip" => Ok(Self::Skip),
            _ => Err(UnknownPolicy("fail, dead-letter, skip")),
        }
    }
}

impl FromStr for LostOffsetPolicy {
    type Err = UnknownPolicy;

    fn from_str(word: &str) -> Result<Self, UnknownPolicy> {
        match word {
            "fail" => Ok(Self::Fail),
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ => Err(UnknownPolicy("fail, earliest, latest")),
        }
    }
}

impl ChannelSpec {
    /// The name of the topic or queue that holds the dead letters of the channel.
    #[must_use]
    pub fn dead_letters_name(&self) -> String {
        format!("{}.dead-letters", self.name())
    }

    /// The dead letters as a channel: one partition, written by this channel's readers and read by nobody here.
    #[must_use]
    pub fn dead_letters(&self) -> Self {
        let layout = Layout {
            channel: self.dead_letters_name().into(),
            readers: self.layout.readers.iter().take(1).cloned().collect(),
            writers: self.layout.readers.clone(),
            foreign: BTreeSet::new(),
            principals: (0..).take(self.layout.readers.len()).collect(),
        };
        Self {
            layout: Arc::new(layout),
            delivery: Delivery::Shared,
            local_readers: Vec::new(),
            local_writers: self.local_readers.clone(),
            writer_config: vec![self.reader_config.clone(); self.layout.readers.len()],
            ..self.clone()
        }
    }
}
