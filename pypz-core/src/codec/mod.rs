//! Codecs: how a value becomes the bytes of a record, and back.

mod avro;
mod bounds;
mod evolution;
mod json;
mod raw;
mod translation;

pub use avro::Avro;
pub use json::Json;
pub use raw::{Raw, Text};
pub use translation::Translation;

/// The most bytes that decoding one record may allocate for a single value, in bytes (64 MiB).
pub const DECODE_BUDGET: usize = 64 << 20;

/// Encodes and decodes the records of a port.
///
/// A codec is named as the second parameter of a port, `InputPort<T, Json>`; without one a port speaks [`Avro`].
/// One instance serves one port for its life, so what is dear to build (a schema) is built in [`Codec::new`].
///
/// # Contract
///
/// - `decode` reverses `encode`: `decode(encode(v)) == v` for every value that `encode` accepts.
/// - `encode` appends to `buffer` and leaves what is there alone; after an error the caller discards what was
///   appended.
/// - `decode` is given bytes from a broker, so from anybody: whatever they are, it returns an error rather than panic,
///   allocates at most [`DECODE_BUDGET`], and accepts a datum only if it consumed **every** byte of it.
///
/// ```
/// use pypz_core::codec::{Codec, CodecError};
///
/// /// A big-endian number in exactly eight bytes.
/// #[derive(Debug)]
/// struct BigEndian;
///
/// impl Codec<u64> for BigEndian {
///     fn new() -> Result<Self, CodecError> { Ok(Self) }
///     fn encode(&mut self, value: &u64, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
///         buffer.extend_from_slice(&value.to_be_bytes());
///         Ok(())
///     }
///     fn decode(&mut self, bytes: &[u8]) -> Result<u64, CodecError> {
///         // `bytes[..8]` would panic on a short record and ignore the rest of a long one.
///         let eight = bytes.try_into().map_err(|_| CodecError::decode("a number", "not eight bytes"))?;
///         Ok(u64::from_be_bytes(eight))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode records of type `{T}`",
    label = "records of type `{T}` have no codec here",
    note = "for `Avro`, the default, derive `Serialize`, `Deserialize` and `AvroSchema` for `{T}`; for `Json` the first two",
    note = "or name another codec: `OutputPort<{T}, Json>`"
)]
pub trait Codec<T>: Sized + Send + 'static {
    /// Builds the codec for the type.
    ///
    /// # Errors
    ///
    /// [`CodecError::Schema`] if the type cannot be described.
    fn new() -> Result<Self, CodecError>;

    /// Appends the encoded value to `buffer`.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] if the value cannot be expressed in the format.
    fn encode(&mut self, value: &T, buffer: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Decodes one value from all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if the bytes are not exactly one value.
    fn decode(&mut self, bytes: &[u8]) -> Result<T, CodecError>;

    /// The schema as text, if the format has one.
    ///
    /// The records of a run have one schema, that of whoever opened it. A port with another one translates
    /// ([`Codec::translation`]), or does not take part.
    #[must_use]
    fn schema(&self) -> Option<String> {
        None
    }

    /// Turns records of one schema into records of another; `None` if their bytes are the same. A reader is given the schema of the
    /// run and its own, a writer its own and that of the run; both are texts of [`Codec::schema`], the run's from anybody.
    ///
    /// A codec that has a schema should say here what it can translate: without this method nothing but the same text is read.
    ///
    /// # Errors
    ///
    /// What of one schema cannot be read as the other, before any record is.
    fn translation(from: &str, to: &str) -> Result<Option<Translation>, String> {
        match from == to {
            true => Ok(None),
            false => Err("the schemas differ, and the codec does not translate".to_owned()),
        }
    }
}

/// What went wrong between a value and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The type has no usable schema.
    #[error("no schema for {type_name}: {reason}")]
    Schema {
        /// The Rust type.
        type_name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The value could not be encoded.
    #[error("{type_name} cannot be encoded: {reason}")]
    Encode {
        /// The Rust type.
        type_name: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
    /// The bytes are not a value of the type.
    #[error("not {type_name}: {reason}")]
    Decode {
        /// The Rust type.
        type_name: &'static str,
        /// What is wrong with the bytes.
        reason: String,
    },
}

impl CodecError {
    /// Makes a [`CodecError::Decode`]. Control characters in the reason are escaped: it may repeat what the bytes held.
    #[must_use]
    pub fn decode(type_name: &'static str, reason: impl ToString) -> Self {
        Self::Decode {
            type_name,
            reason: crate::error::plain(&reason.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
