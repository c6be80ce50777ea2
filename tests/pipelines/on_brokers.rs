//! What holds on every broker, each case with the location it is run at.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pypz_testkit::names;
use pypz_testkit::processes::{Ended, Running};

use crate::{DEADLINE, expected, is_right, read, run, start};

/// Makes a test of each case for the broker at a location.
macro_rules! on_the_broker {
    ($location:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            crate::on_brokers::$case(&$location);
        })*
    };
}

/// The cases.
macro_rules! every_case {
    ($location:expr) => {
        crate::on_brokers::on_the_broker!($location;
            flights_and_signals_are_right_with_any_number_of_replicas
            thirteen_processes_in_any_start_order_make_the_right_result
            a_killed_source_fails_every_reader_by_name
            a_killed_and_restarted_aggregation_leaves_the_result_right
            of_a_killed_and_restarted_cleaner_no_flight_is_missing
            fanout_loses_and_doubles_nothing
            of_two_processes_of_one_replica_one_is_refused_by_name
            sigterm_drains_and_the_next_start_goes_on
        );
    };
}

pub(crate) use {every_case, on_the_broker};

const PARTS: [&str; 13] = [
    "source",
    "clean@0",
    "clean@1",
    "clean@2",
    "clean@3",
    "carriers@0",
    "carriers@1",
    "carriers@2",
    "carriers@3",
    "airports@0",
    "airports@1",
    "airports@2",
    "report",
];

pub(crate) fn at(location: &str, arguments: &[&str], name: &str) -> Ended {
    run(&[arguments, &["--location", location, "--name", name]].concat())
}

