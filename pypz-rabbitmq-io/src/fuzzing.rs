//! Doors for the package that fuzzes: what this crate makes of bytes and texts from anybody. No part of the interface.

use std::sync::Arc;

use pypz_core::RecordId;
use pypz_core::channel::{Details, EncodedBatch, Location};

use crate::inbox::{Form, Message};
use crate::pack::{self, Cursor};

/// A record's bytes and what travels beside them.
pub type Packed = (Vec<u8>, Details);

/// The records of a pack, or `None` for what is none. `PACK` is the content type that says so.
#[must_use]
pub fn unpack(bytes: &[u8]) -> Option<Vec<Packed>> {
    let count = pack::count(bytes).ok()?;
    let mut cursor = Cursor::default();
    let mut records = Vec::new();
    while let Ok(Some(packed)) = cursor.next(bytes) {
        records.push((packed.payload.to_vec(), packed.details()));
    }
    assert_eq!(records.len(), count as usize, "a pack is whole or malformed");
    Some(records)
}

/// A pack with these records.
///
/// # Errors
///
/// None: the records are bytes already.
pub fn pack(records: &[Packed]) -> Result<Vec<u8>, pypz_core::codec::CodecError> {
    let mut batch = EncodedBatch::default();
    for (payload, details) in records {
        batch.push(details.clone(), |bytes| {
            bytes.extend_from_slice(payload);
            Ok(())
        })?;
    }
    let mut bytes = Vec::new();
    for index in 0..batch.len() {
        pack::push(&mut bytes, &batch, index);
    }
    Ok(bytes)
}

/// The id of the record of a message that is followed by `left - 1` others.
#[must_use]
pub fn record_id(message_id: &str, records: u32, left: u32) -> Option<RecordId> {
    let message = Message {
        body: Vec::new(),
        form: Form::Pack,
        records,
        id: Some(Arc::from(message_id)),
    };
    message.record_id(left)
}

/// What is wrong with a location as RabbitMQ's, if anything is.
#[must_use]
pub fn location_problem(location: &Location) -> Option<String> {
    crate::config::uri(location).err()
}
