//! Whoever is killed or drained and comes back goes on: nothing is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::super::forms;
use super::super::ids::{self, Ids};
use super::super::setup::{How, Setup};
use super::super::site::Site;
use super::super::stage::{Execution, PartProcess, Stage};

/// Several processes and a broker are as much as a small machine runs at a time: whoever is starved of the processor for
/// longer than the patience is rightly taken for lost.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// How many records the writer sends in all.
const COUNT: u64 = 600;

/// Before which record it waits for the gate.
const HELD_AT: u64 = 300;

/// How many records have arrived when somebody is killed; more are on their way then.
const IN_THE_MIDDLE: usize = 100;

/// The parts, each a process of its own.
const PARTS: [&str; 3] = ["source", "sink@0", "sink@1"];

/// A pipeline whose parts are processes, in the middle of its run.
struct Middle {
    stage: Stage,
    processes: Vec<(&'static str, PartProcess)>,
    _alone: MutexGuard<'static, ()>,
}

fn stage(site: &Site, stem: &str, change: impl FnOnce(&mut Setup)) -> Stage {
    Stage::new(site, stem, |setup| {
        (setup.readers, setup.count, setup.hold_at) = (2, COUNT, Some(HELD_AT));
        setup.pause = Duration::from_millis(10);
        change(setup);
    })
}

/// The same, with a sink that stalls before long with records in hand: they are retrieved and not processed.
fn stalling(stage: &Stage) -> Setup {
    Setup {
        stall_at: Some(20),
        ..stage.setup.clone()
    }
}

impl Middle {
    async fn of(site: &Site, stem: &str, how: How, stalls: Option<&str>) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let stage = stage(site, stem, |setup| setup.how = how);
        let start = |part| match stalls == Some(part) {
            true => stage.process_of(stalling(&stage), &[part]),
            false => stage.process(&[part]),
        };
        let processes = PARTS.map(|part| (part, start(part))).into();
        match stalls {
            Some(part) => stage.until_stalled(part).await,
            None => stage.until_arrived("sink", IN_THE_MIDDLE).await,
        }
        Self {
            stage,
            processes,
            _alone: alone,
        }
    }

    /// Kills a part and starts it again, lets the writer go on; everybody ends well.
    async fn ends_without(mut self, part: &str) -> Stage {
        for (of, process) in &mut self.processes {
            if *of == part {
                process.kill();
                *process = self.stage.process(&[part]);
            }
        }
        self.ends().await
    }

    async fn ends(self) -> Stage {
        self.stage.open("go");
        for (_, process) in self.processes {
            process.ends(0).await;
        }
        self.stage
    }
}

/// Proves: a source that is killed and started again within the patience sends everything again, and its readers end after
/// that.
pub async fn a_writer_that_is_killed_and_comes_back_leaves_nothing_missing(site: &Site) {
    let middle = Middle::of(site, "writer", How::InTurn, None).await;
    let stage = middle.ends_without("source").await;
    stage.ledger().at_least_once("sink", &["source@0"], COUNT);
}

async fn a_reader_comes_back(site: &Site, part: &str) {
    let middle = Middle::of(site, "reader", How::InTurn, Some(part)).await;
    let stage = middle.ends_without(part).await;
    stage.ledger().at_least_once("sink", &["source@0"], COUNT);
}

/// Proves: a replica that is killed and started again reads from its committed position on: what it had retrieved and not
/// processed is retrieved again.
pub async fn a_replica_that_is_killed_and_comes_back_leaves_nothing_missing(site: &Site) {
    a_reader_comes_back(site, "sink@1").await;
}

/// Proves: of a replica that stands still and is replaced, as by a host that the network lost, nothing is missing either: the
/// broker keeps for it what it has in hand, and the run does not end before that has come back.
pub async fn a_replica_that_is_frozen_and_replaced_leaves_nothing_missing(site: &Site) {
    let mut middle = Middle::of(site, "frozen", How::InTurn, Some("sink@1")).await;
    let (_, frozen) = middle
        .processes
        .pop()
        .unwrap_or_else(|| panic!("sink@1 is the last"));
    frozen.freeze(true);
    let replacement = middle.stage.process(&["sink@1"]);
    middle.processes.push(("sink@1", replacement));
    let stage = middle.ends().await;
    stage.ledger().at_least_once("sink", &["source@0"], COUNT);
}

/// Proves: a principal that is killed and started again goes on with its run from its committed position, and closes it.
pub async fn a_principal_that_is_killed_and_comes_back_leaves_nothing_missing(site: &Site) {
    a_reader_comes_back(site, "sink@0").await;
}

/// Proves: each replica of a broadcast has a position of its own, from which it goes on; the other one gets nothing twice.
pub async fn a_broadcast_replica_that_is_killed_and_comes_back_misses_nothing(site: &Site) {
    let middle = Middle::of(site, "everyone", How::ToAll, Some("sink@1")).await;
    let stage = middle.ends_without("sink@1").await;
    let ledger = stage.ledger();
    ledger.exactly_once("sink@0", &["source@0"], COUNT);
    ledger.at_least_once("sink@1", &["source@0"], COUNT);
}

