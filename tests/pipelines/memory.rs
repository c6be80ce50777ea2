//! What holds in memory, and whatever the transport.

use crate::{is_right, run};

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
