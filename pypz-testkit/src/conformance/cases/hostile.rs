//! Status that no member said.

use std::sync::Arc;

use pypz::channel::{ChannelSpec, StatusEvent};
use pypz::protocol::{
    Acknowledgements, End, Layout, MemberRange, MemberState, Process, Report, RunId, Side, StatusRecord,
    decode, encode,
};

use super::super::site::Site;
use super::super::stage::{DEADLINE, Stage};
use crate::bare;

/// A report that somebody forged.
fn forged(run: u64, last: u32, state: MemberState) -> Report {
    Report {
        run: RunId::new(run),
        process: Process::current(),
        members: vec![MemberRange {
            first: 0,
            last,
            epoch: u32::MAX,
            state,
            cause: (state == MemberState::Failed).then(|| "\u{1b}[31mnobody said this".to_owned()),
        }],
        ends: vec![End {
            partition: 0,
            offset: u64::MAX,
            records: u64::MAX,
        }],
        positions: vec![(0, u64::MAX), (u32::MAX, 1)],
        sources: vec![(0, "nowhere".to_owned()), (u32::MAX, String::new())],
        received: vec![(0, u64::MAX, 0), (u32::MAX, 1, 1)],
        acknowledged: Acknowledgements::default(),
        schema: Some("not a schema".into()),
    }
}

/// Messages that cannot be read: broken, of another channel, of a peer of another kind, of members that nobody expects.
fn unreadable(layout: &Layout, side: Side) -> Vec<Vec<u8>> {
    let channel = &*layout.channel;
    let plain = format!(
        r#"{{"channel_name": "{channel}", "channel_context_name": "nobody", "channel_group_name": null,
        "channel_group_index": 0, "status": "Closed", "payload": null, "timestamp": 1795226957066}}"#
    );
    let too_many = encode(layout, side, forged(1, u32::MAX, MemberState::Stopped), 0).bytes;
    let report = encode(layout, side, forged(1, 0, MemberState::Failed), 0).bytes;
    let report = String::from_utf8_lossy(&report);
    vec![
        Vec::new(),
        vec![0xff, 0xfe, 0x00],
        vec![b'['; 100_000],
        vec![b' '; 500_000],
        b"{\"channel_name\": null}".to_vec(),
        plain.replace(channel, "another.channel").into_bytes(),
        plain.into_bytes(),
        too_many,
        report.replacen('{', "{\"eighth\": 8,", 1).into_bytes(),
        report.replace("\"failed\"", "\"enchanted\"").into_bytes(),
        report.as_bytes()[..report.len() / 2].to_vec(),
    ]
}

/// Messages that can be read and say nothing about this run: they are of one before it.
fn of_another_run(layout: &Layout, side: Side) -> Vec<Vec<u8>> {
    [
        MemberState::Started,
        MemberState::Failed,
        MemberState::Stopped,
        MemberState::Closed,
    ]
    .map(|state| encode(layout, side, forged(0, 0, state), 0).bytes)
    .into()
}

/// All of them, on a side.
fn messages(layout: &Layout, side: Side) -> Vec<Vec<u8>> {
    let (unreadable, older) = (unreadable(layout, side), of_another_run(layout, side));
    for bytes in &unreadable {
        let read = decode(layout, side, bytes);
        assert!(read.is_err(), "{} can be read", String::from_utf8_lossy(bytes));
    }
    for bytes in &older {
        let read = decode(layout, side, bytes);
        assert!(read.is_ok(), "{}: {read:?}", String::from_utf8_lossy(bytes));
    }
    [unreadable, older].concat()
}

/// Says all messages on both sides and waits until they stand in the log.
async fn say(channel: &Arc<ChannelSpec>) {
    let connection = bare::connect(channel).await;
    let log = connection.status(channel).await;
    let mut log = log
        .unwrap_or_else(|error| panic!("no status log: {error}"))
        .unwrap_or_else(|| panic!("a durable transport has a status log"));
    let mut said = Vec::new();
    for side in [Side::Readers, Side::Writers] {
        for bytes in messages(&channel.layout, side) {
            let record = StatusRecord { side, bytes };
            log.publish(record.clone())
                .unwrap_or_else(|error| panic!("not published: {error}"));
            said.push(record);
        }
    }
    let heard = async {
        while !said.is_empty() {
            match log.next().await {
                Ok(StatusEvent::Record(record)) => said.retain(|said| *said != record),
                Ok(StatusEvent::HistoryRead) => {}
                Err(error) => panic!("the log ended: {error}"),
            }
        }
    };
    if tokio::time::timeout(DEADLINE, heard).await.is_err() {
        let lengths: Vec<_> = said.iter().map(|said| (said.side, said.bytes.len())).collect();
        panic!("these messages did not come back from the status log: {lengths:?}");
    }
    connection.close().await;
}

/// Proves: a status message is bounded and never trusted: a run goes on and ends well, whatever stands between the reports of
/// its members.
pub async fn status_that_nobody_can_mean_is_not_heard(site: &Site) {
    let stage = Stage::new(site, "hostile", |setup| setup.hold_at = Some(50));
    let sink = stage.run_only(&["sink"]);
    let source = stage.run_only(&["source"]);
    stage.until_arrived("sink", 50).await;
    say(&Arc::new(stage.channel())).await;
    stage.open("go");
    source.ends(0).await;
    sink.ends(0).await;
    stage.ledger().exactly_once("sink", &["source@0"], 100);
}
