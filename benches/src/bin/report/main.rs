//! Writes `docs/performance.md` and its curves: `report FIGURES CRITERION DOCS`, a file of new figures (a JSON object a line), the
//! folder of criterion's results, and the folder to write to. `cargo xtask bench` calls it.
//!
//! New figures take the place of those of the same name in `data/performance.jsonl`, and the page shows them all.

mod curve;
mod target;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pypz_benches::figures::Figure;
use serde_json::Value;
use target::Target;

/// The parts of the page: the beginning of the names in it, its heading, and what the reader has to know.
const PARTS: [(&str, &str, &str); 18] = [
    (
        "fanout",
        "Fan-out",
        "One source to as many sinks as partitions, 100 B a record; each record of a broadcast counts once.",
    ),
    (
        "transport",
        "From port to port",
        "One source, one sink a partition, in one process. Rates are from the first record that arrived to the last.",
    ),
    (
        "hop",
        "Topic to operator to topic",
        "The first topic is full before the clock begins. At least once: positions behind acknowledgements; exactly once: \
         transactions of 100 ms.",
    ),
    (
        "promise",
        "Exactly once beside at least once",
        "The hops above, both of them ours.",
    ),
    (
        "process",
        "A hop as a process",
        "A process that relays a record a millisecond is started, stopped by SIGTERM and started again where it stopped. At its first \
         start ours creates its topics, the bare one finds them; at its end the bare one drops its clients and waits for that, as a \
         program does by itself, ours does not wait.",
    ),
    (
        "latency",
        "A lone record",
        "From `send` to the return of `retrieve`, with nothing else on its way.",
    ),
    (
        "partitions",
        "Over the number of partitions",
        "1,000,000 records of 100 B, a replica a partition; the bare client is one consumer of all of them. Each partition has had a \
         record before the clock begins.\n\n\
         ![records/s over partitions](performance/partitions.svg)",
    ),
    (
        "curve",
        "Many partitions beside one",
        "The rates above, both of them ours.",
    ),
    (
        "rate",
        "A fixed rate over the number of partitions",
        "The source sends 200,000 records a second.",
    ),
    (
        "slow",
        "One slow replica among a thousand",
        "One replica takes three seconds for a batch: what the others get, and what they get without it.",
    ),
    (
        "pypz",
        "Beside pypz-python",
        "Genuine pypz-python 0.10.2 does the same work.",
    ),
    (
        "mixed",
        "Half in Python",
        "A source and a sink on Kafka, each in pypz-python or in Rust; the sink looks at every byte.",
    ),
    (
        "start",
        "To the first record",
        "From `execute` to the first record at the last operator.",
    ),
    (
        "end",
        "From the last record",
        "From the last record at the last operator to the return of `execute`.",
    ),
    (
        "idle",
        "Waiting",
        "The CPU time of a process whose source is quiet.",
    ),
    (
        "replicas",
        "A thousand replicas in one process",
        "What they take beyond one replica, or beyond one of each operator, when the first record arrives.",
    ),
    (
        "codec",
        "Codecs",
        "One value, beside apache-avro's and serde_json's own functions on it.",
    ),
    (
        "protocol",
        "The protocol",
        "What the state machine of a channel takes in.",
    ),
];

/// What the page says of targets that are not met: where the time goes, by a profile.
const WHY: &str = "\
## Where a target is not met

Profiles by `perf`, taken in November 2026 on two cores which the broker, the clients and the operators shared: what is measured is the
processor time of all of them together. The figures here are of those profiles, not of the last run.

- **Small records on a few partitions of Kafka.** For nine million records of 100 B on 4 partitions our process takes as much processor
  time as the bare one (10.1 to 10.5 s and 9.7 to 10.2 s), the broker a tenth more (3.5 s and 3.0 s), because ours make more and smaller
  requests. The bare producer is always far ahead of the bare consumer, so that both find full batches; our source and sinks keep pace with
  each other, and what is there is sent and fetched at once. `max.in.flight=1` gives 8 % more on 4 partitions and 14 % on 10, takes 11 % on
  100, and more where the broker is far. `linger.ms` of 1 gives 9 to 20 %, but a lone record takes 2.4 ms in place of 1.3. An eighth of the
  time of either side is the clock, which librdkafka and the crate read at each record that is sent or polled; of that a quarter was the
  timestamp, which is one a batch now. Only the client's calls for batches would do without the rest, and the crate has none.
