//! Records of derived types, as Avro and as JSON.

use std::fmt::Debug;

use pypz::{Avro, Codec, Json};
use serde::Serialize;

use crate::reference::Reference;
use crate::types::{Empties, Flat, Keyed, Nested, Optional, Tree};
use crate::{Verdict, must_be_plain};

/// Decodes a datum of the type that the first byte chooses, by the codec and by the reference: both refuse it, or both
/// read the same value, and that is encoded to itself.
pub fn avro(bytes: &[u8]) -> Verdict {
    let Some((kind, datum)) = bytes.split_first() else {
        return Verdict::Refused;
    };
    match kind % 6 {
        0 => as_avro::<Flat>(datum),
        1 => as_avro::<Nested>(datum),
        2 => as_avro::<Keyed>(datum),
        3 => as_avro::<Optional>(datum),
        4 => as_avro::<Tree>(datum),
        _ => as_avro::<Empties>(datum),
    }
}

/// Decodes a document of the type that the first byte chooses; what is accepted is encoded to itself.
pub fn json_records(bytes: &[u8]) -> Verdict {
    let Some((kind, document)) = bytes.split_first() else {
        return Verdict::Refused;
    };
    match kind % 5 {
        0 => as_json::<Nested>(document),
        1 => as_json::<Keyed>(document),
        2 => as_json::<Optional>(document),
        3 => as_json::<Tree>(document),
        _ => as_json::<Empties>(document),
    }
}

fn as_avro<T: Serialize + Debug>(datum: &[u8]) -> Verdict
where
    Avro: Codec<T>,
{
    let mut codec = codec::<Avro, T>();
    let schema = codec.schema().unwrap_or_default();
    let Some(reference) = Reference::new(&schema) else {
        panic!("the reference does not understand {schema}")
    };
    let expected = reference.read(datum);
    match codec.decode(datum) {
        Ok(value) => {
            let read = value_of(&value);
            assert_eq!(
                Some(&read),
                expected.as_ref(),
                "the reference reads something else"
            );
            comes_again(&mut codec, &value, |again| assert_eq!(value_of(again), read));
            Verdict::Accepted
        }
        Err(error) => {
            must_be_plain(&error.to_string());
            assert_eq!(expected, None, "only the codec refuses it: {error}");
            Verdict::Refused
        }
    }
}

fn as_json<T: Serialize + Debug>(document: &[u8]) -> Verdict
where
    Json: Codec<T>,
{
    let mut codec = codec::<Json, T>();
    match codec.decode(document) {
        Ok(value) => {
            let read = value_of(&value);
            comes_again(&mut codec, &value, |again| assert_eq!(value_of(again), read));
            Verdict::Accepted
        }
        Err(error) => {
            must_be_plain(&error.to_string());
            Verdict::Refused
        }
    }
}

fn codec<C: Codec<T>, T>() -> C {
    C::new().unwrap_or_else(|error| panic!("no codec: {error}"))
}

fn value_of(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("no JSON: {error}"))
}

/// What was decoded is encoded, behind what is there already, and decoded to the same.
fn comes_again<C: Codec<T>, T>(codec: &mut C, value: &T, same: impl FnOnce(&T)) {
    let mut buffer = vec![7];
    if let Err(error) = codec.encode(value, &mut buffer) {
        panic!("what was decoded cannot be encoded: {error}");
    }
    match codec.decode(&buffer[1..]) {
        Ok(again) => same(&again),
        Err(error) => panic!("what was encoded cannot be decoded: {error}"),
    }
}
