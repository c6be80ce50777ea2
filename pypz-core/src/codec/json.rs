//! JSON by `serde_json`, which limits depth by itself.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};

/// Encodes each record as one JSON document, UTF-8, without white space.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn new() -> Result<Self, CodecError> {
        Ok(Self)
    }

    fn encode(&mut self, value: &T, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
        serde_json::to_writer(buffer, value).map_err(|error| CodecError::Encode {
            type_name: type_name::<T>(),
            reason: error.to_string(),
        })
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| CodecError::decode(type_name::<T>(), error))
    }
}