- **The hop exactly once.** Its pairs lie far apart: three runs of one program had 1.02, 1.01 and 0.89. A round of 100 ms waits 3 to 12 ms
  for the last acknowledgements and 3 to 5 ms for the commit. The tenth of a second that an input stood still while the end of its log
  was looked for, which made earlier runs slower, is gone: it reads on meanwhile.
- **The decoding of small Avro records** takes 5 to 14 ns more than apache-avro alone, from build to build of the same lines, which is a
  tenth to a quarter of so small a value. The look at the datum's bytes is not what takes them: where they are ASCII that is a call of
  the standard library, and it made no difference.
- **A lone record on RabbitMQ, p99.** The slowest hundredth of some hundred records is a few of them: runs of one program had 1.19,
  1.36 and 1.46 x bare.
- **A thousand partitions beside one.** A Produce request carries one partition, so a million records make thousands of requests where one
  partition makes hundreds; the bare client's own curve is as steep. At a fixed rate of 200,000 a second a thousand partitions are as
  fast as one within 5 %.
- **A thousand idle replicas on Kafka.** A third of the time is librdkafka's fetch, which names all partitions each time, twice a second; a
  third is a look at each replica's queue once a second, because a wake-up of the client may be lost; heartbeats and status of all
  thousand are a row of their own.
- **A thousand replicas on RabbitMQ** start in a second, of which the broker takes 0.7 for the queue that each holds while it reads: what
  a lost connection has in hand is told by nothing else.
- **A cold release build** of `pypz` without brokers takes 67 s on these cores and is to take 60: 26 s of it are `pypz-core`, which comes
  last and alone; half of the rest is apache-avro and what it needs. A quarter of what `pypz-core` hands to LLVM are 36 kinds of
  `BTreeMap`. Without debug information it takes as long. With `lto = \"off\"` it takes 54 s, but decoding is slower then, beside
  apache-avro as well; with one codegen unit 76 s.
";

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [figures, criterion, docs] = &arguments[..] else {
        bail!("usage: report FIGURES CRITERION DOCS");
    };
    let mut new = read(figures)?;
    of_criterion(&mut new, criterion)?;
    let file = docs.join("data/performance.jsonl");
    let mut figures = if file.exists() { read(&file)? } else { Vec::new() };
    for figure in new {
        match figures.iter_mut().find(|kept| kept.name == figure.name) {
            Some(kept) => *kept = figure,
            None => figures.push(figure),
        }
    }
    let lines: Result<Vec<String>, _> = figures.iter().map(serde_json::to_string).collect();
    std::fs::write(file, lines?.join("\n") + "\n")?;
    let mut page = head();
    for (prefix, heading, words) in PARTS {
        let of_part: Vec<&Figure> = figures
            .iter()
            .filter(|figure| figure.name.split('/').next() == Some(prefix))
            .collect();
        if !of_part.is_empty() {
            part(&mut page, heading, words, &of_part)?;
        }
    }
    page += WHY;
    let curves = docs.join("performance");
    std::fs::create_dir_all(&curves)?;
    curve::draw(&curves.join("partitions.svg"), &figures)?;
    std::fs::write(docs.join("performance.md"), page.trim_end().to_owned() + "\n")?;
    Ok(())
}

