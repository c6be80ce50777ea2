//! The record of all rows: who made it, which one it is, and a checksum over both and the payload.

use apache_avro::AvroSchema;
use flate2::Crc;
use serde::{Deserialize, Serialize};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
pub(crate) struct Item {
    /// The run, which no other run has.
    pub(crate) run: String,
    /// The replica that made it: `a@1`.
    pub(crate) writer: String,
    /// Which incarnation of the writer's process sent it.
    pub(crate) epoch: i64,
    /// Which record of the writer it is, from 0; the same whichever incarnation sends it.
    pub(crate) sequence: i64,
    /// The replica index of the relay that handed it on; -1 before that.
    pub(crate) via: i32,
    /// Which incarnation of the relay's process handed it on.
    pub(crate) via_epoch: i64,
    /// Text that follows from writer and sequence.
    pub(crate) payload: String,
    /// The checksum of everything that does not change on the way.
    pub(crate) crc: i64,
}

impl Item {
    /// Makes a record with a payload of `bytes` bytes.
    pub(crate) fn new(run: &str, writer: &str, epoch: i64, sequence: i64, bytes: usize) -> Self {
        let mut item = Self {
            run: run.to_owned(),
            writer: writer.to_owned(),
            epoch,
            sequence,
            via: -1,
            via_epoch: 0,
            payload: payload(writer, sequence, bytes),
            crc: 0,
        };
        item.crc = item.checksum();
        item
    }

    /// Whether it is as it was made.
    pub(crate) fn is_whole(&self) -> bool {
        self.crc == self.checksum()
    }

    fn checksum(&self) -> i64 {
        let mut crc = Crc::new();
        for text in [&self.run, &self.writer, &self.payload] {
            crc.update(text.as_bytes());
            crc.update(&[0]);
        }
        crc.update(&self.epoch.to_be_bytes());
        crc.update(&self.sequence.to_be_bytes());
        i64::from(crc.sum())
    }
}

/// Text of `bytes` letters.
fn payload(writer: &str, sequence: i64, bytes: usize) -> String {
    let first = writer.bytes().map(u64::from).sum::<u64>() + sequence.unsigned_abs();
    (0..bytes as u64)
        .map(|place| char::from(b'a' + ((first + place) % 26) as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_anywhere_is_found_out() {
        let item = Item::new("run", "a@0", 1, 7, 100);
        assert!(item.is_whole());
        let changes: [fn(&mut Item); 5] = [
            |item| item.run.push('x'),
            |item| item.writer = "b@0".to_owned(),
            |item| item.epoch += 1,
            |item| item.sequence -= 1,
            |item| item.payload.replace_range(50..51, "!"),
        ];
        for change in changes {
            let mut changed = item.clone();
            change(&mut changed);
            assert!(!changed.is_whole(), "{changed:?}");
        }
    }

    #[test]
    fn a_relay_leaves_a_record_whole() {
        let mut item = Item::new("run", "a@0", 1, 7, 100);
        (item.via, item.via_epoch) = (1, 3);
        assert!(item.is_whole());
    }
}
