//! What a channel's status logs may hold.

use pypz::protocol::{Acknowledgements, End, MemberRange, MemberState, Process, Report, RunId, Side, encode};
use uuid::Uuid;

use super::Sample;
use crate::status::{layout, listener};

fn report(of: u64, members: Vec<MemberRange>) -> Report {
    let run = RunId {
        number: of,
        id: Uuid::from_u64_pair(9, of),
    };
    let process = Process {
        id: Uuid::from_u64_pair(2, of),
        host: "there".to_owned(),
        pid: 2,
    };
    Report {
        run,
        process,
        members,
        ends: vec![],
        positions: vec![],
        sources: vec![],
        received: vec![],
        acknowledged: Acknowledgements::default(),
        schema: None,
    }
}

const fn range(first: u32, last: u32, epoch: u32, state: MemberState) -> MemberRange {
    MemberRange {
        first,
        last,
        epoch,
        state,
        cause: None,
    }
}

fn line(side: Side, report: Report) -> Vec<u8> {
    let sign: &[u8] = if side == Side::Readers { b"r" } else { b"w" };
    [sign, &encode(&layout(), side, report, 12).bytes, b"\n"].concat()
}

/// What the members of a run say, all the same.
fn readers(state: MemberState) -> Vec<u8> {
    line(Side::Readers, report(1, vec![range(0, 2, 1, state)]))
}

fn writers(state: MemberState) -> Vec<u8> {
    let mut said = report(1, vec![range(0, 1, 1, state)]);
    said.ends = vec![End {
        partition: 0,
        offset: 7,
        records: 7,
    }];
    said.sources = vec![(0, "line 4".to_owned())];
    line(Side::Writers, said)
}

pub(super) fn status() -> Vec<Sample> {
    use MemberState::{Claimed, Closed, Failed, Opened, Started, Stopped};
    let run = [
        readers(Opened),
        writers(Claimed),
        b"h\nt2000\n".to_vec(),
        readers(Started),
        writers(Started),
        b"t2000\n".to_vec(),
        writers(Stopped),
        readers(Stopped),
        readers(Closed),
        b"t90000\n".to_vec(),
    ];
    let mut failed = report(1, vec![range(0, 1, 2, Failed)]);
    failed.members[0].cause = Some("\u{1b}[31mred\nforged".to_owned());
    let failure = [
        b"h\n".to_vec(),
        readers(Started),
        line(Side::Writers, failed),
        b"t5000\n".to_vec(),
    ];
    let mut ours = report(u64::MAX, vec![range(0, 1, u32::MAX, Started)]);
    ours.process = listener();
    let spoofed = [
        b"h\n".to_vec(),
        line(Side::Readers, ours.clone()),
        line(Side::Writers, ours),
        b"t5000\nt90000\n".to_vec(),
    ];
    let mut samples = malformed_status();
    for (name, lines) in [("run", &run[..]), ("failure", &failure), ("spoofed", &spoofed)] {
        samples.push((name.to_owned(), lines.concat()));
    }
    samples
}

fn malformed_status() -> Vec<Sample> {
    use MemberState::{Opened, Started};
    let replaced = |from: &str, to: &str| {
        String::from_utf8_lossy(&readers(Started))
            .replace(from, to)
            .into_bytes()
    };
    let plain = "r{\"channel_name\": \"pl.r.in\", \"channel_context_name\": \"pl.w.out\", \"channel_group_name\": null, \
                 \"channel_group_index\": 0, \"status\": \"Opened\", \"payload\": null, \"timestamp\": 1}\n";
    let overlapping = report(1, vec![range(0, 2, 1, Opened), range(1, 2, 1, Started)]);
    let named = [
        ("plain_peer", plain.as_bytes().to_vec()),
        ("unknown_field", replaced("\"status\"", "\"eighth\":1,\"status\"")),
        ("unknown_state", replaced("started", "resting")),
        ("unknown_status", replaced("HealthCheck", "Resting")),
        ("other_channel", replaced("\"pl.r.in\"", "\"pl.x.in\"")),
        (
            "members_beyond_all",
            replaced("\"last\":2", "\"last\":4294967295"),
        ),
        ("members_overlapping", line(Side::Readers, overlapping)),
        ("not_utf8", b"r\xff\xfe{}\n".to_vec()),
        ("depth", [b"r".to_vec(), vec![b'['; 8000]].concat()),
    ];
    named.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}
