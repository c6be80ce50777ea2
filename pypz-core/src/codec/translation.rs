//! From the records of one schema to those of another.

use std::fmt;

type Turn = dyn FnMut(&[u8], &mut Vec<u8>) -> Result<(), String> + Send;

/// Turns a record of one schema into one of another. Made by [`Codec::translation`](super::Codec::translation).
pub struct Translation {
    turn: Box<Turn>,
    dropped: Vec<String>,
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation")
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl Translation {
    /// A translation that drops nothing. `turn` is given bytes from anybody: it appends to the buffer the record that they are, or
    /// says why they are none.
    pub fn new(turn: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), String> + Send + 'static) -> Self {
        Self {
            turn: Box::new(turn),
            dropped: Vec::new(),
        }
    }

    /// Names what of a record is not in its translation.
    #[must_use]
    pub fn dropping(mut self, fields: Vec<String>) -> Self {
        self.dropped = fields;
        self
    }

    /// What of a record is not in its translation; empty if everything is.
    #[must_use]
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// Appends the translation of a record to the buffer.
    ///
    /// # Errors
    ///
    /// Why the bytes are no record; what was appended is to be discarded.
    pub fn apply(&mut self, record: &[u8], buffer: &mut Vec<u8>) -> Result<(), String> {
        (self.turn)(record, buffer)
    }
}
