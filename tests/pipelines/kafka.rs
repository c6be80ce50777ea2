//! What holds on Apache Kafka.

use pypz_testkit::{brokers, names};

use crate::on_brokers::{at, every_case, on_the_broker};
use crate::run;

every_case!(location());
on_the_broker!(location(); thirteen_processes_that_are_killed_at_random_make_the_right_result);

fn location() -> String {
    format!("kafka://{}", brokers::kafka())
}

#[test]
fn a_broker_that_does_not_answer_is_a_deadline() {
    let arguments = [
        "hello",
        "--location",
        "kafka://127.0.0.1:1",
        "--patience",
        "2",
        "--name",
        "nowhere",
    ];
    let ended = run(&arguments);
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("127.0.0.1:1") && ended.stderr.contains("refused"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_topic_with_another_partition_count_is_kept_and_refused() {
    let name = names::unique("partitions");
    let create = at(
        &location(),
        &["hello", "--replicas", "2", "--mode", "resource-creation-only"],
        &name,
    );
    assert_eq!(create.code, Some(0), "{}", create.stderr);
    let ended = at(&location(), &["hello", "--replicas", "3"], &name);
    assert_eq!(ended.code, Some(123), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("it has 2 partitions with 0 records in them, the pipeline wants 3"),
        "{}",
        ended.stderr
    );
    let delete = at(
        &location(),
        &["hello", "--replicas", "2", "--mode", "resource-deletion-only"],
        &name,
    );
    assert_eq!(delete.code, Some(0), "{}", delete.stderr);
}