/// Proves: a pipeline of which every part is killed at once goes on where it was started again.
pub async fn a_pipeline_that_is_killed_as_a_whole_goes_on(site: &Site) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let stage = stage(site, "whole", |_| {});
    let mut all = stage.process_of(stalling(&stage), &[]);
    for sink in ["sink@0", "sink@1"] {
        stage.until_stalled(sink).await;
    }
    all.kill();
    stage.open("go");
    stage.process(&[]).ends(0).await;
    stage.ledger().at_least_once("sink", &["source@0"], COUNT);
}

/// Proves: parts that are drained in the middle end with exit 143 and keep everything; started again they go on.
pub async fn a_drained_pipeline_goes_on(site: &Site) {
    let stage = stage(site, "drained", |_| {});
    let running = PARTS.map(|part| stage.run_only(&[part]));
    stage.until_arrived("sink", IN_THE_MIDDLE).await;
    for execution in &running {
        execution.drain();
    }
    for execution in running {
        execution.ends(143).await;
    }
    stage.open("go");
    for execution in PARTS.map(|part| stage.run_only(&[part])) {
        execution.ends(0).await;
    }
    stage.ledger().at_least_once("sink", &["source@0"], COUNT);
}

/// Proves: SIGTERM drains one process; the others wait for it to come back, and nothing is missing then.
pub async fn a_process_that_is_told_to_end_drains_and_comes_back(site: &Site) {
    let mut middle = Middle::of(site, "sigterm", How::InTurn, None).await;
    let (_, sink) = middle.processes.remove(2);
    sink.terminate();
    sink.ends(143).await;
    let again = middle.stage.process(&["sink@1"]);
    middle.processes.push(("sink@1", again));
    let stage = middle.ends().await;
    stage.ledger().at_least_once("sink", &["source@0"], COUNT);
}

/// Proves: what an unfinished run left unread is given up by a fresh start and by nobody else.
pub async fn a_fresh_start_gives_up_what_was_unread(site: &Site) {
    let unfinished = Stage::new(site, "fresh", |setup| {
        (setup.sink_waits, setup.hold_at) = (true, Some(50));
    });
    let run = unfinished.run();
    unfinished
        .until("50 records were sent", |stage| stage.sent("source@0") == Some(50))
        .await;
    run.drain();
    // The reader is not asked for records any more, so it does not wait.
    unfinished.open("read");
    run.ends(143).await;
    let before = unfinished.ledger().count("sink");
    unfinished.clean_up().await;
    assert_eq!(
        unfinished.ledger().count("sink"),
        before,
        "nothing of the old run is read"
    );
    let anew = Stage::new(site, "fresh", |setup| {
        setup.name.clone_from(&unfinished.setup.name);
    });
    anew.run().ends(0).await;
    anew.ledger().exactly_once("sink", &["source@0"], 100);
}

/// Proves: a record has an id that no other has, and the same one when it comes again; so whoever writes to somewhere else can leave
/// out what it has written.
pub async fn a_record_that_comes_again_has_its_id_again(site: &Site) {
    let stage = Stage::new(site, "ids", |_| {});
    let pipeline = |fails_at: Option<usize>| {
        let mut pipeline = stage.setup.empty();
        let source = stage.setup.source(&mut pipeline, "source");
        let sink = pipeline
            .operator::<Ids>("sink")
            .folder(stage.folder().to_owned())
            .fails_at(fails_at);
        pipeline.connect(source.output(), sink.input());
        pipeline
    };
    Execution::start(pipeline(Some(60)), "the first half".to_owned(), None)
        .ends(115)
        .await;
    Execution::start(pipeline(None), "all of it".to_owned(), None)
        .ends(0)
        .await;
    let mut ids: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let noted = ids::noted(stage.folder());
    for (number, id) in &noted {
        assert!(!id.is_empty(), "record {number} has no id");
        ids.entry(*number).or_default().insert(id.clone());
    }
    assert!(
        noted.len() >= 160,
        "only {} records were noted, none came again",
        noted.len()
    );
    let all: BTreeSet<&String> = ids.values().flatten().collect();
    assert!(
        ids.values().all(|ids| ids.len() == 1),
        "a record has two ids: {ids:?}"
    );
    assert_eq!(
        (ids.len(), all.len()),
        (100, 100),
        "two records have one id: {ids:?}"
    );
}

/// Proves: a build whose records cannot be read as those of the run, or the other way round, is refused before it reads or writes
/// any, with the field; one whose records can be goes on with the run, and nothing is missing.
pub async fn a_run_goes_on_with_another_schema_if_the_records_can_be_read(site: &Site) {
    let stage = Stage::new(site, "schema", |_| {});
    macro_rules! run {
        ($build:ident, $fails:expr) => {{
            let mut pipeline = stage.setup.empty();
            let source = pipeline.operator::<forms::$build::Source>("source");
            let sink = pipeline
                .operator::<forms::$build::Sink>("sink")
                .folder(stage.folder().to_owned())
                .fails($fails);
            pipeline.connect(source.output(), sink.input());
            Execution::start(pipeline, stringify!($build).to_owned(), None)
        }};
    }
    run!(first, true).ends(115).await;
    let words = run!(other, false).ends(123).await;
    assert!(
        words.contains("Item is not to be read as Item: field `number`: int is no string"),
        "{words}"
    );
    assert_eq!(forms::noted(stage.folder()), Vec::<String>::new());
    run!(longer, false).ends(0).await;
    let noted: BTreeSet<String> = forms::noted(stage.folder()).into_iter().collect();
    let expected = (0..forms::COUNT).map(|number| format!("{number} none"));
    assert_eq!(noted, expected.collect());
}
