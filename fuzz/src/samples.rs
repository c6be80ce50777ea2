//! Valid inputs of each target, and the malformed ones that are known to have hurt somebody.

mod status;

use std::collections::HashMap;

use crate::types::{Empties, Empty, Flat, Keyed, Kind, Nested, Optional, Part, Tree};
use pypz::channel::Details;
use pypz::{Avro, Codec, Json};
use pypz_rabbitmq_io::fuzzing::pack;

type Sample = (String, Vec<u8>);

/// Name and bytes of each sample of a target; none for a target that is not known.
#[must_use]
pub fn samples(target: &str) -> Vec<Sample> {
    match target {
        "avro" => avro(),
        "json_records" => json_records(),
        "status" => status::status(),
        "pipeline_yaml" => files(include_str!("samples/shop.yaml"), &YAML),
        "pipeline_json" => files(include_str!("samples/shop.json"), &JSON),
        "names" => texts(&NAMES),
        "templates" => texts(&TEMPLATES),
        "headers" => headers(),
        "packs" => packs(),
        _ => Vec::new(),
    }
}

fn texts(texts: &[(&str, &str)]) -> Vec<Sample> {
    let bytes = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
    texts.iter().map(bytes).collect()
}

fn files(whole: &str, malformed: &[(&str, &str)]) -> Vec<Sample> {
    let mut samples = texts(malformed);
    samples.push(("shop".to_owned(), whole.as_bytes().to_vec()));
    samples
}

fn encoded<C: Codec<T>, T>(kind: u8, value: &T) -> Vec<u8> {
    let mut bytes = vec![kind];
    let done = C::new().and_then(|mut codec| codec.encode(value, &mut bytes));
    done.unwrap_or_else(|error| panic!("a sample is not encoded: {error}"));
    bytes
}

fn part(number: i64) -> Part {
    Part { number, share: 0.5 }
}

fn nested() -> Nested {
    Nested {
        name: "carrier ✈".to_owned(),
        first: part(1),
        parts: vec![part(-2), part(i64::MAX)],
        table: vec![vec![], vec![1, 2, 3]],
    }
}

fn keyed() -> Keyed {
    Keyed {
        counts: HashMap::from([("EWR".to_owned(), 7)]),
        parts: HashMap::from([("a".to_owned(), vec![part(3)])]),
    }
}

fn optional() -> Optional {
    Optional {
        text: Some("x".to_owned()),
        delay: None,
        part: Some(part(0)),
        many: Some(vec![None, Some(5)]),
    }
}

fn tree() -> Tree {
    let leaf = |value| Tree {
        value,
        children: Vec::new(),
        next: None,
    };
    Tree {
        value: 1,
        children: vec![leaf(2), leaf(3)],
        next: Some(Box::new(leaf(4))),
    }
}

fn empties() -> Empties {
    Empties {
        items: vec![Empty {}, Empty {}],
        by_name: HashMap::from([("a".to_owned(), vec![Empty {}])]),
        last: Some(Empty {}),
    }
}

