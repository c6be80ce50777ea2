//! Records on their way: many at a time, bytes side by side.

use std::any::Any;
use std::ops::Range;

use crate::codec::CodecError;
use crate::record::{Headers, RecordId};

/// What travels with a record beside its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The key.
    pub key: Option<Box<[u8]>>,
    /// The headers.
    pub headers: Headers,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// What the transport knows the record by, when it is read.
    pub id: Option<RecordId>,
}

impl Details {
    /// Whether there is nothing to carry. An id is nothing: it is where the record came from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.headers.is_empty() && self.timestamp.is_none()
    }
}

/// Values of one type on their way through memory.
#[derive(Debug)]
pub struct ValueBatch<T> {
    /// The values, in order.
    pub values: Vec<T>,
    /// Details of each value; `None` if no value has any.
    pub details: Option<Vec<Details>>,
}

/// Encoded records, bytes side by side.
#[derive(Debug, Default)]
pub struct EncodedBatch {
    bytes: Vec<u8>,
    records: Vec<EncodedRecord>,
    details: Vec<Details>,
}

/// One record of an [`EncodedBatch`].
#[derive(Debug, Clone, Copy)]
pub struct EncodedRecord {
    start: usize,
    end: usize,
    /// One more than the place of its details; 0 if it has none.
    details: usize,
}

impl EncodedBatch {
    /// Takes all records out; the memory stays for the next ones.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.details.clear();
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Appends a record whose bytes `encode` writes.
    ///
    /// # Errors
    ///
    /// What `encode` returns; the batch is unchanged then.
    pub fn push(
        &mut self,
        details: Details,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let start = self.bytes.len();
        if let Err(error) = encode(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let place = if details.is_empty() {
            0
        } else {
            self.details.push(details);
            self.details.len()
        };
        self.records.push(EncodedRecord {
            start,
            end: self.bytes.len(),
            details: place,
        });
        Ok(())
    }

    /// The bytes of a record.
    #[must_use]
    pub fn payload(&self, index: usize) -> &[u8] {
        self.records
            .get(index)
            .map_or(&[], |record| &self.bytes[record.start..record.end])
    }

    /// Key, headers and timestamp of a record.
    #[must_use]
    pub fn details(&self, index: usize) -> Option<&Details> {
        let place = self.records.get(index)?.details.checked_sub(1)?;
        self.details.get(place)
    }

    /// The length of a record with its key and headers, in bytes.
    #[must_use]
    pub fn record_bytes(&self, index: usize) -> usize {
        let more = self.details(index).map_or(0, |details| {
            let headers: usize = details
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            details.key.as_ref().map_or(0, |key| key.len()) + headers
        });
        self.payload(index).len() + more
    }

    /// The length of all payloads, in bytes.
    #[must_use]
    pub const fn total_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Consecutive records of a batch that go to one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The partition.
    pub partition: u32,
    /// How many records.
    pub records: usize,
}

impl Run {
    /// Each run that has records at or behind `from`, with the range that is left of it.
    pub fn from(runs: &[Self], from: usize) -> impl Iterator<Item = (u32, Range<usize>)> {
        let mut start = 0;
        runs.iter().filter_map(move |run| {
            let range = start.max(from)..start + run.records;
            start += run.records;
            (!range.is_empty()).then_some((run.partition, range))
        })
    }
}

/// A record as it comes from a broker: borrowed, not yet decoded.
pub struct RawRecord<'a> {
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
    /// The bytes of the value.
    pub payload: &'a [u8],
    /// Makes key, headers and timestamp; called only for those who want them.
    pub details: &'a mut dyn FnMut() -> Details,
}

impl std::fmt::Debug for RawRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawRecord")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Where a reader puts what it read: the port, which decodes at once.
pub trait RecordSink: Send {
    /// Whether the batch has reached its size.
    fn is_full(&self) -> bool;

    /// Takes one record.
    ///
    /// # Errors
    ///
    /// [`CodecError`] if it does not decode; the record is not taken.
    fn take(&mut self, record: RawRecord<'_>) -> Result<(), CodecError>;

    /// Takes one record whose bytes the transport itself does not understand.
    ///
    /// # Errors
    ///
    /// The error, unless the port sets such records aside.
    fn refuse(&mut self, record: RawRecord<'_>, error: CodecError) -> Result<(), CodecError> {
        let _ = record;
        Err(error)
    }

    /// Takes a [`ValueBatch`] that moved through memory: consecutive records of a partition.
    ///
    /// # Errors
    ///
    /// [`CodecError`] if the values are of another type.
    fn take_values(
        &mut self,
        partition: u32,
        first_offset: u64,
        values: Box<dyn Any + Send>,
    ) -> Result<(), CodecError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &'static [u8]) -> impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError> {
        |bytes| {
            bytes.extend_from_slice(text);
            Ok(())
        }
    }

    #[test]
    fn a_record_that_fails_to_encode_leaves_the_batch_as_it_was() {
        let mut batch = EncodedBatch::default();
        let keyed = Details {
            key: Some(b"k".as_slice().into()),
            ..Details::default()
        };
        batch.push(Details::default(), write(b"one")).unwrap();
        let failed = batch.push(keyed.clone(), |bytes| {
            bytes.extend_from_slice(b"half");
            Err(CodecError::decode("x", "y"))
        });
        assert!(failed.is_err());
        batch.push(keyed.clone(), write(b"two")).unwrap();
        assert_eq!((batch.len(), batch.total_bytes()), (2, 6));
        assert_eq!((batch.payload(0), batch.details(0)), (b"one".as_slice(), None));
        assert_eq!(
            (batch.payload(1), batch.details(1)),
            (b"two".as_slice(), Some(&keyed))
        );
        assert_eq!(batch.record_bytes(1), 4);
    }

    #[test]
    fn runs_are_taken_up_in_the_middle() {
        let runs = [
            Run {
                partition: 3,
                records: 2,
            },
            Run {
                partition: 0,
                records: 3,
            },
        ];
        let left = |from| Run::from(&runs, from).collect::<Vec<_>>();
        assert_eq!(left(0), [(3, 0..2), (0, 2..5)]);
        assert_eq!(left(1), [(3, 1..2), (0, 2..5)]);
        assert_eq!(left(4), [(0, 4..5)]);
        assert_eq!(left(5), []);
    }
}
