//! Ten thousand inputs a target, mutated from its corpus: `PYPZ_FUZZ_SEED` replays a seed, `PYPZ_FUZZ_INPUTS` tries more,
//! `PYPZ_FUZZ_WRITE=1` writes the samples into the corpora.

#![cfg(test)]

use pypz_fuzz::{Mutator, TARGETS, corpus, drive, samples, write_samples};

/// The most that the process may grow to for all targets together, in KiB (64 MiB).
const MOST: u64 = 64 << 10;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The most memory of this process until now, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Nothing breaks, some inputs mean something, others are refused, and what they take is bounded.
fn try_inputs(target: &str) {
    let (seed, inputs) = (
        setting("PYPZ_FUZZ_SEED").unwrap_or(1),
        setting("PYPZ_FUZZ_INPUTS").unwrap_or(10_000),
    );
    let before = peak();
    let accepted = drive(target, seed, inputs);
    let grown = peak() - before;
    println!("{target}: {accepted} of {inputs} accepted, peak {before} + {grown} KiB");
    assert!(
        accepted * 1000 > inputs,
        "only {accepted} of {inputs} were accepted"
    );
    assert!(accepted < inputs, "none was refused");
    assert!(grown < MOST, "{grown} KiB were taken");
}

#[test]
fn any_bytes_are_an_avro_record_as_the_reference_reads_it_or_an_error() {
    try_inputs("avro");
}

#[test]
fn any_bytes_are_a_json_record_or_an_error() {
    try_inputs("json_records");
}

#[test]
fn any_bytes_are_status_or_an_error_and_the_machine_goes_on() {
    try_inputs("status");
}

#[test]
fn any_yaml_is_a_pipeline_or_an_error() {
    try_inputs("pipeline_yaml");
}

#[test]
fn any_json_is_a_pipeline_or_an_error() {
    try_inputs("pipeline_json");
}

#[test]
fn any_text_is_a_name_a_location_or_an_error() {
    try_inputs("names");
}

#[test]
fn any_text_is_a_template_or_an_error() {
    try_inputs("templates");
}

#[test]
fn any_headers_come_out_of_a_pack_as_they_went_in() {
    try_inputs("headers");
}

#[test]
fn any_bytes_are_a_pack_or_malformed() {
    try_inputs("packs");
}

#[test]
fn the_corpora_hold_every_sample() {
    for (target, _) in TARGETS {
        if setting("PYPZ_FUZZ_WRITE").is_some() {
            write_samples(target).unwrap();
        }
        let files = corpus(target).unwrap();
        for sample in samples(target) {
            assert!(
                files.contains(&sample),
                "{target}: {} is missing or differs",
                sample.0
            );
        }
    }
}

#[test]
fn a_seed_makes_the_same_inputs_each_time() {
    let samples = vec![b"name: a".to_vec(), vec![0; 40]];
    let inputs = |seed| {
        let mut mutator = Mutator::new(&samples, seed);
        (0..1000).map(|_| mutator.input()).collect::<Vec<_>>()
    };
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
}
