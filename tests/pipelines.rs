//! The example `pipelines` as a user runs it: processes, in memory and on a real Kafka broker.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pypz_testkit::processes::{Ended, Running};

const DEADLINE: Duration = Duration::from_secs(120);

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/pipelines");
    assert!(
        built.exists(),
        "{} is not there: run the tests with `cargo test`, which builds examples",
        built.display()
    );
    built
}

fn start(arguments: &[&str]) -> Running {
    Running::start(Command::new(example()).args(arguments).env_remove("RUST_LOG"))
}

fn run(arguments: &[&str]) -> Ended {
    start(arguments).wait(DEADLINE)
}

fn read(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn expected(name: &str) -> serde_json::Value {
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/data")
            .join(name),
    )
}

/// Runs a job to an output file and compares that with what is right.
fn is_right(arguments: &[&str], right: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output.json");
    let ended = run(&[arguments, &["--output", output.to_str().unwrap()]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(read(&output), expected(right));
}

#[test]
fn flights_and_signals_are_right_in_memory() {
    is_right(&["flights"], "flights-2013-01.expected.json");
    is_right(&["flights", "--replicas", "16"], "flights-2013-01.expected.json");
    is_right(&["signals"], "co2-weekly.expected.json");
}

#[test]
fn without_a_command_the_flights_come_as_a_table() {
    let ended = run(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .lines()
            .any(|line| line.starts_with("UA") && line.contains("4637")),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_malformed_line_is_named_and_ends_the_run_or_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("bad.csv");
    let header = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,\
                  tailnum,origin,dest,air_time,distance,hour,minute,time_hour";
    std::fs::write(&input, format!("{header}\ngarbage,1\n")).unwrap();
    let input = input.to_str().unwrap();
    let ended = run(&["flights", "--input", input]);
    assert_eq!(ended.code, Some(115), "{}", ended.stderr);
    assert!(ended.stderr.contains("bad.csv:2"), "{}", ended.stderr);
    let ended = run(&["flights", "--input", input, "--skip-malformed"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("skipped 1 malformed line"),
        "{}",
        ended.stderr
    );
}

#[cfg(feature = "kafka")]
mod kafka {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;
    use pypz_testkit::{brokers, names};

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

    fn location() -> String {
        format!("kafka://{}", brokers::kafka())
    }

    fn on_kafka(arguments: &[&str], name: &str) -> Ended {
        run(&[arguments, &["--location", &location(), "--name", name]].concat())
    }

    #[test]
    fn flights_and_signals_are_right_on_kafka_with_any_number_of_replicas() {
        for replicas in ["1", "4", "16"] {
            let (location, name) = (location(), names::unique("flights"));
            let arguments = [
                "flights",
                "--replicas",
                replicas,
                "--location",
                &location,
                "--name",
                &name,
            ];
            is_right(&arguments, "flights-2013-01.expected.json");
        }
        let (location, name) = (location(), names::unique("signals"));
        is_right(
            &["signals", "--location", &location, "--name", &name],
            "co2-weekly.expected.json",
        );
    }

    /// Thirteen processes and a broker are as much as a small machine starts at a time: whoever is starved of the processor
    /// for longer than the patience is rightly taken for lost.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// The flights job as one process a replica, started in an order of its own.
    struct Processes {
        name: String,
        output: PathBuf,
        rate: &'static str,
        _folder: tempfile::TempDir,
        _alone: MutexGuard<'static, ()>,
    }

    impl Processes {
        fn new(rate: &'static str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                name: names::unique("parts"),
                output: folder.path().join("output.json"),
                rate,
                _folder: folder,
                _alone: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
            }
        }

        fn start(&self, part: &str) -> Running {
            let (location, output) = (location(), self.output.to_str().unwrap());
            start(&[
                "flights",
                "--location",
                &location,
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
                "--patience",
                "8",
            ])
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

    #[test]
    fn thirteen_processes_in_any_start_order_make_the_right_result() {
        let rounds = std::env::var("PYPZ_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
        for _ in 0..rounds {
            let processes = Processes::new("1000000");
            all_end(processes.start_all(), 0);
            assert_eq!(
                read(&processes.output),
                expected("flights-2013-01.expected.json"),
                "{}",
                processes.name
            );
        }
    }

    #[test]
    fn a_killed_source_fails_every_reader_by_name() {
        let processes = Processes::new("5000");
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
    fn kill_and_restart(part: &str, in_the_middle: &str) -> (serde_json::Value, String) {
        let processes = Processes::new("5000");
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

    #[test]
    fn a_killed_and_restarted_aggregation_leaves_the_result_right() {
        let (result, name) = kill_and_restart("carriers@1", "clean@0");
        assert_eq!(result, expected("flights-2013-01.expected.json"), "{name}");
    }

    #[test]
    fn of_a_killed_and_restarted_cleaner_no_flight_is_missing() {
        let (result, name) = kill_and_restart("clean@1", "clean@1");
        let carriers = result["carriers"].as_array().unwrap();
        let flights: u64 = carriers
            .iter()
            .map(|carrier| carrier["flights"].as_u64().unwrap())
            .sum();
        assert!(flights >= 27_004, "{name}: {flights} of 27004 flights");
    }

    #[test]
    fn fanout_loses_and_doubles_nothing() {
        let ended = on_kafka(
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
        let create = on_kafka(
            &["hello", "--replicas", "2", "--mode", "resource-creation-only"],
            &name,
        );
        assert_eq!(create.code, Some(0), "{}", create.stderr);
        let ended = on_kafka(&["hello", "--replicas", "3"], &name);
        assert_eq!(ended.code, Some(123), "{}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("it has 2 partitions with 0 records in them, the pipeline wants 3"),
            "{}",
            ended.stderr
        );
        let delete = on_kafka(
            &["hello", "--replicas", "2", "--mode", "resource-deletion-only"],
            &name,
        );
        assert_eq!(delete.code, Some(0), "{}", delete.stderr);
    }

    #[test]
    fn of_two_processes_of_one_replica_one_is_refused_by_name() {
        let (location, name) = (location(), names::unique("twins"));
        let arguments = [
            "hello",
            "--location",
            &location,
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

    #[test]
    fn sigterm_drains_and_the_next_start_goes_on() {
        let (location, name) = (location(), names::unique("sigterm"));
        let arguments = [
            "flights",
            "--location",
            &location,
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
        let again = on_kafka(&["flights"], &name);
        assert_eq!(again.code, Some(0), "{}", again.stderr);
    }
}