/// Thirteen processes and a broker are as much as a small machine starts at a time: whoever is starved of the processor
/// for longer than the patience is rightly taken for lost.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The flights job as one process a replica, started in an order of its own.
struct Processes {
    location: String,
    name: String,
    output: PathBuf,
    rate: &'static str,
    /// Further options of every process.
    options: &'static [&'static str],
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Processes {
    fn new(location: &str, rate: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            location: location.to_owned(),
            name: names::unique("parts"),
            output: folder.path().join("output.json"),
            rate,
            options: &["--patience", "8"],
            _folder: folder,
            _alone: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn start(&self, part: &str) -> Running {
        let output = self.output.to_str().unwrap();
        let job = [
            "flights",
            "--location",
            &self.location,
            "--name",
            &self.name,
            "--replicas",
            "4",
            "--only",
            part,
            "--output",
            output,
            "--rate",
            self.rate,
        ];
        start(&[&job, self.options].concat())
    }

    /// A number that follows from the name, which is in every message of a failure.
    fn chance(&self, turn: u64) -> u64 {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mixed = self
            .name
            .bytes()
            .chain(turn.to_be_bytes())
            .fold(0xcbf2_9ce4_8422_2325, hash);
        mixed ^ (mixed >> 29)
    }

    fn start_all(&self) -> Vec<(&'static str, Running)> {
        let mut parts = PARTS;
        // The random part of the name decides the order, and the name is in every message of a failure.
        parts.sort_by_key(|part| {
            self.name
                .bytes()
                .rev()
                .zip(part.bytes().cycle())
                .fold(7_u32, |hash, (a, b)| {
                    hash.wrapping_mul(31).wrapping_add(u32::from(a) * u32::from(b))
                })
        });
        parts.into_iter().map(|part| (part, self.start(part))).collect()
    }
}

/// Waits until the run is in the middle.
fn wait_for_records(running: &mut [(&'static str, Running)], part: &str) {
    let (_, process) = running.iter_mut().find(|(of, _)| *of == part).unwrap();
    process.wait_for_line(DEADLINE, |line| {
        line.starts_with("flights: ") && !line.starts_with("flights: 0 sent, 0 received")
    });
}

fn all_end(running: Vec<(&'static str, Running)>, code: i32) -> Vec<(&'static str, Ended)> {
    let ended: Vec<_> = running
        .into_iter()
        .map(|(part, process)| (part, process.wait(DEADLINE)))
        .collect();
    for (part, ended) in &ended {
        assert_eq!(ended.code, Some(code), "{part}:\n{}", ended.stderr);
    }
    ended
}

pub(crate) fn flights_and_signals_are_right_with_any_number_of_replicas(location: &str) {
    for replicas in ["1", "4", "16"] {
        let name = names::unique("flights");
        let arguments = [
            "flights",
            "--replicas",
            replicas,
            "--location",
            location,
            "--name",
            &name,
        ];
        is_right(&arguments, "flights-2013-01.expected.json");
    }
    let name = names::unique("signals");
    is_right(
        &["signals", "--location", location, "--name", &name],
        "co2-weekly.expected.json",
    );
}

pub(crate) fn thirteen_processes_in_any_start_order_make_the_right_result(location: &str) {
    let rounds = std::env::var("PYPZ_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        let processes = Processes::new(location, "1000000");
        all_end(processes.start_all(), 0);
        assert_eq!(
            read(&processes.output),
            expected("flights-2013-01.expected.json"),
            "{}",
            processes.name
        );
    }
}

/// Where there are transactions: whoever is killed, the source too, nothing is missing and nothing counts twice. The pace is
/// such that nobody has finished when the last one is killed.
pub(crate) fn thirteen_processes_that_are_killed_at_random_make_the_right_result(location: &str) {
    const KILLS: u64 = 10;
    let rounds = std::env::var("PYPZ_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        let processes = Processes {
            options: &["--patience", "30", "--exactly-once"],
            ..Processes::new(location, "3000")
        };
        let mut running = processes.start_all();
        for turn in 0..KILLS {
            std::thread::park_timeout(Duration::from_millis(300 + processes.chance(turn) % 400));
            let victim = usize::try_from(processes.chance(KILLS + turn)).unwrap() % running.len();
            let (part, process) = &mut running[victim];
            if process.is_running() {
                process.kill();
                *process = processes.start(part);
            }
        }
        all_end(running, 0);
        assert_eq!(
            read(&processes.output),
            expected("flights-2013-01.expected.json"),
            "{}",
            processes.name
        );
    }
}

pub(crate) fn a_killed_source_fails_every_reader_by_name(location: &str) {
    let processes = Processes::new(location, "5000");
    let mut running = processes.start_all();
    wait_for_records(&mut running, "source");
    running.retain_mut(|(part, process)| {
        if *part == "source" {
            process.kill();
        }
        *part != "source"
    });
    for (part, ended) in all_end(running, 120) {
        assert!(
            ended.stderr.contains(".source.lines was lost"),
            "{part} does not name it:\n{}",
            ended.stderr
        );
    }
}

/// Kills a part in the middle of the run and starts it again at once; everybody ends well, the part by its second
/// incarnation.
fn kill_and_restart(location: &str, part: &str, in_the_middle: &str) -> (serde_json::Value, String) {
    let processes = Processes::new(location, "5000");
    let mut running = processes.start_all();
    wait_for_records(&mut running, in_the_middle);
    for (of, process) in &mut running {
        if *of == part {
            process.kill();
            *process = processes.start(part);
        }
    }
    all_end(running, 0);
    (read(&processes.output), processes.name.clone())
}

pub(crate) fn a_killed_and_restarted_aggregation_leaves_the_result_right(location: &str) {
    let (result, name) = kill_and_restart(location, "carriers@1", "clean@0");
    assert_eq!(result, expected("flights-2013-01.expected.json"), "{name}");
}

pub(crate) fn of_a_killed_and_restarted_cleaner_no_flight_is_missing(location: &str) {
    let (result, name) = kill_and_restart(location, "clean@1", "clean@1");
    let carriers = result["carriers"].as_array().unwrap();
    let flights: u64 = carriers
        .iter()
        .map(|carrier| carrier["flights"].as_u64().unwrap())
        .sum();
    assert!(flights >= 27_004, "{name}: {flights} of 27004 flights");
}

pub(crate) fn fanout_loses_and_doubles_nothing(location: &str) {
    let ended = at(
        location,
        &[
            "fanout",
            "--replicas",
            "4",
            "--records",
            "200000",
            "--record-bytes",
            "100",
            "--json",
        ],
        &names::unique("fanout"),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let line: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&line["sent"], &line["received"]),
        (&200_000.into(), &200_000.into())
    );
}

pub(crate) fn of_two_processes_of_one_replica_one_is_refused_by_name(location: &str) {
    let name = names::unique("twins");
    let arguments = [
        "hello",
        "--location",
        location,
        "--name",
        &name,
        "--only",
        "reader",
        "--patience",
        "6",
    ];
    let twins = [start(&arguments), start(&arguments)];
    let ended = twins.map(|twin| twin.wait(DEADLINE));
    let mut codes = ended.clone().map(|ended| ended.code);
    codes.sort_unstable();
    // The other one goes on, and waits for its writer until the patience is over.
    assert_eq!(codes, [Some(122), Some(124)], "{ended:?}");
    assert!(
        ended.iter().any(|ended| ended.stderr.contains("is run by host")),
        "{ended:?}"
    );
}

pub(crate) fn sigterm_drains_and_the_next_start_goes_on(location: &str) {
    let name = names::unique("sigterm");
    let arguments = [
        "flights",
        "--location",
        location,
        "--name",
        &name,
        "--rate",
        "5000",
    ];
    let mut running = [("all", start(&arguments))];
    wait_for_records(&mut running, "all");
    running[0].1.terminate();
    let [(_, running)] = running;
    let ended = running.wait(DEADLINE);
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    let again = at(location, &["flights"], &name);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}