fn avro() -> Vec<Sample> {
    let flat = Flat {
        text: "hello 0".to_owned(),
        flag: true,
        small: -1,
        large: 1 << 40,
        float: 0.25,
        double: f64::MIN_POSITIVE,
        kind: Kind::Arrival,
    };
    let depth = std::iter::once(4).chain([0, 0, 2].into_iter().cycle().take(3 * 4000));
    let mut named = vec![
        ("flat", encoded::<Avro, _>(0, &flat)),
        ("nested", encoded::<Avro, _>(1, &nested())),
        ("keyed", encoded::<Avro, _>(2, &keyed())),
        ("optional", encoded::<Avro, _>(3, &optional())),
        ("tree", encoded::<Avro, _>(4, &tree())),
        ("empties", encoded::<Avro, _>(5, &empties())),
        ("length_of_2_gib", vec![0, 0xfe, 0xff, 0xff, 0xff, 0x0f, b'x']),
        ("length_of_64_mib", vec![0, 0x80, 0x80, 0x80, 0x40, b'x']),
        ("negative_length", vec![0, 0x01]),
        (
            "length_without_end",
            vec![0; 1].into_iter().chain([0xff; 11]).collect(),
        ),
        (
            "array_of_2_pow_62_empties",
            vec![5, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0],
        ),
        (
            "array_of_least_count",
            vec![
                5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0,
            ],
        ),
        ("negative_block", vec![5, 0x03, 0x00, 0, 0, 0]),
        ("recursion_of_4000", depth.collect()),
        ("union_without_variant", vec![3, 0x04]),
        ("negative_variant", vec![3, 0x01]),
    ];
    let flat = named[0].1.clone();
    named.push(("truncated", flat[..flat.len() - 1].to_vec()));
    named.push(("left_over", flat.into_iter().chain([0]).collect()));
    named
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

fn json_records() -> Vec<Sample> {
    let named = [
        ("nested", encoded::<Json, _>(0, &nested())),
        ("keyed", encoded::<Json, _>(1, &keyed())),
        ("optional", encoded::<Json, _>(2, &optional())),
        ("tree", encoded::<Json, _>(3, &tree())),
        ("empties", encoded::<Json, _>(4, &empties())),
        (
            "depth",
            [&[3_u8][..], &b"{\"value\":1,\"children\":[".repeat(300)].concat(),
        ),
        ("duplicate_keys", b"\x02{\"text\":\"a\",\"text\":\"b\"}".to_vec()),
        ("control_characters", b"\x02{\"\\u001b[31m\\n\":1}".to_vec()),
        ("not_utf8", b"\x02{\"text\":\"\xff\xfe\"}".to_vec()),
        ("number_beyond_all", b"\x02{\"delay\":1e999}".to_vec()),
    ];
    named.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

fn headers() -> Vec<Sample> {
    let named: [(&str, &[u8]); 3] = [
        (
            "all",
            b"\x0f\x02UA\x06origin\x03EWR\x00\x00\x01\x01x\x01\x02\x03\x04\x05\x06\x07\x08\x04body",
        ),
        ("bare", b"\x00\x03one\x00\x03two\x00\x00"),
        (
            "mixed",
            b"\x01\x00\x00\x02\xff\xff\xff\xff\xff\xff\xff\x7f\x01a\x04\x01\xff\x00\x00",
        ),
    ];
    named
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .into()
}

fn packs() -> Vec<Sample> {
    let details = Details {
        key: Some(Box::from(&b"UA"[..])),
        headers: vec![("origin".to_owned(), b"EWR".to_vec()), (String::new(), vec![])],
        timestamp: Some(-1),
        id: None,
    };
    let records = [
        (b"one".to_vec(), Details::default()),
        (b"two".to_vec(), details),
        (vec![], Details::default()),
    ];
    let whole = pack(&records).unwrap_or_default();
    let named = [
        ("pack", whole.clone()),
        ("truncated", whole[..whole.len() - 2].to_vec()),
        (
            "length_beyond_all",
            vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
        (
            "length_beyond_64_bits",
            vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
        ),
        (
            "headers_beyond_all",
            vec![
                0x01, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
        ),
        ("name_not_utf8", vec![1, 0, 0, 1, 2, 0xff, 0xfe, 0]),
        ("timestamp_neither", vec![1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("id", b"0192f0c1.41".to_vec()),
        ("id_beyond_all", b"w.18446744073709551615".to_vec()),
    ];
    named.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

const YAML: [(&str, &str); 8] = [
    (
        "small",
        "name: a\nparameters: {\">>channelLocation\": \"memory://\", x: ${env:X:-1}}\n",
    ),
    (
        "bomb",
        "name: a\nparameters:\n  a: &a [x, x, x, x, x, x, x, x, x]\n  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n  c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n  d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n  e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\n  f: [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n",
    ),
    ("self_alias", "name: a\nparameters: &p {x: *p}\n"),
    ("duplicate_keys", "name: a\nname: b\n"),
    (
        "depth",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    ),
    ("second_document", "name: a\n---\nname: b\n"),
    ("merge", "a: &a {name: x}\n<<: *a\n"),
    (
        "scalars",
        "name: a\nparameters: {a: 0o17, b: 1_000, c: .inf, d: 2001-01-01, e: no, f: \"\\e[31m\", g: 1:30}\n",
    ),
];

const JSON: [(&str, &str); 5] = [
    (
        "small",
        "{\"name\": \"a\", \"parameters\": {\">>channelLocation\": \"memory://\", \"x\": 1e3}}",
    ),
    ("duplicate_keys", "{\"name\": \"a\", \"name\": \"b\"}"),
    (
        "depth",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    ),
    ("surrogate", "{\"name\": \"\\ud800\"}"),
    ("something_behind", "{\"name\": \"a\"} x"),
];

const NAMES: [(&str, &str); 14] = [
    ("name", "Writer-1_x"),
    (
        "longest",
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
    ),
    ("new_line", "writer\n"),
    ("parent", "../writer"),
    ("ansi", "\u{1b}[31mwriter"),
    ("template", "${env:X}"),
    ("not_ascii", "wrïter"),
    ("memory", "memory://"),
    ("kafka", "kafka://a:9092,[::1]:9093"),
    ("amqp", "amqp://user:password@host:5672/vhost?heartbeat=1"),
    ("amqps_escaped", "amqps://us%40er:p%2Fw@host/%2f"),
    ("no_host", "amqp://user:password@"),
    ("port_beyond_all", "amqp://host:99999999999"),
    ("control_character", "kafka://a\u{9b}2J"),
];

const TEMPLATES: [(&str, &str); 9] = [
    ("default", "x-${env:PYPZ_NO:-1}-$y {}"),
    ("round", "$(env:PYPZ_NO:-1) $(date)"),
    ("missing", "${env:PYPZ_NO}"),
    ("missing_ansi", "${env:PYPZ_\u{1b}[31m\n}"),
    ("open", "${env:PATH"),
    ("foreign", "${file:/etc/passwd}"),
    ("equals_sign", "${env:A=B:-${env:C}}"),
    (
        "json",
        "{\"a\": [\"${env:PYPZ_NO:-é}\", 1, null], \"b\": \"plain\"}",
    ),
    ("empty", "${env:}"),
];
