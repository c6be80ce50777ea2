//! Where a reader puts what it read: decoded, with its place and details where they are wanted.

use std::any::{Any, type_name};

use super::poison::Poison;
use crate::channel::{Details, RawRecord, RecordSink, ValueBatch};
use crate::codec::{Codec, CodecError, Translation};
use crate::record::Position;

/// The most records that one call of [`InputPort::retrieve`] hands out.
const BATCH_RECORDS: usize = 1_000;

/// Collects what a reader gives out, decoded.
pub(super) struct Sink<T, C> {
    codec: C,
    /// Where the records have another schema than the port.
    translation: Option<Translation>,
    translated: Vec<u8>,
    pub(super) values: Vec<T>,
    pub(super) details: Option<Vec<(Position, Details)>>,
    pub(super) poison: Poison,
}

impl<T, C> Sink<T, C> {
    pub(super) const fn new(codec: C, translation: Option<Translation>, poison: Poison) -> Self {
        Self {
            codec,
            translation,
            translated: Vec::new(),
            values: Vec::new(),
            details: None,
            poison,
        }
    }

    /// Gets ready for a batch. One that an earlier call was cancelled with stays, and with it what it has.
    pub(super) fn begin(&mut self, details: bool) {
        if self.values.is_empty() {
            self.details = (details || self.poison.buries()).then(Vec::new);
        }
    }
}

impl<T: Send + 'static, C: Codec<T>> Sink<T, C> {
    fn decode(&mut self, payload: &[u8]) -> Result<T, CodecError> {
        let Some(translation) = &mut self.translation else {
            return self.codec.decode(payload);
        };
        self.translated.clear();
        translation
            .apply(payload, &mut self.translated)
            .map_err(|reason| CodecError::decode(type_name::<T>(), reason))?;
        self.codec.decode(&self.translated)
    }
}

impl<T: Send + 'static, C: Codec<T>> RecordSink for Sink<T, C> {
    fn is_full(&self) -> bool {
        self.values.len() + self.poison.waiting() >= BATCH_RECORDS
    }

    fn take(&mut self, mut record: RawRecord<'_>) -> Result<(), CodecError> {
        match self.decode(record.payload) {
            Ok(value) => self.values.push(value),
            Err(error) => return self.poison.set_aside(&mut record, error),
        }
        if let Some(details) = &mut self.details {
            let position = Position {
                partition: record.partition,
                offset: record.offset,
            };
            details.push((position, (record.details)()));
        }
        Ok(())
    }

    fn refuse(&mut self, mut record: RawRecord<'_>, error: CodecError) -> Result<(), CodecError> {
        self.poison.set_aside(&mut record, error)
    }

    fn take_values(
        &mut self,
        partition: u32,
        first: u64,
        values: Box<dyn Any + Send>,
    ) -> Result<(), CodecError> {
        let batch = values
            .downcast::<ValueBatch<T>>()
            .map_err(|_| CodecError::decode(type_name::<T>(), "the values in memory are of another type"))?;
        let ValueBatch { mut values, details } = *batch;
        if let Some(kept) = &mut self.details {
            let positions = (first..).map(|offset| Position { partition, offset });
            let details = details
                .unwrap_or_default()
                .into_iter()
                .chain(std::iter::repeat_with(Details::default));
            kept.extend(positions.zip(details).take(values.len()));
        }
        if self.values.is_empty() {
            self.values = values;
        } else {
            self.values.append(&mut values);
        }
        Ok(())
    }
}
