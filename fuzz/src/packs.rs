//! Several records in one message of RabbitMQ, with their keys, headers and timestamps.

use pypz::channel::Details;
use pypz_rabbitmq_io::fuzzing::{Packed, pack, record_id, unpack};

use crate::{Verdict, must_be_plain};

/// Takes the bytes for a pack, and for the id of a message. What is a pack is packed and unpacked to the same records.
pub fn packs(bytes: &[u8]) -> Verdict {
    if let Ok(id) = std::str::from_utf8(bytes) {
        let records = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for left in [0, 1, records, u32::MAX] {
            if let Some(id) = record_id(id, records, left) {
                must_be_plain(&id.sequence.to_string());
            }
        }
    }
    match unpack(bytes) {
        Some(records) => {
            assert_eq!(unpack(&packed(&records)), Some(records));
            Verdict::Accepted
        }
        None => Verdict::Refused,
    }
}

/// Makes records of the bytes, whatever they are, and has them packed and unpacked.
pub fn headers(bytes: &[u8]) -> Verdict {
    let mut source = Source(bytes);
    let mut records = Vec::new();
    while !source.0.is_empty() && records.len() < 64 {
        records.push(source.record());
    }
    assert_eq!(unpack(&packed(&records)), Some(records.clone()));
    if records.iter().any(|(_, details)| !details.is_empty()) {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

fn packed(records: &[Packed]) -> Vec<u8> {
    pack(records).unwrap_or_else(|error| panic!("bytes cannot be packed: {error}"))
}

/// Bytes as decisions.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    fn record(&mut self) -> Packed {
        let choices = self.byte();
        let header = |source: &mut Self| {
            let name = String::from_utf8_lossy(&source.bytes()).into_owned();
            (name, source.bytes())
        };
        let details = Details {
            key: (choices & 1 != 0).then(|| self.bytes().into()),
            headers: (0..choices >> 2 & 7).map(|_| header(self)).collect(),
            timestamp: (choices & 2 != 0).then(|| i64::from_le_bytes([(); 8].map(|()| self.byte()))),
            id: None,
        };
        (self.bytes(), details)
    }
}
