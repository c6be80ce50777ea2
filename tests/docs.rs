//! README, the book and the map of the house say what the code says. That their Rust code compiles is shown by the
//! documentation tests of the facade.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pypz::ExitStatus;
use pypz::port::SETTINGS;

const PAGES: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/first-steps.md",
    "docs/operators-and-ports.md",
    "docs/channels-and-promises.md",
    "docs/security.md",
    "docs/pipeline-files.md",
    "docs/migration.md",
    "docs/reliability.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files of this ending under a directory.
fn files(under: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(under)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory of the workspace can be read");
            open.extend(entries.map(|entry| entry.expect("a directory entry").path()));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

/// The source of the workspace's crates.
fn sources() -> String {
    let folders = [
        "src",
        "tests",
        "pypz-core",
        "pypz-derive",
        "pypz-kafka-io",
        "pypz-rabbitmq-io",
        "pypz-testkit",
        "chaos",
        "fuzz",
        "xtask",
    ];
    let files = folders.iter().flat_map(|folder| files(folder, "rs"));
    files.map(read).collect()
}

/// The part of a page under a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, after) = page
        .split_once(&format!("## {heading}\n"))
        .unwrap_or_else(|| panic!("no section '{heading}'"));
    after.split("\n## ").next().unwrap_or_default()
}

/// The cells of every row of a section's tables, without head and rule.
fn rows(section: &str) -> Vec<Vec<String>> {
    let row = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let lines = section.lines().filter(|line| line.starts_with("| "));
    lines
        .map(row)
        .filter(|cells| !cells[0].starts_with("---"))
        .skip(1)
        .collect()
}

/// What stands in backticks, outside of blocks.
fn quoted(text: &str) -> BTreeSet<&str> {
    let outside = text.split("```").step_by(2);
    outside
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_link_to_a_file_or_heading_leads_somewhere() {
    for page in PAGES {
        let text = read(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = root().join(page).with_file_name(file);
            assert!(path.exists(), "{page} links to {file}, which is not there");
            let anchor = |line: &str| {
                line.trim_start_matches('#')
                    .trim()
                    .to_lowercase()
                    .replace(' ', "-")
            };
            let found = || {
                let linked = fs::read_to_string(&path).unwrap();
                linked
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading)
            };
            assert!(
                heading.is_empty() || found(),
                "{page} links to {target}: no such heading"
            );
        }
    }
}

#[test]
fn every_block_says_its_language_and_none_is_ignored() {
    const KNOWN: [&str; 7] = [
        "rust",
        "rust,no_run",
        "rust,compile_fail,E0308",
        "toml",
        "yaml",
        "console",
        "python",
    ];
    for page in PAGES {
        let text = read(page);
        let fences = text.lines().filter_map(|line| line.strip_prefix("```"));
        for language in fences.step_by(2) {
            assert!(KNOWN.contains(&language), "{page} has a block of '{language}'");
        }
    }
}

#[test]
fn every_page_with_rust_code_is_a_documentation_test() {
    let facade = read("src/lib.rs");
    for page in PAGES.iter().filter(|page| read(page).contains("```rust")) {
        assert!(
            facade.contains(&format!("include_str!(\"../{page}\")")),
            "{page} is not compiled: src/lib.rs does not include it"
        );
    }
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_code() {
    use ExitStatus::*;
    let codes = [
        Done,
        Configuration,
        ServiceStart,
        ServiceShutdown,
        ResourceCreation,
        ResourceDeletion,
        Init,
        Running,
        Shutdown,
        Incomplete,
        Poison,
        Owned,
        Mismatch,
        Deadline,
        Authentication,
        Fatal,
        Drained,
    ];
    let written: Vec<_> = rows(section(&read("README.md"), "Exit codes"))
        .iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(written, codes.map(|code| code.to_string()));
}

#[test]
fn the_table_of_features_is_that_of_the_manifest() {
    let manifest = read("Cargo.toml");
    let (_, features) = manifest.split_once("\n[features]\n").unwrap();
    let features = features.split("\n[").next().unwrap_or_default();
    let declared: BTreeSet<_> = features
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "default")
        .collect();
    let written: BTreeSet<_> = rows(section(&read("README.md"), "Features"))
        .iter()
        .filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`').map(str::to_owned))
        .collect();
    assert_eq!(written, declared);
}

#[test]
fn the_versions_that_a_user_is_told_to_take_are_those_of_the_workspace() {
    let (readme, manifest) = (read("README.md"), read("Cargo.toml"));
    let block = readme
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let version = |line: &str| line.split('"').nth(1).map(str::to_owned);
    for line in block
        .lines()
        .filter(|line| line.contains(" = ") && !line.contains("path"))
    {
        let name = line.split(' ').next().unwrap();
        let ours = manifest
            .lines()
            .find(|line| line.starts_with(&format!("{name} = ")))
            .unwrap_or_else(|| panic!("{name} is not a dependency of the workspace"));
        let (told, ours) = (version(line).unwrap(), version(ours).unwrap());
        assert!(
            ours == told || ours.starts_with(&format!("{told}.")),
            "README says {name} {told}, the workspace {ours}"
        );
    }
}

#[test]
fn every_test_that_is_said_to_prove_a_promise_is_there() {
    let (readme, sources) = (read("README.md"), sources());
    for row in rows(section(&readme, "Promises")) {
        let tests = quoted(&row[1]);
        assert!(!tests.is_empty(), "nothing proves '{}'", row[0]);
        for test in tests {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
        }
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    const FOLDERS: [&str; 4] = ["", "pypz-core/src", "pypz-kafka-io/src", "pypz-rabbitmq-io/src"];
    for page in PAGES {
        let text = read(page);
        for name in quoted(&text).into_iter().filter(|name| name.ends_with(".rs")) {
            // A bare name may be that of a convention.
            let is_there = FOLDERS
                .iter()
                .any(|folder| root().join(folder).join(name).exists());
            assert!(
                is_there || name == "lib.rs",
                "{page} names {name}, which is not there"
            );
        }
    }
    for row in rows(section(&read("ARCHITECTURE.md"), "Invariants")) {
        let file = row[1].trim_matches('`');
        assert!(root().join(file).exists(), "'{}' is said to be in {file}", row[0]);
    }
}

