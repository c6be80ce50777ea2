//! The protocol's machine: how fast it takes reports, and how it starts on a long history.

#![allow(missing_docs, clippy::unwrap_used, reason = "a program")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pypz::protocol::{
    Acknowledgements, Layout, Machine, MemberRange, MemberState, Process, Report, RunId, RunPolicy, Side,
    Timing,
};
use uuid::Uuid;

const PEERS: u32 = 1_000;

fn layout() -> Arc<Layout> {
    let names = |port: &str, count: u32| (0..count).map(|n| format!("pl.{port}_{n}.{port}")).collect();
    Arc::new(Layout {
        channel: "pl.in.in".into(),
        readers: names("in", PEERS),
        writers: names("out", PEERS),
        foreign: BTreeSet::new(),
        principals: (0..PEERS).collect(),
    })
}

fn process(number: u64) -> Process {
    Process {
        id: Uuid::from_u64_pair(1, number),
        host: "host".to_owned(),
        pid: 7,
    }
}

/// What one writer, in a process of its own, says in a run.
fn report(run: u64, writer: u32) -> Report {
    let members = vec![MemberRange {
        first: writer,
        last: writer,
        epoch: 1,
        state: MemberState::Started,
        cause: None,
    }];
    Report {
        run: RunId {
            number: run,
            id: Uuid::from_u64_pair(2, run),
        },
        process: process(u64::from(writer)),
        members,
        ends: Vec::new(),
        positions: Vec::new(),
        sources: Vec::new(),
        received: Vec::new(),
        acknowledged: Acknowledgements::default(),
        schema: None,
    }
}

fn machine(layout: &Arc<Layout>) -> Machine {
    let timing = Timing {
        heartbeat: Duration::from_secs(2),
        patience: Duration::from_secs(60),
        challenge: Duration::from_millis(2_500),
    };
    Machine::new(Arc::clone(layout), process(u64::MAX), timing, RunPolicy::Resume)
}

fn protocol(criterion: &mut Criterion) {
    let layout = layout();
    let reports: Vec<Report> = (0..PEERS).map(|writer| report(1, writer)).collect();
    let mut group = criterion.benchmark_group("protocol");
    group.throughput(Throughput::Elements(u64::from(PEERS)));
    group.bench_function("reports of 1,000 peers", |bencher| {
        let mut machine = machine(&layout);
        bencher.iter(|| {
            for report in &reports {
                machine.on_report(Side::Writers, report);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, protocol);
criterion_main!(benches);
