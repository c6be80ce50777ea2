//! Several records in one message.
//!
//! A record in a pack is: its length in bytes, times two, plus one if it has details; its details; its bytes. Details are:
//! the key's length plus one, or 0 without a key, and the key; the timestamp (0, or 1 and eight bytes, big-endian
//! milliseconds); the number of headers, and of each the name's length, the name, the value's length, the value. Lengths and
//! numbers are LEB128 of at most ten bytes.

use pypz_core::channel::{Details, EncodedBatch};

/// The content type of a message that holds several records.
pub const PACK: &str = "application/vnd.pypz.pack";

/// Appends a record.
pub(crate) fn push(pack: &mut Vec<u8>, batch: &EncodedBatch, index: usize) {
    let payload = batch.payload(index);
    let details = batch.details(index);
    put(pack, (payload.len() as u64) << 1 | u64::from(details.is_some()));
    if let Some(Details {
        key,
        headers,
        timestamp,
        ..
    }) = details
    {
        match key {
            None => put(pack, 0),
            Some(key) => {
                put(pack, key.len() as u64 + 1);
                pack.extend_from_slice(key);
            }
        }
        match timestamp {
            None => pack.push(0),
            Some(timestamp) => {
                pack.push(1);
                pack.extend_from_slice(&timestamp.to_be_bytes());
            }
        }
        put(pack, headers.len() as u64);
        for (name, value) in headers.iter() {
            for part in [name.as_bytes(), value.as_slice()] {
                put(pack, part.len() as u64);
                pack.extend_from_slice(part);
            }
        }
    }
    pack.extend_from_slice(payload);
}

fn put(pack: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        pack.push(number as u8 | 0x80);
        number >>= 7;
    }
    pack.push(number as u8);
}

/// Reads a pack from a place on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    at: usize,
}

/// One record of a pack, borrowed.
pub(crate) struct Packed<'a> {
    pub(crate) payload: &'a [u8],
    details: Option<(Cursor, &'a [u8])>,
}

/// The bytes are not a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Cursor {
    fn take<'a>(&mut self, pack: &'a [u8], bytes: u64) -> Result<&'a [u8], Malformed> {
        let bytes = usize::try_from(bytes).map_err(|_| Malformed)?;
        let end = self.at.checked_add(bytes).ok_or(Malformed)?;
        let taken = pack.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, pack: &[u8]) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *pack.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(Malformed);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// The next record; `None` behind the last.
    pub(crate) fn next<'a>(&mut self, pack: &'a [u8]) -> Result<Option<Packed<'a>>, Malformed> {
        if self.at == pack.len() {
            return Ok(None);
        }
        let head = self.number(pack)?;
        let details = if head & 1 == 1 {
            let start = *self;
            self.skip_details(pack)?;
            Some((start, pack))
        } else {
            None
        };
        let payload = self.take(pack, head >> 1)?;
        Ok(Some(Packed { payload, details }))
    }

    fn skip_details(&mut self, pack: &[u8]) -> Result<(), Malformed> {
        let key = self.number(pack)?;
        self.take(pack, key.saturating_sub(1))?;
        if self.has_timestamp(pack)? {
            self.take(pack, 8)?;
        }
        for _ in 0..self.number(pack)? {
            self.name(pack)?;
            let bytes = self.number(pack)?;
            self.take(pack, bytes)?;
        }
        Ok(())
    }

    fn has_timestamp(&mut self, pack: &[u8]) -> Result<bool, Malformed> {
        match self.take(pack, 1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// The name of a header, which is UTF-8: another one put in its place would be a wrong value.
    fn name<'a>(&mut self, pack: &'a [u8]) -> Result<&'a str, Malformed> {
        let bytes = self.number(pack)?;
        std::str::from_utf8(self.take(pack, bytes)?).map_err(|_| Malformed)
    }

    fn details(mut self, pack: &[u8]) -> Result<Details, Malformed> {
        let mut details = Details::default();
        let key = self.number(pack)?;
        if key > 0 {
            details.key = Some(self.take(pack, key - 1)?.into());
        }
        if self.has_timestamp(pack)? {
            let bytes = self.take(pack, 8)?.try_into().map_err(|_| Malformed)?;
            details.timestamp = Some(i64::from_be_bytes(bytes));
        }
        let mut headers = Vec::new();
        for _ in 0..self.number(pack)? {
            let name = self.name(pack)?.to_owned();
            let bytes = self.number(pack)?;
            headers.push((name, self.take(pack, bytes)?.to_vec()));
        }
        details.headers = headers;
        Ok(details)
    }
}

impl Packed<'_> {
    pub(crate) fn details(&self) -> Details {
        self.details.map_or_else(Details::default, |(start, pack)| {
            // It was skipped before, so it is whole.
            start.details(pack).unwrap_or_default()
        })
    }
}

/// How many records a pack holds.
pub(crate) fn count(pack: &[u8]) -> Result<u32, Malformed> {
    let mut cursor = Cursor::default();
    let mut records = 0_u32;
    while cursor.next(pack)?.is_some() {
        records += 1;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn details() -> impl Strategy<Value = Details> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
        let headers = proptest::collection::vec(("[a-z]{0,5}", bytes()), 0..4);
        (
            proptest::option::of(bytes()),
            headers,
            proptest::option::of(any::<i64>()),
        )
            .prop_map(|(key, headers, timestamp)| Details {
                key: key.map(Into::into),
                headers,
                timestamp,
                id: None,
            })
    }

    #[test]
    fn what_our_writer_would_not_write_is_malformed() {
        // A name that is not UTF-8; a timestamp that is neither there nor not; a length beyond 64 bits.
        let name = [1, 0, 0, 1, 2, 0xff, 0xfe, 0];
        let timestamp = [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let length = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        for pack in [&name[..], &timestamp[..], &length[..]] {
            assert_eq!(count(pack), Err(Malformed), "{pack:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out_again(
            records in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..300), details()), 0..20),
        ) {
            let mut batch = EncodedBatch::default();
            for (payload, details) in &records {
                batch.push(details.clone(), |bytes| { bytes.extend_from_slice(payload); Ok(()) }).unwrap();
            }
            let mut pack = Vec::new();
            for index in 0..batch.len() {
                push(&mut pack, &batch, index);
            }
            prop_assert_eq!(count(&pack), Ok(u32::try_from(records.len()).unwrap()));
            let mut cursor = Cursor::default();
            for (payload, details) in &records {
                let packed = cursor.next(&pack).unwrap().unwrap();
                prop_assert_eq!(packed.payload, &payload[..]);
                prop_assert_eq!(&packed.details(), details);
            }
            prop_assert!(cursor.next(&pack).unwrap().is_none());
        }

        #[test]
        fn what_was_cut_is_never_a_shorter_pack(payload in proptest::collection::vec(any::<u8>(), 1..300), details in details()) {
            let mut batch = EncodedBatch::default();
            batch.push(details, |bytes| { bytes.extend_from_slice(&payload); Ok(()) }).unwrap();
            let mut pack = Vec::new();
            push(&mut pack, &batch, 0);
            for length in 1..pack.len() {
                prop_assert_eq!(count(&pack[..length]), Err(Malformed));
            }
        }

        #[test]
        fn any_bytes_are_a_pack_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut cursor = Cursor::default();
            while let Ok(Some(packed)) = cursor.next(&bytes) {
                let _ = packed.details();
            }
            let _ = count(&bytes);
        }
    }
}
