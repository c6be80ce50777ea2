//! Records that do not decode, and where they go: what lies on the broker then, as a bare client sees it.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

#[path = "dead_letters/clients.rs"]
mod clients;
#[path = "dead_letters/operators.rs"]
mod operators;

use std::collections::BTreeMap;
use std::time::Duration;

use clients::Letter;
use operators::{Elsewhere, Fail, Mixed, One, Relay, Sink, Typed, good, poison, taken};
use pypz::{ExecutionError, Pipeline};
use pypz_kafka_io as _;
use pypz_rabbitmq_io as _;
use pypz_testkit::{brokers, names};

fn pipeline(name: &str, location: &str) -> Pipeline {
    let mut pipeline = Pipeline::new(name);
    pipeline.patience(Duration::from_secs(20));
    pipeline.set_parameter(">>channelLocation", location);
    pipeline
}

/// Sends `count` records, each `every`th of which is poison, to a sink of two replicas.
async fn send_and_read(location: &str, name: &str, count: u64, every: u64) {
    let mut writing = pipeline(name, location);
    let source = writing.operator::<Mixed>("source").count(count).every(every);
    let sink = writing.operator::<Elsewhere>("sink").replicas(2);
    writing.connect(source.output(), sink.input());
    let mut reading = pipeline(name, location);
    let source = reading.operator::<Typed>("source");
    let sink = reading.operator::<Sink>("sink").replicas(2);
    reading.connect(source.output(), sink.input());
    reading.set_parameter("sink.>onPoison", "dead-letter");
    let (written, read) = tokio::join!(writing.execute_only(["source"]), reading.execute_only(["sink"]));
    written.unwrap();
    read.unwrap();
    let mut arrived = taken(name);
    arrived.sort_unstable();
    let expected: Vec<u64> = (0..count).filter(|number| good(*number, every)).collect();
    assert!(
        arrived == expected,
        "{} of {} arrived",
        arrived.len(),
        expected.len()
    );
}

/// Compares letters with the poison that was sent.
fn check(letters: &[Letter], channel: &str, reader: &str, count: u64, every: u64) {
    let mut found: Vec<&[u8]> = letters.iter().map(|letter| letter.payload.as_slice()).collect();
    found.sort_unstable();
    let sent = (0..count).filter(|number| !good(*number, every)).map(poison);
    let mut sent: Vec<Vec<u8>> = sent.collect();
    sent.sort_unstable();
    assert!(
        found == sent,
        "{} letters of {} poison records",
        found.len(),
        sent.len()
    );
    for letter in letters {
        let said = |name: &str| letter.headers.get(name).map_or("", String::as_str);
        assert_eq!(
            (letter.key.as_slice(), said("kind")),
            (b"key".as_slice(), "poison")
        );
        assert_eq!(said("pypz.dead-letter.channel"), channel);
        assert!(said("pypz.dead-letter.reader").starts_with(reader), "{letter:?}");
        assert!(!said("pypz.dead-letter.reason").is_empty(), "{letter:?}");
        for number in ["pypz.dead-letter.partition", "pypz.dead-letter.offset"] {
            assert!(said(number).parse::<u64>().is_ok(), "{letter:?}");
        }
    }
}

/// Of `count` records each `every`th is poison.
const MIXES: [(u64, u64); 3] = [(1_001, 1_000), (500, 10), (50, 1)];

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_poison_records_lie_in_kafkas_dead_letters_as_they_were() {
    let location = format!("kafka://{}", brokers::kafka());
    for (count, every) in MIXES {
        let name = names::unique("letters");
        send_and_read(&location, &name, count, every).await;
        let channel = format!("{name}.sink.input");
        let letters = clients::kafka(&format!("{channel}.dead-letters")).await;
        check(&letters, &channel, &format!("{name}.sink"), count, every);
        // With the number of poison records before it, the offset says which record it was.
        let mut places = BTreeMap::new();
        for letter in &letters {
            let place = [
                &letter.headers["pypz.dead-letter.partition"],
                &letter.headers["pypz.dead-letter.offset"],
            ];
            assert!(
                places.insert(place, &letter.payload).is_none(),
                "two letters of one place"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_poison_records_lie_in_rabbitmqs_dead_letters_as_they_were() {
    for (count, every) in MIXES {
        let name = names::unique("letters");
        send_and_read(&brokers::rabbitmq(), &name, count, every).await;
        let channel = format!("{name}.sink.input");
        let letters = clients::rabbitmq(&format!("{channel}.dead-letters")).await;
        check(&letters, &channel, &format!("{name}.sink"), count, every);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_transactions_a_dead_letter_counts_once_though_its_record_is_read_twice() {
    let (count, every) = (400, 4);
    let (location, name) = (format!("kafka://{}", brokers::kafka()), names::unique("once"));
    let mut writing = pipeline(&name, &location);
    let source = writing.operator::<Mixed>("source").count(count).every(every);
    let relay = writing.operator::<Elsewhere>("relay");
    writing.connect(source.output(), relay.input());
    let mut outcomes: Vec<Result<(), ExecutionError>> = Vec::new();
    let mut written = Some(writing.exactly_once());
    for _ in 0..2 {
        let mut reading = pipeline(&name, &location);
        reading.set_parameter("relay.>onPoison", "dead-letter");
        let source = reading.operator::<Typed>("source");
        let relay = reading.operator::<Relay>("relay").fails_at(count / 2);
        let sink = reading.operator::<Sink>("sink");
        reading.connect(source.output(), relay.input());
        reading.connect(relay.output(), sink.input());
        let parts = reading.exactly_once().execute_only(["relay", "sink"]);
        outcomes.push(match written.take() {
            Some(writing) => {
                let (written, read) = tokio::join!(writing.execute_only(["source"]), parts);
                written.unwrap();
                read.map(drop)
            }
            None => parts.await.map(drop),
        });
    }
    assert!(
        outcomes[0]
            .as_ref()
            .is_err_and(|error| error.to_string().contains("enough")),
        "{outcomes:?}"
    );
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
    let expected: Vec<u64> = (0..count).filter(|number| good(*number, every)).collect();
    assert_eq!(taken(&name), expected);
    let channel = format!("{name}.relay.input");
    let letters = clients::kafka(&format!("{channel}.dead-letters")).await;
    check(&letters, &channel, &format!("{name}.relay"), count, every);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_no_replica_survives_is_kept_among_the_dead_letters_and_said() {
    let name = names::unique("dead");
    let mut outcomes = Vec::new();
    for is_good in [false, false, true] {
        let mut pipeline = pipeline(&name, &brokers::rabbitmq());
        let source = pipeline.operator::<One>("source");
        let sink = pipeline.operator::<Fail>("sink").is_good(is_good);
        pipeline.connect(source.output(), sink.input());
        pipeline.set_parameter(">>channelConfig", BTreeMap::from([("deliveryLimit", 1)]));
        outcomes.push(pipeline.execute().await.unwrap_err().to_string());
    }
    assert!(outcomes[0].contains("no 1 records"), "{outcomes:?}");
    assert!(outcomes[1].contains("no 1 records"), "{outcomes:?}");
    let kept = format!("queue {name}.sink.input.dead-letters, for messages that were given up");
    assert!(outcomes[2].contains(&kept), "{outcomes:?}");
    let letters = clients::rabbitmq(&format!("{name}.sink.input.dead-letters")).await;
    assert_eq!(letters.len(), 1);
}
