//! Whoever may write to a channel's status can say anything. It reaches no log and no error as it is.

use std::sync::Arc;
use std::time::Duration;

use pypz::channel::{StatusEvent, StatusLog, transport_for};
use pypz::protocol::{Side, StatusRecord};
use pypz_testkit::{bare, brokers, names};
use serde_json::{Value, json};

use crate::run;

/// Colours, an end of line with a forged log line behind it, and what ends a text in C.
const HOSTILE: &str = "\u{1b}[31mred\u{9b}2J\r\nFORGED everything is fine\0\u{202e}";

/// Waits for the run that the reader opens.
async fn open_run(log: &mut dyn StatusLog) -> Value {
    loop {
        if let StatusEvent::Record(record) = log.next().await.unwrap()
            && let Ok(message) = serde_json::from_slice::<Value>(&record.bytes)
            && !message["payload"]["pypz"]["run"].is_null()
        {
            return message["payload"]["pypz"]["run"].clone();
        }
    }
}

/// What a hostile peer says: nothing that is heard, and then that the writer failed.
fn words(name: &str, run: &Value) -> Vec<Vec<u8>> {
    let message = |payload: Value| {
        json!({
            "channel_name": format!("{name}.reader.input"),
            "channel_context_name": HOSTILE,
            "channel_group_name": null,
            "channel_group_index": 0,
            "status": HOSTILE,
            "payload": payload,
            "timestamp": 0,
        })
    };
    let report = |state: &str, cause: Value| {
        let process = json!({"id": "0192aaaa-0000-7000-8000-000000000001", "host": HOSTILE, "pid": 7});
        let member = json!({"first": 0, "last": 0, "epoch": 1, "state": state, "cause": cause});
        let mut report = message(json!({"pypz": {"run": run, "process": process, "members": [member]}}));
        report["status"] = json!("HealthCheck");
        report.to_string()
    };
    let mut unknown = message(json!({}));
    unknown[HOSTILE] = json!(1);
    vec![
        HOSTILE.as_bytes().to_vec(),
        b"\xff\xfe{\x1b[31m".to_vec(),
        unknown.to_string().into_bytes(),
        message(json!({"pypz": HOSTILE})).to_string().into_bytes(),
        report("claimed", Value::Null).into_bytes(),
        report("opened", Value::Null).into_bytes(),
        report("failed", json!(HOSTILE)).into_bytes(),
    ]
}

async fn a_hostile_peer_is_quoted(location: &str) {
    let name = names::unique("hostile");
    let (own, at) = (name.clone(), location.to_owned());
    let reader = std::thread::spawn(move || {
        let arguments = ["hello", "--only", "reader", "--replicas", "1", "--patience", "20"];
        let place = ["--location", &at, "--name", &own];
        run(&[&arguments[..], &place].concat(), Some("trace,lapin=debug"), &[])
    });
    let (output, input) = (format!("{name}.writer.output"), format!("{name}.reader.input"));
    let spec = Arc::new(bare::channel(&output, &input, location));
    let transport = transport_for(&spec.location).unwrap();
    let channels = [Arc::clone(&spec)];
    let connection = transport
        .connect(&channels, Duration::from_secs(60))
        .await
        .unwrap();
    let mut log = connection.status(&spec).await.unwrap().unwrap();
    let opened = tokio::time::timeout(Duration::from_secs(30), open_run(&mut *log)).await;
    for bytes in words(&name, &opened.expect("the reader opens a run")) {
        let side = Side::Writers;
        log.publish(StatusRecord { side, bytes }).unwrap();
    }
    // Publishing does not wait: the log stays open until the reader has heard it.
    let ended = tokio::task::spawn_blocking(move || reader.join().unwrap())
        .await
        .unwrap();
    connection.close().await;
    assert_eq!(ended.code, Some(120), "{:?}", ended.said);
    let raw = ended
        .said
        .chars()
        .find(|c| (c.is_control() && *c != '\n' && *c != '\t') || *c == '\u{202e}');
    assert_eq!(raw, None, "{:?}", ended.said);
    let forged = ended.said.lines().find(|line| line.starts_with("FORGED"));
    assert_eq!(forged, None);
    let quoted = r"\u{1b}[31mred\u{9b}2J\r\nFORGED everything is fine\0\u{202e}";
    assert!(ended.said.contains(quoted), "{}", ended.said);
    assert!(ended.said.contains("status message not heard"), "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_what_a_hostile_peer_says_is_escaped_in_logs_and_errors() {
    a_hostile_peer_is_quoted(&format!("kafka://{}", brokers::kafka())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_rabbitmq_what_a_hostile_peer_says_is_escaped_in_logs_and_errors() {
    a_hostile_peer_is_quoted(&brokers::rabbitmq()).await;
}
