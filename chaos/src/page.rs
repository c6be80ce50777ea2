//! `docs/reliability.md`, made of lines that are kept as data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::line::{Guarantee, Line, Subject, Transport, Verdict};

/// Where the lines are.
pub(crate) const DATA: &str = "docs/data/reliability.jsonl";

/// Where the page is.
pub(crate) const PAGE: &str = "docs/reliability.md";

/// What each row of the matrix is about.
const ROWS: [(u32, &str); 31] = [
    (1, "random processes are killed and started again"),
    (2, "a process dies at each named point of its way"),
    (3, "a writer is killed and nobody starts it again"),
    (4, "a writer fails"),
    (5, "SIGTERM at random moments"),
    (6, "a second SIGTERM"),
    (7, "a principal is restarted at the end of its run"),
    (8, "the broker is restarted"),
    (9, "the broker is not there at the start"),
    (10, "the broker never comes back"),
    (11, "a writer is cut off from the broker"),
    (12, "a replica is cut off for longer than the patience"),
    (13, "a bad network"),
    (14, "a process stands still and is replaced"),
    (15, "a topic or queue is deleted in the middle"),
    (16, "another number of replicas"),
    (17, "a long status history"),
    (18, "a slow reader"),
    (19, "the broker's disk is full"),
    (20, "a disk of the operators' own host is full"),
    (21, "records that are long, or empty"),
    (22, "a record that does not decode"),
    (24, "hostile status messages"),
    (31, "clocks that are wrong"),
    (32, "two pipelines of one name"),
    (33, "an end right behind the records"),
    (34, "a replica is late, never comes, or is lost"),
    (35, "other numbers of replicas, run after run"),
    (36, "another schema when a run goes on"),
    (37, "messages that are returned, refused or never confirmed"),
    (38, "starts in random order"),
];

const HEAD: &str = "\
# Reliability

What became of records when a running pipeline was broken on purpose. `cargo xtask chaos` runs operators as processes of their own
against real brokers, does to them what a row says, and compares what the writers were told with what the sinks wrote down, in a ledger
outside of the system. This page is made of lines that it wrote: `cargo xtask chaos --page` makes it again of
`docs/data/reliability.jsonl`, and `cargo xtask chaos --rows ROW --seed SEED` runs a row with the schedule of a line again.

- **lost**: acknowledged to the writer and never processed by a sink.
- **twice**: at more than one place of the log (on a queue: processed more than once). At least once this is allowed after a
  disturbance; exactly once it is not.
- **disordered**: behind a later record of the same writer in the same partition. A queue promises no order.
- **recovery**: from the start of a process that replaces a killed one to its first record, 99 of 100 at most.
- **exit codes** are those of the table in the [README](../README.md#exit-codes), of parts that did not end with 0; in rows that start
  everybody again afterwards those of before that.

A row is *held* if nothing is lost, nothing is there that was never sent, no byte differs, order is kept, exactly once nothing is there
twice, and every process ended with the code that the row promises. Where one is **not held** the line says what is missing.
";

/// Makes the page of the lines, in which those of these files take the place of the ones before them, and says where it is.
pub(crate) fn write(root: &Path, newer: &[PathBuf]) -> Result<ExitCode> {
    let (data, page) = (root.join(DATA), root.join(PAGE));
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut text = read(&data)?;
    for file in newer {
        text = renewed(&text, &read(file)?).with_context(|| file.display().to_string())?;
    }
    std::fs::write(&data, &text).with_context(|| format!("cannot write {}", data.display()))?;
    std::fs::write(&page, made(&text)?).with_context(|| format!("cannot write {}", page.display()))?;
    println!("{PAGE}");
    Ok(ExitCode::SUCCESS)
}

/// The lines, with newer ones in the place of those of the same case: row, name, whose, transport and promise. What a run of more
/// than twice as many records held stays.
fn renewed(text: &str, newer: &str) -> Result<String> {
    let mut all: Vec<(Line, &str)> = Vec::new();
    for (at, line) in text.lines().chain(newer.lines()).enumerate() {
        let read: Line = serde_json::from_str(line).with_context(|| format!("line {}", at + 1))?;
        if at >= text.lines().count() {
            let is_bigger = |known: &Line| known.verdict == Verdict::Held && known.records > 2 * read.records;
            all.retain(|(known, _)| case(known) != case(&read) || is_bigger(known));
        }
        all.push((read, line));
    }
    Ok(all.into_iter().map(|(_, line)| format!("{line}\n")).collect())
}

/// Which case of which row a line is of.
fn case(line: &Line) -> (u32, &str, Subject, Transport, Guarantee) {
    (line.row, &line.case, line.subject, line.transport, line.guarantee)
}

/// The page of these lines.
fn made(text: &str) -> Result<String> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Result<Vec<Line>, _> = lines.map(serde_json::from_str).collect();
    let mut lines = lines.context("a line is none of a run")?;
    lines.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut page = HEAD.to_owned();
    page += &versions(&lines);
    for (row, about) in ROWS {
        let of_row: Vec<&Line> = lines.iter().filter(|line| line.row == row).collect();
        if of_row.is_empty() {
            continue;
        }
        page += &format!("\n## {row}: {about}\n\n");
        page += "| case | with | promise | result | records | lost | twice | disordered | disturbances | recovery | memory | exit codes | seed |\n";
        page += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        for line in of_row {
            page += &entry(line);
        }
    }
    Ok(page)
}

