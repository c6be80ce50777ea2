//! What readers have acknowledged.

use super::*;

/// What a writer has sent to two readers of a log.
const ENDS: [End; 2] = [
    End {
        partition: 0,
        offset: 9,
        records: 4,
    },
    End {
        partition: 1,
        offset: 7,
        records: 4,
    },
];

const SENT: SentRecords<'static> = SentRecords {
    records: 8,
    ends: &ENDS,
    counter: None,
    to_all: false,
};

fn numbers(reader: Option<u32>, ranges: &[(u64, u64)]) -> Acknowledgement {
    Acknowledgement::Each(Numbers {
        reader,
        counter: "a writer".to_owned(),
        ranges: ranges.to_vec(),
    })
}

#[test]
fn each_reader_of_a_log_acknowledges_the_end_of_its_partition() {
    let mut bench = Bench::new(2, 1);
    let [readers, writer] = [&[PRINCIPAL, REPLICA][..], &[WRITER]].map(|members| bench.started(members));
    for (reader, offset, missing) in [(0, 9, 1), (1, 6, 1), (1, 7, 0)] {
        assert!(
            bench
                .machine(readers)
                .acknowledge(reader, Acknowledgement::UpTo(offset), false)
        );
        bench.pass(3.0);
        let names = bench.machine(writer).unacknowledged(SENT);
        assert_eq!(names.len(), missing, "{names:?}");
    }
}

#[test]
fn a_reader_that_has_finished_has_acknowledged_all() {
    let mut bench = Bench::new(1, 1);
    let [reader, writer] = [PRINCIPAL, WRITER].map(|member| bench.started(&[member]));
    assert_eq!(bench.machine(writer).unacknowledged(SENT).len(), 1);
    bench.tell(reader, PRINCIPAL, LocalEvent::Stopped(vec![]));
    assert!(bench.machine(writer).unacknowledged(SENT).is_empty());
}

#[test]
fn what_several_readers_of_a_queue_processed_is_joined() {
    let mut bench = Bench::new(2, 1);
    let [one, other, writer] = [PRINCIPAL, REPLICA, WRITER].map(|member| bench.started(&[member]));
    bench.machine(writer).count_as("a writer");
    let sent = SentRecords {
        counter: Some("a writer"),
        ..SENT
    };
    for (reader, index, ranges, covered) in [
        (one, 0, &[(0, 2), (4, 6)][..], Some(4)),
        (other, 1, &[(6, 8)], Some(6)),
        (other, 1, &[(2, 3)], Some(7)),
        (one, 0, &[(3, 4)], None),
    ] {
        assert!(
            bench
                .machine(reader)
                .acknowledge(index, numbers(None, ranges), false)
        );
        bench.pass(3.0);
        let missing = bench.machine(writer).unacknowledged(sent);
        let expected = covered.map(|covered| format!("pl.in_0.in ({covered} of 8 records)"));
        assert_eq!(missing, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn each_reader_of_a_broadcast_queue_acknowledges_for_itself() {
    let mut bench = Bench::new(2, 1);
    let [readers, writer] = [&[PRINCIPAL, REPLICA][..], &[WRITER]].map(|members| bench.started(members));
    bench.machine(writer).count_as("a writer");
    let sent = SentRecords {
        counter: Some("a writer"),
        to_all: true,
        ..SENT
    };
    for (reader, missing) in [(0, 1), (1, 0)] {
        let what = numbers(Some(reader), &[(0, 8)]);
        assert!(bench.machine(readers).acknowledge(reader, what, true));
        bench.pass(3.0);
        assert_eq!(bench.machine(writer).unacknowledged(sent).len(), missing);
    }
}

#[test]
fn numbers_of_nobody_here_and_of_readers_outside_the_layout_are_not_kept() {
    let mut bench = Bench::new(1, 1);
    let writer = bench.started(&[PRINCIPAL, WRITER]);
    let (side, mut report) = word(process(7), run(1), PRINCIPAL, 1, MemberState::Started);
    report.acknowledged = Acknowledgements {
        offsets: vec![(0, 1), (9, 1)],
        numbers: vec![Numbers {
            reader: Some(9),
            counter: "a writer".to_owned(),
            ranges: vec![(0, 8), (9, 2)],
        }],
    };
    let before = bench.machine(writer).acknowledged_revision();
    bench.machine(writer).on_report(side, &report);
    assert_eq!(
        bench.machine(writer).acknowledged_revision(),
        before + 1,
        "only the offset of reader 0"
    );
}

#[test]
fn a_reader_that_acknowledges_alone_is_told_when_nobody_can_keep_what_is_open() {
    let mut bench = Bench::new(2, 1);
    let reader = bench.started(&[PRINCIPAL]);
    let fits = (0..10_000).map(|n| {
        bench
            .machine(reader)
            .acknowledge(0, numbers(None, &[(2 * n, 2 * n + 1)]), false)
    });
    assert!(!fits.last().unwrap());
}
