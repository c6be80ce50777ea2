//! What genuine pypz-python put on the wire is read, and ours reads like it.

use pypz::protocol::{Heard, Layout, MemberId, PlainStatus, PlainWord, Side, decode, encode_word};
use pypz::{Avro, Codec};
use serde_json::Value;

use crate::records::{Made, Nested};

fn recorded() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/pypz-testkit/golden/kafka.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn of_topic<'a>(records: &'a [Value], topic: &str) -> Vec<&'a Value> {
    let topic = format!("golden.r.input{topic}");
    records
        .iter()
        .filter(|record| record["topic"] == *topic)
        .collect()
}

fn layout() -> Layout {
    Layout {
        channel: "golden.r.input".into(),
        readers: vec!["golden.r.input".to_owned()],
        writers: vec!["golden.w.output".to_owned()],
        ..Layout::default()
    }
}

fn words(records: &[Value], side: Side, topic: &str) -> Vec<PlainWord> {
    let heard = |record: &&Value| match decode(&layout(), side, record["value"].to_string().as_bytes()) {
        Ok(Heard::Word(word)) => word,
        other => panic!("{other:?}"),
    };
    let topic = of_topic(records, topic);
    assert!(topic.iter().all(|record| record["key"] == "state"));
    topic.iter().map(heard).collect()
}

#[test]
fn every_recorded_word_is_understood() {
    let records = recorded();
    for (side, topic) in [(Side::Writers, ".output.state"), (Side::Readers, ".input.state")] {
        let words = words(&records, side, topic);
        let life: Vec<_> = words
            .iter()
            .map(|word| word.status)
            .filter(|status| *status != PlainStatus::HealthCheck)
            .collect();
        let expected = [
            PlainStatus::Opened,
            PlainStatus::Started,
            PlainStatus::Stopped,
            PlainStatus::Closed,
        ];
        assert_eq!(life, expected);
        let counts = words.iter().filter_map(|word| word.sent.or(word.received));
        assert_eq!(counts.max(), Some(3));
        assert!(words.iter().all(|word| word.process.is_none()));
    }
}

#[test]
fn every_recorded_record_decodes_and_is_encoded_to_the_same_bytes() {
    let mut codec = <Avro as Codec<Nested>>::new().unwrap();
    let records = recorded();
    for (number, record) in (0..).zip(of_topic(&records, "")) {
        let hex = record["value"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let decoded: Nested = codec.decode(&bytes).unwrap();
        assert_eq!(decoded, Nested::made(number));
        let mut encoded = Vec::new();
        codec.encode(&decoded, &mut encoded).unwrap();
        assert_eq!(encoded, bytes);
        assert_eq!(record["key"], record["partition"].to_string());
    }
}

#[test]
fn a_word_of_ours_has_the_fields_and_the_forms_of_a_recorded_one() {
    let records = recorded();
    for record in of_topic(&records, ".output.state") {
        let theirs = &record["value"];
        let status: PlainStatus = serde_json::from_value(theirs["status"].clone()).unwrap();
        let word = PlainWord {
            sent: theirs["payload"]["sentRecordCount"].as_u64(),
            ..PlainWord::bare(MemberId::writer(0), status)
        };
        let timestamp = theirs["timestamp"].as_i64().unwrap();
        let ours = encode_word(&layout(), &word, timestamp).bytes;
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        assert_eq!(&ours, theirs);
    }
}