#[test]
fn the_settings_of_a_port_are_those_of_the_code() {
    let written: Vec<_> = rows(section(
        &read("docs/channels-and-promises.md"),
        "Settings of a port",
    ))
    .iter()
    .map(|row| [0, 1].map(|cell| row[cell].trim_matches('`').to_owned()))
    .collect();
    let declared = SETTINGS.map(|(name, _, default, _)| [name, default].map(str::to_owned));
    assert_eq!(written, declared);
}

#[cfg(feature = "files")]
#[test]
fn the_yaml_of_the_book_loads() {
    let page = read("docs/pipeline-files.md");
    let blocks: Vec<_> = page.split("```yaml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let yaml = block.split("```").next().unwrap_or_default();
        let loaded = pypz::Pipeline::from_yaml(yaml);
        assert!(loaded.is_ok(), "{}\n{yaml}", loaded.unwrap_err());
    }
}

#[cfg(feature = "kafka")]
#[test]
fn the_reserved_properties_are_those_of_the_code() {
    let page = read("docs/channels-and-promises.md");
    let (_, after) = section(&page, "Settings of a port")
        .split_once("each with the reason:\n")
        .unwrap();
    let written = quoted(after.split("\n### ").next().unwrap());
    let reserved: BTreeSet<&str> = pypz::kafka::RESERVED.iter().map(|(key, _)| *key).collect();
    assert_eq!(written, reserved);
}

#[cfg(feature = "rabbitmq")]
#[test]
fn the_settings_of_rabbitmq_are_those_of_the_code() {
    let page = read("docs/channels-and-promises.md");
    let written = rows(section(&page, "RabbitMQ"));
    for (setting, ..) in pypz::rabbitmq::SETTINGS {
        let is_there = written.iter().any(|row| row[0].trim_matches('`') == setting);
        assert!(is_there, "{setting} is not in the table of settings");
    }
}

#[test]
fn invariants_that_a_look_at_the_source_can_check_hold() {
    let without = |file: &Path, words: &[&str]| {
        let text = fs::read_to_string(file).unwrap();
        let found = words.iter().find(|word| text.contains(**word));
        assert_eq!(found, None, "in {}", file.display());
    };
    let core = root().join("pypz-core");
    without(&core.join("Cargo.toml"), &["rdkafka", "lapin"]);
    let is_test = |path: &Path| {
        path.components().any(|part| {
            ["tests", "simulation"]
                .map(AsRef::as_ref)
                .contains(&part.as_os_str())
        })
    };
    for file in files("pypz-core/src/protocol", "rs")
        .iter()
        .filter(|file| !is_test(file))
    {
        without(file, &["Instant", "SystemTime", "tokio", "async ", "std::thread"]);
    }
    without(
        &core.join("src/executor/state.rs"),
        &["async ", "tokio", "tracing", "&mut"],
    );
    for file in files("pypz-kafka-io/src", "rs") {
        without(&file, &["CommitMode::Async", ".subscribe("]);
        if !file.ends_with("topics.rs") {
            without(&file, &["create_topics", "delete_topics"]);
        }
    }
}
