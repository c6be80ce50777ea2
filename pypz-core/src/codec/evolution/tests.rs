use apache_avro::AvroSchema;
use apache_avro::types::Value as Datum;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::codec::{Avro, Codec};

fn text<T>() -> String
where
    Avro: Codec<T>,
{
    <Avro as Codec<T>>::new().unwrap().schema().unwrap()
}

/// A value of one type as one of another.
fn translated<A, B>(value: &A) -> B
where
    Avro: Codec<A> + Codec<B>,
{
    let (mut one, mut other) = (
        <Avro as Codec<A>>::new().unwrap(),
        <Avro as Codec<B>>::new().unwrap(),
    );
    let (mut bytes, mut buffer) = (Vec::new(), b"before".to_vec());
    Codec::<A>::encode(&mut one, value, &mut bytes).unwrap();
    match translation(&text::<A>(), &text::<B>()).unwrap() {
        None => Codec::<B>::decode(&mut other, &bytes).unwrap(),
        Some(mut translation) => {
            translation.apply(&bytes, &mut buffer).unwrap();
            Codec::<B>::decode(&mut other, buffer.strip_prefix(b"before").unwrap()).unwrap()
        }
    }
}

fn refused(from: &str, to: &str) -> String {
    match translation(from, to) {
        Err(words) => words,
        Ok(_) => panic!("{from} is read as {to}"),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Inner {
    x: i32,
    y: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Old {
    id: i32,
    gone: String,
    delay: Option<f32>,
    inner: Inner,
    list: Vec<Inner>,
    by_name: std::collections::HashMap<String, i32>,
    flight: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Inner")]
struct NewInner {
    y: String,
    #[serde(default)]
    #[avro(default = "\"none\"")]
    z: String,
    x: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Old")]
struct New {
    by_name: std::collections::HashMap<String, f64>,
    list: Vec<NewInner>,
    inner: NewInner,
    #[serde(alias = "flight")]
    number: String,
    delay: Option<f64>,
    id: i64,
    more: Option<String>,
}

prop_compose! {
    fn inner()(x in any::<i32>(), y in ".{0,10}") -> Inner {
        Inner { x, y }
    }
}

prop_compose! {
    fn old()(
        id in any::<i32>(),
        gone in ".{0,10}",
        delay in proptest::option::of(-1e9_f32..1e9),
        inner in inner(),
        list in proptest::collection::vec(self::inner(), 0..4),
        by_name in proptest::collection::hash_map(".{0,4}", any::<i32>(), 0..4),
        flight in ".{0,10}",
    ) -> Old {
        Old { id, gone, delay, inner, list, by_name, flight }
    }
}

fn newer(Inner { x, y }: Inner) -> NewInner {
    let (x, z) = (x.into(), "none".to_owned());
    NewInner { y, z, x }
}

proptest! {
    #[test]
    fn every_value_is_read_as_it_is_by_wider_moved_renamed_new_and_missing_fields(old in old()) {
        let expected = New {
            by_name: old.by_name.clone().into_iter().map(|(name, of)| (name, of.into())).collect(),
            list: old.list.clone().into_iter().map(newer).collect(),
            inner: newer(old.inner.clone()),
            number: old.flight.clone(),
            delay: old.delay.map(f64::from),
            id: old.id.into(),
            more: None,
        };
        prop_assert_eq!(translated::<Old, New>(&old), expected);
    }

    #[test]
    fn bytes_from_anybody_become_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut translation = translation(&text::<Old>(), &text::<New>()).unwrap().unwrap();
        let mut buffer = Vec::new();
        if translation.apply(&bytes, &mut buffer).is_ok() {
            // Texts may not be UTF-8: that is all that the codec may object to.
            let of: Result<New, _> = <Avro as Codec<New>>::new().unwrap().decode(&buffer);
            prop_assert!(of.is_ok() || of.unwrap_err().to_string().to_lowercase().contains("utf"));
        }
    }
}

#[test]
fn what_is_not_carried_is_named() {
    let translation = translation(&text::<Old>(), &text::<New>()).unwrap().unwrap();
    assert_eq!(translation.dropped(), ["Old.gone"]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Event")]
enum Event {
    Started,
    Stopped { code: i32 },
    Measured(f64),
    Moved(f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Event")]
enum LaterEvent {
    Moved(f64),
    Lost,
    Stopped {
        code: i64,
        #[serde(default)]
        #[avro(default = "7")]
        more: i32,
    },
    Measured(f64),
    Started,
}

#[test]
fn a_branch_of_a_union_is_known_by_its_name_wherever_it_stands() {
    for (event, later) in [
        (Event::Started, LaterEvent::Started),
        (
            Event::Stopped { code: 3 },
            LaterEvent::Stopped { code: 3, more: 7 },
        ),
        (Event::Measured(0.5), LaterEvent::Measured(0.5)),
        (Event::Moved(0.5), LaterEvent::Moved(0.5)),
    ] {
        assert_eq!(translated::<Event, LaterEvent>(&event), later);
    }
    let words = refused(&text::<LaterEvent>(), &text::<Event>());
    assert!(words.contains("Lost") || words.contains("code"), "{words}");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Chain {
    value: i32,
    next: Option<Box<Self>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Chain")]
struct LongChain {
    value: i64,
    next: Option<Box<Self>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Holder {
    chain: Chain,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[serde(rename = "Holder")]
struct LaterHolder {
    chain: Chain,
    note: Option<String>,
}

#[test]
fn a_type_in_itself_is_copied_and_refused_where_it_changed() {
    let chain = Chain {
        value: 1,
        next: Some(Box::new(Chain { value: 2, next: None })),
    };
    let later = translated::<Holder, LaterHolder>(&Holder { chain: chain.clone() });
    assert_eq!(later, LaterHolder { chain, note: None });
    // The bytes of both are the same: an int is a long that is short.
    assert!(
        translation(&text::<Chain>(), &text::<LongChain>())
            .unwrap()
            .is_none()
    );
    let more = text::<Chain>().replace("\"int\"", "\"double\"");
    assert!(
        refused(&text::<Chain>(), &more).contains("Chain is in itself"),
        "{more}"
    );
}

const AT: &str = r#"{"type":"record","name":"Item","fields":[{"name":"id","type":"int"},
    {"name":"at","type":{"type":"record","name":"At","fields":[{"name":"x","type":"long"}]}}]}"#;

#[test]
fn a_schema_that_only_names_things_differently_needs_no_translation() {
    let same = AT.replace("\"At\"", "\"Other\"").replace(
        "\"Item\"",
        "\"Else\",\"namespace\":\"flights\",\"doc\":\"an item\"",
    );
    assert!(translation(AT, &same).unwrap().is_none());
}

#[test]
fn what_cannot_be_read_is_refused_with_both_names_and_the_path() {
    let of = |types: &str| {
        format!(r#"{{"type":"record","name":"Item","fields":[{{"name":"a","type":{types}}}]}}"#)
    };
    let pairs = [
        (
            AT.to_owned(),
            AT.replace("\"long\"", "\"string\""),
            "schema Item is not to be read as Item: field `at.x`: long is no string",
        ),
        (
            AT.to_owned(),
            AT.replace("}}]}", "}},{\"name\":\"note\",\"type\":\"string\"}]}"),
            "field `note`: not in every record",
        ),
        (
            AT.to_owned(),
            AT.replace(
                "}}]}",
                "}},{\"name\":\"note\",\"type\":\"string\",\"default\":7}]}",
            ),
            "not an Avro schema: `default`'s value type",
        ),
        (AT.to_owned(), "\"int\"".to_owned(), "Item is no int"),
        (AT.to_owned(), "x".to_owned(), "not an Avro schema"),
        (of("\"long\""), of("\"int\""), "field `a`: long is no int"),
        (of("\"bytes\""), of("\"string\""), "field `a`: bytes is no string"),
        (
            of(r#"["null","int"]"#),
            of("\"int\""),
            "field `a`: null is no int",
        ),
        (
            of(r#"{"type":"enum","name":"E","symbols":["A","B"]}"#),
            of(r#"{"type":"enum","name":"E","symbols":["A"]}"#),
            "E has no symbol B",
        ),
        (
            of(r#"{"type":"long","logicalType":"timestamp-millis"}"#),
            of("\"long\""),
            "timestampmillis is no long",
        ),
        (
            of(r#"{"type":"long","logicalType":"timestamp-millis"}"#),
            of(r#"{"type":"long","logicalType":"timestamp-micros"}"#),
            "timestampmillis is no timestampmicros",
        ),
        (
            of(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#),
            of(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}"#),
            "field `a`: decimal is no decimal",
        ),
    ];
    for (from, to, words) in pairs {
        let refused = refused(&from, &to);
        assert!(refused.contains(words), "{refused} does not contain {words}");
    }
}

/// `apache-avro` judges what is made of a value that it has written.
fn judged(from: &str, value: Datum, to: &str, expected: &Datum) {
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::writer::datum::GenericDatumWriter;
    let (schema, other) = (Schema::parse_str(from).unwrap(), Schema::parse_str(to).unwrap());
    let datum = GenericDatumWriter::builder(&schema).build().unwrap();
    let datum = datum.write_value_to_vec(value).unwrap();
    let mut buffer = Vec::new();
    let mut translation = translation(from, to).unwrap().unwrap();
    translation.apply(&datum, &mut buffer).unwrap();
    let reader = GenericDatumReader::builder(&other).build().unwrap();
    assert_eq!(reader.read_value(&mut buffer.as_slice()).unwrap(), *expected);
}

#[test]
fn symbols_branches_and_references_are_read_by_name() {
    let enums =
        |symbols: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}],"default":"Z"}}"#);
    let (from, to) = (enums(r#""Z","A","B""#), enums(r#""B","Y","Z""#));
    judged(
        &from,
        Datum::Enum(2, "B".to_owned()),
        &to,
        &Datum::Enum(0, "B".to_owned()),
    );
    judged(
        &from,
        Datum::Enum(1, "A".to_owned()),
        &to,
        &Datum::Enum(2, "Z".to_owned()),
    );

    let text = Datum::String("x".to_owned());
    let (from, to) = (r#"["null","string"]"#, r#"["string","int","null"]"#);
    judged(
        from,
        Datum::Union(1, Box::new(text.clone())),
        to,
        &Datum::Union(0, Box::new(text.clone())),
    );
    judged(r#""string""#, text.clone(), to, &Datum::Union(0, Box::new(text)));
    judged(
        r#""int""#,
        Datum::Int(3),
        r#"["null","double"]"#,
        &Datum::Union(1, Box::new(Datum::Double(3.0))),
    );

    let point = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}"#;
    let from = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{point}}},{{"name":"b","type":"P"}}]}}"#
    );
    let to = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"b","type":{point}}}]}}"#);
    let p = |x| Datum::Record(vec![("x".to_owned(), Datum::Int(x))]);
    let both = Datum::Record(vec![("a".to_owned(), p(1)), ("b".to_owned(), p(2))]);
    judged(&from, both, &to, &Datum::Record(vec![("b".to_owned(), p(2))]));
}

#[test]
fn an_array_of_defaults_is_bounded() {
    let items = |fields: &str| {
        format!(
            r#"{{"type":"array","items":{{"type":"record","name":"I","fields":[{{"name":"x","type":"int"}}{fields}]}}}}"#
        )
    };
    let long = "x".repeat(100_000);
    let more = items(&format!(
        r#",{{"name":"long","type":"string","default":"{long}"}}"#
    ));
    let mut translation = translation(&items(""), &more).unwrap().unwrap();
    // A block of 4,096 items of a byte each.
    let datum = [&[0x80, 0x40][..], &[0; 4_096], &[0]].concat();
    let refused = translation.apply(&datum, &mut Vec::new()).unwrap_err();
    assert!(refused.contains("more than"), "{refused}");
}

#[test]
fn a_writer_may_have_renamed_a_field_as_a_reader_may() {
    let old =
        r#"{"type":"record","name":"R","fields":[{"name":"flight","type":["null","int"],"default":null}]}"#;
    let new = old.replace(r#""name":"flight""#, r#""name":"number","aliases":["flight"]"#);
    for (from, to) in [(old, &*new), (&*new, old)] {
        assert!(translation(from, to).unwrap().is_none(), "{from} to {to}");
    }
}

#[test]
fn a_schema_that_stands_for_more_than_anybody_can_go_over_is_refused_at_once() {
    // Each type has the one before it twice.
    let twice = |types: usize| {
        let mut fields = r#"{"name":"f0","type":{"type":"record","name":"T0","fields":[]}}"#.to_owned();
        for at in 1..types {
            let before = at - 1;
            fields += &format!(
                r#",{{"name":"f{at}","type":{{"type":"record","name":"T{at}","fields":[{{"name":"a","type":"T{before}"}},{{"name":"b","type":"T{before}"}}]}}}}"#
            );
        }
        format!(
            r#"{{"type":"record","name":"R","fields":[{fields},{{"name":"list","type":{{"type":"array","items":"T{}"}}}}]}}"#,
            types - 1
        )
    };
    assert!(translation(&twice(10), &twice(9)).is_ok());
    for types in [60, 500] {
        assert!(refused(&twice(types), "\"int\"").contains("parts"), "{types}");
        let with_defaults = twice(types).replace("\"name\":\"a\",", "\"name\":\"a\",\"default\":{},");
        assert!(refused(&with_defaults, "\"int\"").contains("parts"), "{types}");
    }
    // A few items of which each has a few items, and so on.
    let mut items = r#"{"type":"record","name":"T0","fields":[]}"#.to_owned();
    for at in 1..30 {
        items = format!(
            r#"{{"type":"record","name":"T{at}","fields":[{{"name":"f","type":{{"type":"array","items":{items}}},"default":[{{}},{{}},{{}}]}}]}}"#
        );
    }
    assert!(refused(&items, "\"int\"").contains("parts"));
    let again = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"record","name":"R","fields":[]}}]}"#;
    assert!(refused(again, "\"int\"").contains("R is defined twice"));
}

#[test]
fn a_field_that_goes_by_its_own_name_is_not_another_one_by_an_alias() {
    let old = r#"{"type":"record","name":"R","fields":[{"name":"amount","type":"int","aliases":["price"]}]}"#;
    let new = r#"{"type":"record","name":"R","fields":[{"name":"amount","type":"int"},{"name":"price","type":"int","default":7}]}"#;
    let mut translation = translation(old, new).unwrap().unwrap();
    let mut read = Vec::new();
    translation.apply(&[4], &mut read).unwrap();
    assert_eq!(read, [4, 14]);
}
