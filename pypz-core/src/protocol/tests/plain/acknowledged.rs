//! `Acknowledged`, which has no numbers.

use super::*;
use crate::protocol::{Acknowledgement, SentRecords};

use PlainStatus::Acknowledged;

/// How often one of our readers has said `Acknowledged`.
fn acknowledged(wire: &Wire, reader: MemberId) -> usize {
    let words = wire.words_of(reader);
    words.iter().filter(|word| **word == Acknowledged).count()
}

#[test]
fn a_part_that_came_in_two_batches_is_acknowledged_once_when_all_of_it_has_come() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.tell(reader, PRINCIPAL, received(0));
    wire.say(WRITER, &[Opened, Started]);
    for (count, said) in [(3, 0), (5, 1)] {
        wire.tell(reader, PRINCIPAL, received(count));
        assert!(
            wire.machine(reader)
                .acknowledge(0, Acknowledgement::UpTo(count), false)
        );
        wire.beat(WRITER, 5);
        wire.pass(10.0);
        assert_eq!(acknowledged(&wire, PRINCIPAL), said, "{count} of 5 records");
    }
    wire.beat(WRITER, 9);
    wire.tell(reader, PRINCIPAL, received(9));
    wire.pass(10.0);
    assert_eq!(acknowledged(&wire, PRINCIPAL), 1, "four more are not processed");
    assert!(
        wire.machine(reader)
            .acknowledge(0, Acknowledgement::UpTo(9), false)
    );
    wire.pass(10.0);
    assert_eq!(acknowledged(&wire, PRINCIPAL), 2);
}

#[test]
fn an_operator_that_acknowledges_nothing_says_nothing() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.tell(reader, PRINCIPAL, received(0));
    wire.say(WRITER, &[Opened, Started]);
    wire.tell(reader, PRINCIPAL, received(5));
    wire.beat(WRITER, 5);
    wire.pass(10.0);
    assert_eq!(acknowledged(&wire, PRINCIPAL), 0);
}

#[test]
fn a_replica_that_was_given_nothing_says_it_with_the_others() {
    let mut wire = Wire::new(2, 1, &[WRITER]);
    let readers = wire.started(&[PRINCIPAL, REPLICA]);
    for member in [PRINCIPAL, REPLICA] {
        wire.tell(readers, member, received(0));
    }
    wire.say(WRITER, &[Opened, Started]);
    wire.tell(readers, PRINCIPAL, received(5));
    assert!(wire.machine(readers).acknowledge(0, Acknowledgement::Bare, false));
    wire.beat(WRITER, 5);
    wire.pass(10.0);
    assert_eq!(
        [PRINCIPAL, REPLICA].map(|member| acknowledged(&wire, member)),
        [1, 1]
    );
}

#[test]
fn where_records_came_again_a_count_has_to_be_said_twice_since() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.tell(reader, PRINCIPAL, received(0));
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 5);
    wire.tell(reader, PRINCIPAL, received(7));
    assert!(
        wire.machine(reader)
            .acknowledge(0, Acknowledgement::UpTo(7), false)
    );
    for said in [0, 1] {
        wire.beat(WRITER, 5);
        wire.pass(10.0);
        assert_eq!(acknowledged(&wire, PRINCIPAL), said);
    }
}

#[test]
fn a_plain_reader_has_acknowledged_when_it_said_so_since_the_last_send_and_has_all() {
    let mut wire = Wire::new(1, 1, &[PRINCIPAL]);
    let writer = wire.start(&[WRITER]);
    wire.say(PRINCIPAL, &[Opened, Started]);
    wire.pass(3.0);
    wire.tell(writer, WRITER, LocalEvent::Opened);
    let ends = [End {
        partition: 0,
        offset: 5,
        records: 5,
    }];
    let sent = SentRecords {
        records: 5,
        ends: &ends,
        counter: None,
        to_all: false,
    };
    let is_missing = |wire: &mut Wire| !wire.machine(writer).unacknowledged(sent).is_empty();
    let beat = |wire: &mut Wire, count| {
        let received = Some(count);
        wire.log.push(Said::Word(PlainWord {
            received,
            ..PlainWord::bare(PRINCIPAL, HealthCheck)
        }));
        wire.flow();
    };
    wire.say(PRINCIPAL, &[Acknowledged]);
    beat(&mut wire, 5);
    assert!(!is_missing(&mut wire));
    wire.machine(writer).sends();
    assert!(is_missing(&mut wire), "it has acknowledged what was sent before");
    wire.say(PRINCIPAL, &[Acknowledged]);
    assert!(!is_missing(&mut wire));
    let more = SentRecords {
        records: 6,
        to_all: true,
        ..sent
    };
    let said = wire.machine(writer).unacknowledged(more);
    assert!(
        said[0].contains("pypz-python: 5 of 6 records, Acknowledged said"),
        "{said:?}"
    );
}
