//! The records of the suite.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

/// A record that says who sent it, which one it is, and whether it arrived as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
pub(super) struct Item {
    pub(super) writer: String,
    pub(super) sequence: i64,
    payload: String,
    checksum: i64,
}

impl Item {
    /// The record with this number of a writer; its payload has between none and 60 characters more than `padding`.
    pub(super) fn new(writer: &str, sequence: u64, padding: usize) -> Self {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        let length = padding + usize::try_from(sequence % 61).unwrap_or_default();
        let payload: String = writer.chars().cycle().take(length).collect();
        Self {
            checksum: checksum(writer, sequence, &payload),
            writer: writer.to_owned(),
            sequence,
            payload,
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.checksum == checksum(&self.writer, self.sequence, &self.payload)
    }
}

/// FNV-1a over everything that a record says.
fn checksum(writer: &str, sequence: i64, payload: &str) -> i64 {
    let bytes = writer
        .bytes()
        .chain(sequence.to_le_bytes())
        .chain(payload.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    i64::from_le_bytes(hash.to_le_bytes())
}
