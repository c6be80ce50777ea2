//! What genuine pypz-python put on the wire is read, and ours reads like it.

use pypz::protocol::{Heard, Layout, MemberId, PlainStatus, PlainWord, Side, decode, encode_word};
use pypz::{Avro, Codec};
use serde_json::Value;

use crate::records::{Made, Nested};
use crate::stage::Carrier;

const CHANNEL: &str = "golden.r.input";
const BOTH: [Carrier; 2] = [Carrier::Kafka, Carrier::RabbitMq];

fn recorded(file: &str) -> Vec<Value> {
    let path = format!("{}/pypz-testkit/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The arguments of all calls of a method on RabbitMQ, in order.
fn calls(method: &str) -> Vec<Value> {
    let calls = recorded("rabbitmq.json").into_iter();
    let of_method = calls.filter(|call| call["method"] == *method);
    of_method.map(|mut call| call["arguments"].take()).collect()
}

/// All that was published to one place on RabbitMQ.
fn published(exchange: &str, key: &str) -> Vec<Value> {
    let calls = calls("basic_publish").into_iter();
    calls
        .filter(|call| call["exchange"] == *exchange && call["routing_key"] == *key)
        .collect()
}

/// All of one topic on Kafka.
fn of_topic(topic: &str) -> Vec<Value> {
    let topic = format!("{CHANNEL}{topic}");
    let records = recorded("kafka.json").into_iter();
    records.filter(|record| record["topic"] == *topic).collect()
}

/// What was said on one side, as JSON.
fn said(carrier: Carrier, side: Side) -> Vec<Value> {
    let (records, field) = match (carrier, side) {
        (Carrier::Kafka, Side::Writers) => (of_topic(".output.state"), "value"),
        (Carrier::Kafka, Side::Readers) => (of_topic(".input.state"), "value"),
        (Carrier::RabbitMq, Side::Writers) => (published("", &format!("{CHANNEL}.writer.status")), "body"),
        (Carrier::RabbitMq, Side::Readers) => (published("", &format!("{CHANNEL}.reader.status")), "body"),
    };
    records
        .into_iter()
        .map(|mut record| record[field].take())
        .collect()
}

/// The bytes of the records.
fn data(carrier: Carrier) -> Vec<Vec<u8>> {
    let (records, field) = match carrier {
        Carrier::Kafka => (of_topic(""), "value"),
        Carrier::RabbitMq => (published(CHANNEL, ""), "body"),
    };
    let bytes = |record: &Value| {
        let hex = record[field].as_str().unwrap().to_owned();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    records.iter().map(bytes).collect()
}

fn layout() -> Layout {
    Layout {
        channel: CHANNEL.into(),
        readers: vec![CHANNEL.to_owned()],
        writers: vec!["golden.w.output".to_owned()],
        ..Layout::default()
    }
}

#[test]
fn every_recorded_word_is_understood() {
    for (carrier, side) in BOTH
        .into_iter()
        .flat_map(|carrier| Side::BOTH.map(|side| (carrier, side)))
    {
        let heard = |word: &Value| match decode(&layout(), side, word.to_string().as_bytes()) {
            Ok(Heard::Word(word)) => word,
            other => panic!("{other:?}"),
        };
        let words: Vec<PlainWord> = said(carrier, side).iter().map(heard).collect();
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
        assert_eq!(life, expected, "{carrier:?}, {side:?}");
        let counts = words.iter().filter_map(|word| word.sent.or(word.received));
        assert_eq!(counts.max(), Some(3), "{carrier:?}, {side:?}");
        assert!(words.iter().all(|word| word.process.is_none()));
    }
}

#[test]
fn every_recorded_record_decodes_and_is_encoded_to_the_same_bytes() {
    let mut codec = <Avro as Codec<Nested>>::new().unwrap();
    for carrier in BOTH {
        let records = data(carrier);
        assert_eq!(records.len(), 3, "{carrier:?}");
        for (number, bytes) in (0..).zip(records) {
            let decoded: Nested = codec.decode(&bytes).unwrap();
            assert_eq!(decoded, Nested::made(number));
            let mut encoded = Vec::new();
            codec.encode(&decoded, &mut encoded).unwrap();
            assert_eq!(encoded, bytes);
        }
    }
}

#[test]
fn a_word_of_ours_has_the_fields_and_the_forms_of_a_recorded_one() {
    for theirs in BOTH.into_iter().flat_map(|carrier| said(carrier, Side::Writers)) {
        let status: PlainStatus = serde_json::from_value(theirs["status"].clone()).unwrap();
        let word = PlainWord {
            sent: theirs["payload"]["sentRecordCount"].as_u64(),
            ..PlainWord::bare(MemberId::writer(0), status)
        };
        let timestamp = theirs["timestamp"].as_i64().unwrap();
        let ours = encode_word(&layout(), &word, timestamp).bytes;
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        assert_eq!(ours, theirs);
    }
}

#[test]
fn on_kafka_a_record_has_its_partition_for_a_key_and_a_word_the_key_state() {
    for record in of_topic("") {
        assert_eq!(record["key"], record["partition"].to_string());
    }
    for topic in [".output.state", ".input.state"] {
        assert!(of_topic(topic).iter().all(|record| record["key"] == "state"));
    }
}

#[test]
fn on_rabbitmq_a_word_is_text_and_a_record_has_no_properties() {
    let is_text = |call: &Value| call["properties"] == serde_json::json!({"content_encoding": "utf-8"});
    for stream in ["reader", "writer"] {
        let words = published("", &format!("{CHANNEL}.{stream}.status"));
        assert!(!words.is_empty() && words.iter().all(is_text), "{words:?}");
    }
    let records = published(CHANNEL, "");
    assert!(
        records
            .iter()
            .all(|record| record["properties"] == serde_json::json!({}))
    );
    let is_mandatory = |call: &Value| call["mandatory"] == true;
    assert!(calls("basic_publish").iter().all(is_mandatory));
}