fn key(line: &Line) -> (u32, &str, Subject, Transport, Guarantee, u64) {
    (
        line.row,
        &line.case,
        line.subject,
        line.transport,
        line.guarantee,
        line.seed,
    )
}

/// What the lines were measured with.
fn versions(lines: &[Line]) -> String {
    let mut all: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in lines {
        for (what, version) in &line.versions {
            let what = match (what.as_str(), line.transport) {
                ("broker", Transport::Kafka) => "Apache Kafka",
                ("broker", Transport::Rabbitmq) => "RabbitMQ",
                (what, _) => what,
            };
            let versions = all.entry(what.to_owned()).or_default();
            if !versions.contains(&version.as_str()) {
                versions.push(version);
            }
        }
    }
    let all: Vec<String> = all
        .iter()
        .map(|(what, versions)| format!("{what} {}", versions.join(", ")))
        .collect();
    format!("\nMeasured with {}.\n", all.join("; "))
}

fn entry(line: &Line) -> String {
    let transport = match line.transport {
        Transport::Kafka => "Kafka",
        Transport::Rabbitmq => "RabbitMQ",
    };
    let with = match line.subject {
        Subject::Ours => transport.to_owned(),
        Subject::Python => format!("pypz-python, {transport}"),
    };
    let promise = match (line.subject, line.guarantee) {
        (Subject::Python, _) => "",
        (_, Guarantee::AtLeastOnce) => "at least once",
        (_, Guarantee::ExactlyOnce) => "exactly once",
    };
    let result = match line.verdict {
        Verdict::Held => "held".to_owned(),
        Verdict::Broken => format!("**not held**: {}", reasons(line)),
        Verdict::Skipped => format!("skipped: {}", reasons(line)),
        Verdict::Measured => reasons(line),
    };
    let order = match line.transport {
        Transport::Kafka => line.reordered.to_string(),
        Transport::Rabbitmq => String::new(),
    };
    let recovery = line
        .recovery_p99_ms
        .map(|recovery| format!("{:.1} s", recovery as f64 / 1_000.0));
    let mut codes: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for (part, code) in line.exit_codes.iter().filter(|(_, code)| **code != 0) {
        codes.entry(*code).or_default().push(part);
    }
    let codes: Vec<String> = codes
        .iter()
        .map(|(code, parts)| format!("{code}: {}", parts.join(", ")))
        .collect();
    format!(
        "| {} | {with} | {promise} | {result} | {} | {} | {} | {order} | {} | {} | {} MiB | {} | {} |\n",
        line.case,
        line.records,
        line.lost,
        line.duplicated,
        line.disturbances,
        recovery.unwrap_or_default(),
        line.max_rss_mib,
        codes.join("; "),
        line.seed
    )
}

/// The reasons as a cell of a table can have them.
fn reasons(line: &Line) -> String {
    let told = line
        .reasons
        .iter()
        .filter(|reason| !reason.contains("ledger and logs"));
    told.map(|reason| reason.replace('|', "/").replace('\n', " "))
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_page_is_what_the_lines_say() {
        let data = std::fs::read_to_string(root().join(DATA)).unwrap();
        let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
        assert!(made(&data).unwrap() == page, "run `cargo xtask chaos --page`");
    }

    #[test]
    fn every_row_that_is_run_has_a_heading() {
        let known: Vec<u32> = ROWS.iter().map(|(row, _)| *row).collect();
        for case in crate::rows::CASES {
            assert!(known.contains(&case.row), "row {}", case.row);
        }
    }

    #[test]
    fn a_newer_line_takes_the_place_of_those_of_its_case_and_of_no_others() {
        let data = std::fs::read_to_string(root().join(DATA)).unwrap();
        let mut known = data
            .lines()
            .map(|line| serde_json::from_str::<Line>(line).unwrap());
        let held = known.find(|line| line.verdict == Verdict::Held).unwrap();
        let of = |case: &str, seed: u64, records: u64| {
            let line = Line {
                case: case.to_owned(),
                seed,
                records,
                ..held.clone()
            };
            serde_json::to_string(&line).unwrap() + "\n"
        };
        let (other, bigger) = (of("other", 1, 10), of("case", 2, 100));
        let text = of("case", 1, 10) + &other + &bigger;
        let newer = of("case", 3, 20);
        assert_eq!(renewed(&text, &newer).unwrap(), other + &bigger + &newer);
        assert!(renewed(&text, "{}").is_err());
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        assert!(made("{\"row\": 1}").is_err());
    }
}
