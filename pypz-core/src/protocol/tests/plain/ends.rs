//! Ends, failures and counts of plain members, and the words of ours.

use super::*;

#[test]
fn an_input_ends_when_every_plain_writer_has_stopped_and_counts_what_they_say() {
    let mut wire = Wire::new(1, 2, &[WRITER, OTHER_WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    for writer in [WRITER, OTHER_WRITER] {
        wire.say(writer, &[Opened, Started]);
        wire.beat(writer, 5);
        wire.say(writer, &[Stopped]);
        let all = writer == OTHER_WRITER;
        assert_eq!(wire.machine(reader).upstream() != Upstream::Sending, all);
    }
    wire.tell(reader, PRINCIPAL, received(9));
    wire.tell(reader, PRINCIPAL, LocalEvent::Stopped(vec![]));
    let counts = wire.machine(reader).counts().unwrap();
    assert_eq!((counts.sent(), counts.received), (10, vec![9]));
}

#[test]
fn ours_say_their_words_in_order_and_once_each() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.pass(10.0);
    wire.tell(reader, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(reader, PRINCIPAL, LocalEvent::Closed);
    assert_eq!(wire.words_of(PRINCIPAL), [Opened, Started, Stopped, Closed]);
    assert!(wire.machine(reader).is_settled());
}

#[test]
fn a_word_that_does_not_come_back_is_said_again_and_waited_for() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.machine(reader)
        .on_local(PRINCIPAL, LocalEvent::Stopped(vec![]));
    let reports = wire.machine(reader).take_reports();
    let lost = wire.machine(reader).take_words();
    assert!(lost.iter().any(|word| word.status == Stopped));
    wire.log.extend(
        reports
            .into_iter()
            .map(|(side, report)| Said::Report(side, report)),
    );
    wire.flow();
    assert!(
        !wire.machine(reader).has_settled(PRINCIPAL),
        "its report came back, its word did not"
    );
    wire.pass(3.0);
    assert!(wire.words_of(PRINCIPAL).contains(&Stopped));
    assert!(wire.machine(reader).has_settled(PRINCIPAL));
}

#[test]
fn a_plain_writer_is_lost_after_the_patience_and_its_last_count_is_told() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 60);
    wire.pass(59.0);
    assert_eq!(wire.machine(reader).upstream(), Upstream::Sending);
    wire.pass(5.0);
    match wire.machine(reader).upstream() {
        Upstream::Lost { cause, seen: true } => assert!(cause.contains("it had sent 60 records"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_writer_that_failed_fails_the_input_whatever_it_says_after() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Error, Stopped, Closed]);
    assert!(matches!(wire.machine(reader).upstream(), Upstream::Failed { .. }));
}

#[test]
fn a_reader_that_comes_back_knows_who_stopped_while_it_was_away() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    // The second run of its log, so that only the mark tells what is of it.
    let first = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started, Stopped, Closed]);
    wire.tell(first, PRINCIPAL, LocalEvent::Stopped(vec![]));
    wire.tell(first, PRINCIPAL, LocalEvent::Closed);
    wire.machines.clear();
    let second = wire.started(&[PRINCIPAL]);
    assert_eq!(wire.machine(second).upstream(), Upstream::Sending);
    wire.say(WRITER, &[Opened, Started]);
    wire.machines.clear();
    wire.beat(WRITER, 3);
    wire.say(WRITER, &[Stopped, Closed]);
    let again = wire.start(&[PRINCIPAL]);
    wire.pass(5.0);
    wire.tell(again, PRINCIPAL, LocalEvent::Opened);
    wire.tell(again, PRINCIPAL, LocalEvent::Started);
    assert!(matches!(wire.machine(again).upstream(), Upstream::Stopped { .. }));
    assert_eq!(wire.machine(again).counts().unwrap().sent(), 3);
}

#[test]
fn what_a_killed_writer_had_sent_counts_beside_what_its_next_process_sends() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 4);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 10);
    wire.say(WRITER, &[Stopped, Closed]);
    assert_eq!(wire.machine(reader).counts().unwrap().sent(), 14);
}

#[test]
fn records_of_a_queue_are_waited_for_until_the_patience_is_over() {
    let mut wire = Wire::new(1, 1, &[WRITER]);
    let reader = wire.started(&[PRINCIPAL]);
    wire.say(WRITER, &[Opened, Started]);
    wire.beat(WRITER, 10);
    assert_eq!(wire.machine(reader).on_the_way(), None);
    wire.say(WRITER, &[Stopped, Closed]);
    wire.tell(reader, PRINCIPAL, received(7));
    assert_eq!(wire.machine(reader).on_the_way(), Some((3, 10)));
    wire.tell(reader, PRINCIPAL, received(10));
    assert_eq!(wire.machine(reader).on_the_way(), None);
    wire.tell(reader, PRINCIPAL, received(9));
    wire.pass(65.0);
    assert_eq!(wire.machine(reader).on_the_way(), None);
}

#[test]
fn a_writer_knows_what_plain_readers_were_not_given_yet() {
    let mut wire = Wire::new(2, 1, &[PRINCIPAL, REPLICA]);
    wire.say(PRINCIPAL, &[Opened]);
    let writer = wire.start(&[WRITER]);
    for reader in [PRINCIPAL, REPLICA] {
        wire.say(reader, &[Opened, Started]);
    }
    wire.tell(writer, WRITER, LocalEvent::Opened);
    wire.tell(writer, WRITER, LocalEvent::Started);
    let given = |wire: &mut Wire, reader: MemberId, count: u64| {
        wire.log.push(Said::Word(PlainWord {
            received: Some(count),
            ..PlainWord::bare(reader, HealthCheck)
        }));
        wire.flow();
    };
    assert_eq!(
        wire.machine(writer).arrived_at_plain_readers(false),
        None,
        "nothing was sent"
    );
    wire.tell(writer, WRITER, LocalEvent::Sent(10));
    given(&mut wire, PRINCIPAL, 4);
    given(&mut wire, REPLICA, 3);
    let on_the_way = |wire: &mut Wire| {
        let machine = wire.machine(writer);
        (
            machine.arrived_at_plain_readers(false),
            machine.arrived_at_plain_readers(true),
        )
    };
    assert_eq!(
        on_the_way(&mut wire),
        (Some((7, 10)), Some((3, 10))),
        "by all together, or by each"
    );
    given(&mut wire, REPLICA, 6);
    assert_eq!(on_the_way(&mut wire), (None, Some((4, 10))));
    wire.say(REPLICA, &[Stopped]);
    assert_eq!(on_the_way(&mut wire), (None, Some((4, 10))));
    wire.say(PRINCIPAL, &[Closed]);
    assert_eq!(on_the_way(&mut wire), (None, None), "nobody reads any more");
}