fn read(figures: &Path) -> Result<Vec<Figure>> {
    let text = std::fs::read_to_string(figures).with_context(|| format!("reading {}", figures.display()))?;
    let figures = text.lines().map(serde_json::from_str);
    Ok(figures.collect::<Result<_, _>>()?)
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

/// What the figures were measured on.
fn head() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("a processor without a name", |model| {
        model.trim_start_matches(['\t', ' ', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = read("/proc/meminfo");
    let kilobytes = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kilobytes| kilobytes.parse::<u64>().ok());
    let gibibytes = kilobytes.unwrap_or(0) / 1_048_576;
    let kernel = said("uname", &["-r"]);
    let compiler = said("rustc", &["--version"]);
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    let brokers = std::env::var("PYPZ_BENCH_BROKERS").unwrap_or_default();
    format!(
        "# Performance\n\n\
         Generated by `cargo xtask bench`; not to be edited. Ours and the bare client did the same work in turn, in one run of one \
         program with the same settings; a ratio is that of the medians, with the least and the greatest of the pairs behind it. \
         Absolute figures are those of this machine when the benchmark ran last.\n\n\
         | | |\n| --- | --- |\n\
         | machine | {model}, {cores} cores, {gibibytes} GiB, Linux {kernel} |\n\
         | brokers, on the same machine | {brokers} |\n\
         | built with | {compiler}, librdkafka {librdkafka}, release profile |\n\n"
    )
}

fn shown(value: f64) -> String {
    if value >= 1_000.0 {
        let whole = format!("{value:.0}");
        let groups: Vec<String> = whole
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| String::from_utf8_lossy(group).into_owned())
            .collect();
        return groups.join(",");
    }
    format!("{value:.2}")
}

fn part(page: &mut String, heading: &str, words: &str, figures: &[&Figure]) -> Result<()> {
    writeln!(page, "## {heading}\n\n{words}\n")?;
    let part = figures.first().and_then(|figure| figure.name.split('/').next());
    let other = match part {
        Some("promise") => "at least once",
        Some("curve") => "one partition",
        Some("slow") => "without a slow one",
        Some("pypz") => "pypz-python",
        _ => "bare client",
    };
    writeln!(page, "| what | ours | {other} | ratio | target | met |")?;
    writeln!(page, "| --- | --- | --- | --- | --- | --- |")?;
    for figure in figures {
        let name = figure.name.split_once('/').map_or("", |(_, name)| name);
        let (unit, runs) = (&figure.unit, figure.runs);
        let bare = figure.bare.map(shown).unwrap_or_default();
        let (least, most) = (shown(figure.least), shown(figure.most));
        let ratio = match figure.ratio {
            Some(ratio) if runs > 1 && figure.least < figure.most => {
                format!("{} ({least}–{most}, {runs} pairs)", shown(ratio))
            }
            Some(ratio) => shown(ratio),
            None if runs > 1 => format!("{least}–{most} in {runs} runs"),
            None => String::new(),
        };
        let target = Target::of(figure);
        let met = target.map(|target| if target.is_met(figure) { "yes" } else { "**no**" });
        let target = target.map(|target| target.to_string()).unwrap_or_default();
        let (ours, met) = (shown(figure.ours), met.unwrap_or_default());
        writeln!(
            page,
            "| {name} | {ours} {unit} | {bare} | {ratio} | {target} | {met} |"
        )?;
    }
    writeln!(page)?;
    Ok(())
}

/// Medians of criterion's benchmarks, by full name, in nanoseconds.
fn estimates(folder: &Path, found: &mut BTreeMap<String, (f64, Value)>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.ends_with("new") {
            let read = |name: &str| -> Result<Value> {
                Ok(serde_json::from_slice(&std::fs::read(path.join(name))?)?)
            };
            let (about, estimates) = (read("benchmark.json")?, read("estimates.json")?);
            let name = about.get("full_id").and_then(Value::as_str).unwrap_or_default();
            let median = estimates
                .pointer("/median/point_estimate")
                .and_then(Value::as_f64);
            let throughput = about.get("throughput").cloned().unwrap_or_default();
            found.insert(name.to_owned(), (median.unwrap_or(f64::NAN), throughput));
        } else {
            estimates(&path, found)?;
        }
    }
    Ok(())
}

/// Figures of criterion's medians: codecs beside the bare ones, everything else as a rate.
fn of_criterion(figures: &mut Vec<Figure>, folder: &Path) -> Result<()> {
    let mut found = BTreeMap::new();
    estimates(folder, &mut found)?;
    for (full, (median, throughput)) in &found {
        let alone = |name: &str, unit: &str, ours: f64| Figure {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours,
            bare: None,
            better: 1,
            least: ours,
            ratio: None,
            most: ours,
            runs: 1,
        };
        if let Some(name) = full.strip_suffix("/ours") {
            let bare = found.get(&format!("{name}/bare")).map(|(bare, _)| *bare);
            let ratio = bare.map(|bare| median / bare);
            figures.push(Figure {
                bare,
                ratio,
                better: -1,
                ..alone(name, "ns", *median)
            });
        } else if !full.ends_with("/bare") {
            let elements = throughput.get("Elements").and_then(Value::as_f64).unwrap_or(1.0);
            figures.push(alone(full, "a second", elements / median * 1e9));
        }
    }
    Ok(())
}
