//! What holds on RabbitMQ.

use pypz_testkit::{brokers, names};

use crate::on_brokers::{at, every_case};
use crate::run;

every_case!(location());

fn location() -> String {
    brokers::rabbitmq()
}

#[test]
fn a_broker_that_does_not_answer_is_a_deadline() {
    let location = "amqp://user:secret@127.0.0.1:1/";
    let ended = run(&[
        "hello",
        "--location",
        location,
        "--patience",
        "2",
        "--name",
        "nowhere",
    ]);
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("127.0.0.1:1") && ended.stderr.contains("refused"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_wrong_password_is_said_at_once_and_not_repeated() {
    let location = location().replacen(":guest@", ":wrong-one@", 1);
    let ended = at(
        &location,
        &["hello", "--patience", "20"],
        &names::unique("password"),
    );
    assert_eq!(ended.code, Some(125), "{}", ended.stderr);
    assert!(ended.stderr.contains("ACCESS_REFUSED"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("wrong-one"), "{}", ended.stderr);
}

#[test]
fn queues_of_another_number_of_replicas_are_kept_and_refused() {
    let name = names::unique("layout");
    let fanout = |replicas, mode| {
        let arguments = [
            "fanout",
            "--partitioning",
            "key",
            "--replicas",
            replicas,
            "--mode",
            mode,
        ];
        at(&location(), &arguments, &name)
    };
    let created = fanout("4", "resource-creation-only");
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    let ended = fanout("3", "standard");
    assert_eq!(ended.code, Some(123), "{}", ended.stderr);
    let what = format!(
        "queue {name}.sink.input-3: it is there with 0 messages in it, but the pipeline has 3 queues"
    );
    assert!(ended.stderr.contains(&what), "{}", ended.stderr);
    let ended = fanout("5", "standard");
    assert_eq!(ended.code, Some(123), "{}", ended.stderr);
    let what = format!("queue {name}.sink.input-4: it is not there, but the pipeline has 5 queues");
    assert!(ended.stderr.contains(&what), "{}", ended.stderr);
    let deleted = fanout("4", "resource-deletion-only");
    assert_eq!(deleted.code, Some(0), "{}", deleted.stderr);
}
