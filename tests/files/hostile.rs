//! Files that are made to do harm: each is an error, and what it takes is bounded. `cargo test --release --test files
//! hostile -- --nocapture` prints what each took.

use std::io::Write;
use std::time::Instant;

use pypz::{Pipeline, PipelineError};

/// The most memory of this process until now, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn refused(name: &str, read: impl FnOnce() -> Result<Pipeline, PipelineError>) -> String {
    let (before, start) = (peak(), Instant::now());
    let error = read()
        .map(|pipeline| pipeline.validate())
        .and_then(|valid| valid.map(|()| Pipeline::new("")));
    let (took, after) = (start.elapsed(), peak());
    let error = error
        .err()
        .unwrap_or_else(|| panic!("{name} was accepted"))
        .to_string();
    let first = error.lines().nth(1).unwrap_or_default();
    eprintln!("{name}: {took:?}, peak {before} -> {after} KiB:{first}");
    assert!(
        !error.chars().any(|c| c.is_control() && c != '\n'),
        "{name}: {error:?}"
    );
    error
}

/// Nine lists of nine aliases of the one before, nine times.
fn bomb() -> String {
    let mut text =
        String::from("name: bomb\nparameters:\n  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..10 {
        let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
        text.push_str(&format!("  a{n}: &a{n} [{aliases}]\n"));
    }
    text
}

/// Name, YAML, and what is said of it.
fn cases() -> [(&'static str, String, &'static str); 14] {
    [
        ("alias bomb", bomb(), "more than a pipeline may"),
        (
            "self alias",
            "name: a\nparameters: &p {x: *p}\n".into(),
            "inside of what it stands for",
        ),
        (
            "long alias",
            format!("x: &x {}\ny: [{}]", "a".repeat(1 << 19), "*x, ".repeat(1000)),
            "more than a pipeline may",
        ),
        ("flow depth", "[".repeat(100_000), "not YAML"),
        ("block depth", "- ".repeat(100_000), "in each other"),
        (
            "mapping depth",
            (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
            "in each other",
        ),
        ("duplicate keys", "name: a\n".repeat(100_000), "stands here twice"),
        (
            "unknown fields",
            (0..20_000).map(|n| format!("a{n}: 1\n")).collect(),
            "there is no field",
        ),
        (
            "items",
            format!("[{}]", "a,".repeat(500_000)),
            "more than a pipeline may",
        ),
        (
            "anchors",
            (0..70_000).map(|n| format!("- &a{n} x\n")).collect(),
            "more than a pipeline may",
        ),
        ("documents", "---\n".repeat(200_000), "a second document"),
        (
            "open quote",
            format!("name: \"{}", "x\n ".repeat(300_000)),
            "not YAML",
        ),
        (
            "too long",
            " ".repeat(3 << 20),
            "bytes, the most of a pipeline file",
        ),
        ("parameters", many_parameters(), "there is no parameter"),
    ]
}

#[test]
fn hostile_files_are_errors() {
    for (name, text, part) in &cases() {
        let error = refused(name, || Pipeline::from_yaml(text));
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[test]
fn hostile_json_is_an_error() {
    for (name, text, part) in [
        ("json depth", "[".repeat(100_000), "in each other"),
        ("json map depth", "{\"a\":".repeat(100_000), "in each other"),
        (
            "json items",
            format!("[{}1]", "1,".repeat(500_000)),
            "more than a pipeline may",
        ),
        (
            "json duplicates",
            format!("{{{}\"a\":1}}", "\"a\":1,".repeat(100_000)),
            "stands here twice",
        ),
        (
            "json string",
            format!("\"{}", "\\\"".repeat(500_000)),
            "never closed",
        ),
    ] {
        let error = refused(name, || Pipeline::from_json(&text));
        assert!(error.contains(part), "{name}: {error}");
    }
}

/// Parameters by the thousand that an operator does not have.
fn many_parameters() -> String {
    let parameters: String = (0..20_000).map(|n| format!("      p{n}: 1\n")).collect();
    format!(
        "name: p\nspec:\n  nestedInstances:\n  - name: o\n    spec: {{name: 'shop:Orders'}}\n    parameters:\n{parameters}"
    )
}

#[test]
fn of_a_file_of_a_hundred_megabytes_no_more_is_read_than_a_file_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.yaml");
    let mut file = std::fs::File::create(&path).unwrap();
    for _ in 0..100 {
        file.write_all(&[b'a'; 1 << 20]).unwrap();
    }
    let error = refused("100 MiB", || Pipeline::from_file(&path));
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let endless = refused("/dev/zero", || Pipeline::from_file("/dev/zero"));
    assert!(endless.contains("more than 1048576 bytes"), "{endless}");
}
