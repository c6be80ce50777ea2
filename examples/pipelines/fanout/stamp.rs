//! The bytes of a record: sequence number, checksum, filling.

use flate2::Crc;

/// The shortest record: the sequence number and the checksum.
pub(super) const BYTES: usize = 12;

/// Makes records of one length.
pub(super) struct Stamper {
    filling: Vec<u8>,
    length: usize,
}

impl Stamper {
    pub(super) fn new(length: usize) -> Self {
        let length = length.saturating_sub(BYTES);
        Self {
            // Longer than needed, so that each record can begin elsewhere in it.
            filling: (0..=u8::MAX).cycle().take(length + 256).collect(),
            length,
        }
    }

    /// The record of a number.
    pub(super) fn stamp(&self, sequence: u64) -> Vec<u8> {
        let sequence = sequence.to_le_bytes();
        let filling = &self.filling[usize::from(sequence[0])..][..self.length];
        let checksum = checksum(&sequence, filling).to_le_bytes();
        let mut record = Vec::with_capacity(BYTES + self.length);
        record.extend_from_slice(&sequence);
        record.extend_from_slice(&checksum);
        record.extend_from_slice(filling);
        record
    }
}

/// The number of a record, `None` if the record is damaged.
pub(super) fn verify(record: &[u8]) -> Option<u64> {
    let (sequence, rest) = record.split_first_chunk::<8>()?;
    let (stated, filling) = rest.split_first_chunk::<4>()?;
    let intact = checksum(sequence, filling) == u32::from_le_bytes(*stated);
    intact.then(|| u64::from_le_bytes(*sequence))
}

fn checksum(sequence: &[u8; 8], filling: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(sequence);
    crc.update(filling);
    crc.sum()
}
