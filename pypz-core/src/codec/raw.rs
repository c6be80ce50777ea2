//! Records that are their own bytes.

use super::{Codec, CodecError};

/// Sends `Vec<u8>` as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec<Vec<u8>> for Raw {
    fn new() -> Result<Self, CodecError> {
        Ok(Self)
    }

    fn encode(&mut self, value: &Vec<u8>, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        buffer.extend_from_slice(value);
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }
}

/// Sends `String` as UTF-8.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text;

impl Codec<String> for Text {
    fn new() -> Result<Self, CodecError> {
        Ok(Self)
    }

    fn encode(&mut self, value: &String, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        buffer.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<String, CodecError> {
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|error| CodecError::decode("text", error))
    }
}
