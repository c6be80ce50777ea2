use std::collections::HashMap;

use super::*;
use apache_avro::{AvroSchema, Schema};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Nested {
    text: String,
    delay: Option<f64>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Part {
    number: i64,
    flag: bool,
}

fn nested() -> impl Strategy<Value = Nested> {
    let part = (any::<i64>(), any::<bool>()).prop_map(|(number, flag)| Part { number, flag });
    (
        ".{0,40}",
        proptest::option::of(-1e9..1e9),
        proptest::collection::vec(part, 0..5),
    )
        .prop_map(|(text, delay, parts)| Nested { text, delay, parts })
}

fn encoded<T, C: Codec<T>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    C::new().unwrap().encode(value, &mut bytes).unwrap();
    bytes
}

fn decoded<T, C: Codec<T>>(bytes: &[u8]) -> Result<T, CodecError> {
    C::new().unwrap().decode(bytes)
}

proptest! {
    #[test]
    fn avro_gives_back_what_it_was_given(value in nested()) {
        prop_assert_eq!(decoded::<Nested, Avro>(&encoded::<_, Avro>(&value)).unwrap(), value);
    }

    #[test]
    fn json_gives_back_what_it_was_given(value in nested()) {
        prop_assert_eq!(decoded::<Nested, Json>(&encoded::<_, Json>(&value)).unwrap(), value);
    }

    #[test]
    fn a_truncated_avro_datum_is_an_error_and_never_a_shorter_value(value in nested(), cut in 1_usize..8) {
        let bytes = encoded::<_, Avro>(&value);
        prop_assert!(decoded::<Nested, Avro>(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
    }

    #[test]
    fn bytes_from_anybody_give_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoded::<Nested, Avro>(&bytes);
        let _ = decoded::<Nested, Json>(&bytes);
        let _ = decoded::<String, Text>(&bytes);
        prop_assert_eq!(decoded::<Vec<u8>, Raw>(&bytes).unwrap(), bytes);
    }
}

#[test]
fn an_avro_greeting_has_the_bytes_that_pypz_python_writes() {
    #[derive(Serialize, Deserialize, AvroSchema)]
    struct Greeting {
        text: String,
    }
    let bytes = encoded::<_, Avro>(&Greeting {
        text: "hello 0".into(),
    });
    assert_eq!(bytes, [0x0e, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x30]);
}

#[test]
fn bytes_behind_the_datum_are_refused() {
    let mut bytes = encoded::<_, Avro>(&"hello".to_owned());
    bytes.push(0);
    assert!(
        decoded::<String, Avro>(&bytes)
            .unwrap_err()
            .to_string()
            .contains("1 of 7 bytes left over")
    );
}

#[test]
fn a_length_prefix_of_two_gigabytes_is_refused_before_anything_is_allocated() {
    let two_gigabytes = [0xfe, 0xff, 0xff, 0xff, 0x0f, b'x'];
    assert!(decoded::<String, Avro>(&two_gigabytes).is_err());
}

#[test]
fn what_hostile_bytes_hold_is_escaped_in_the_refusal() {
    #[derive(Debug, serde::Deserialize, serde::Serialize)]
    #[serde(deny_unknown_fields)]
    struct Narrow {
        a: u8,
    }
    let bytes = br#"{"a": 1, "\u001b[31m\nforged\u0000": 2}"#;
    let refusal = decoded::<Narrow, Json>(bytes).unwrap_err().to_string();
    assert!(!refusal.contains(char::is_control), "{refusal:?}");
    assert!(refusal.contains(r"\u{1b}[31m\nforged\0"), "{refusal}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Link {
    next: Option<Box<Self>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Nothing {}

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Nothings {
    items: Vec<Nothing>,
    more: HashMap<String, Vec<Nothing>>,
}

fn chain(links: usize) -> Link {
    let mut link = Link { next: None };
    for _ in 1..links {
        link = Link {
            next: Some(Box::new(link)),
        };
    }
    link
}

#[test]
fn a_recursive_record_is_refused_before_it_takes_the_stack() {
    let deepest = chain(128);
    assert_eq!(
        decoded::<Link, Avro>(&encoded::<_, Avro>(&deepest)).unwrap(),
        deepest
    );
    // The index of the union's second variant, a million times.
    for bytes in [vec![2; 1_000_000], vec![2; 128]] {
        let refusal = decoded::<Link, Avro>(&bytes).unwrap_err().to_string();
        assert!(
            refusal.contains("more than 128 records in each other"),
            "{refusal}"
        );
    }
    let refusal = <Avro as Codec<Link>>::new()
        .unwrap()
        .encode(&chain(129), &mut Vec::new())
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("more than 128 records in each other"),
        "{refusal}"
    );
}

#[test]
fn an_array_of_items_without_bytes_is_refused_before_they_are_counted() {
    let few = Nothings {
        items: (0..3).map(|_| Nothing {}).collect(),
        more: HashMap::from([("a".to_owned(), vec![Nothing {}])]),
    };
    assert_eq!(decoded::<Nothings, Avro>(&encoded::<_, Avro>(&few)).unwrap(), few);
    // 2^62 items in eleven bytes; 40,000 of them twice; the same in a map.
    let many = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0];
    let twice = [0x80, 0xf1, 0x04, 0x80, 0xf1, 0x04, 0, 0];
    let inner = [
        0, 2, 2, b'a', 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0,
    ];
    for bytes in [&many[..], &twice[..], &inner[..]] {
        let refusal = decoded::<Nothings, Avro>(bytes).unwrap_err().to_string();
        assert!(
            refusal.contains("more than 65536 items that take no bytes"),
            "{refusal}"
        );
    }
}

#[test]
fn a_length_beyond_the_datum_is_refused_before_anything_is_allocated() {
    // 32 MiB, which the decoder's own budget allows.
    let refusal = decoded::<String, Avro>(&[0x80, 0x80, 0x80, 0x20, b'x']).unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains("33554432 bytes are wanted, 1 are left"),
        "{refusal}"
    );
    let long = "\u{10ffff}".repeat(1 << 20);
    assert_eq!(decoded::<String, Avro>(&encoded::<_, Avro>(&long)).unwrap(), long);
}

#[test]
fn only_types_that_need_it_are_looked_through_before_they_are_decoded() {
    let needs_it = |schema: Schema| bounds::Bounds::of(Box::leak(Box::new(schema))).are_needed();
    assert!(needs_it(Link::get_schema()) && needs_it(Nothings::get_schema()));
    assert!(needs_it(Vec::<Link>::get_schema()));
    assert!(!needs_it(Nested::get_schema()) && !needs_it(Nothing::get_schema()));
}
