//! Runs cases and writes their lines.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt;

use crate::ground::{Ground, Terms};
use crate::line::{Line, Subject, Transport, Verdict};
use crate::marks;
use crate::page;
use crate::rows::{CASES, Case};

/// Which cases, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The rows of the matrix; without it all that hold
    #[arg(long, value_delimiter = ',')]
    rows: Vec<u32>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "WORDS")]
    case: Option<String>,
    /// What all schedules follow from [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Only cases on this transport
    #[arg(long)]
    transport: Option<Transport>,
    /// Records of all sources of a case together [default: what the matrix says]
    #[arg(long)]
    records: Option<u64>,
    /// How often a case does what it does often: kills, starts, restarts [default: what the matrix says]
    #[arg(long)]
    rounds: Option<u64>,
    /// The sizes of the matrix in place of those that suit a check of every change
    #[arg(long)]
    full: bool,
    /// How many cases run side by side, unless they break the broker
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// What pypz-python does in some of the rows, in place of what this framework does
    #[arg(long)]
    python: bool,
    /// Runs nothing and makes docs/reliability.md of docs/data/reliability.jsonl
    #[arg(long)]
    page: bool,
    /// With `--page`: lines that first take the place of those of the same case
    #[arg(long, requires = "page", value_name = "FILE")]
    lines: Vec<PathBuf>,
    /// Leaves the brokers running
    #[arg(long)]
    keep: bool,
    /// Where the lines are appended [default: target/chaos/SEED.jsonl]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs the cases; the exit code tells whether all was as promised.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    if options.page {
        return page::write(Path::new("."), &options.lines);
    }
    let cases = options.cases()?;
    let seed = options.seed.unwrap_or_else(marks::now);
    eprintln!("seed {seed}, {} cases", cases.len());
    let folder = PathBuf::from("target/chaos");
    let transports: BTreeSet<Transport> = cases.iter().map(|case| case.transport).collect();
    let transports: Vec<_> = transports.into_iter().collect();
    let ground = Arc::new(Ground::new(folder.clone(), &transports).await?);
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| folder.join(format!("{seed}.jsonl")));
    let report = Report(Mutex::new(Vec::new()), out);

    let play = |case: Case| {
        let terms = options.terms(case, seed);
        let (ground, report) = (Arc::clone(&ground), &report);
        async move {
            let run = tokio::spawn((case.play)(Arc::clone(&ground), terms.clone())).await;
            let line = match run {
                Ok(Ok(line)) => line,
                Ok(Err(error)) => failed(&terms, &ground, &format!("{error:#}")),
                Err(error) => failed(&terms, &ground, &error.to_string()),
            };
            report.take(line)
        }
    };
    let beside = cases.iter().filter(|case| !case.alone).map(|case| play(*case));
    let done: Vec<Result<()>> = futures::stream::iter(beside)
        .buffer_unordered(options.jobs)
        .collect()
        .await;
    done.into_iter().collect::<Result<()>>()?;
    // Those that break a broker have it for themselves; the two brokers know nothing of each other.
    let alone = |transport| {
        let cases = cases
            .iter()
            .filter(move |case| case.alone && case.transport == transport);
        let plays: Vec<_> = cases.map(|case| play(*case)).collect();
        async move {
            for play in plays {
                play.await?;
            }
            Ok::<_, anyhow::Error>(())
        }
    };
    let (kafka, rabbitmq) = futures::join!(alone(Transport::Kafka), alone(Transport::Rabbitmq));
    if !options.keep {
        ground.down().await?;
    }
    kafka.and(rabbitmq)?;
    Ok(report.verdict())
}

/// A run that did not come to its end.
fn failed(terms: &Terms, ground: &Ground, why: &str) -> Line {
    let mut line = terms.line(ground);
    line.breaks(why);
    line
}

impl Options {
    fn cases(&self) -> Result<Vec<Case>> {
        let wanted = |case: &&Case| {
            (case.subject == Subject::Python) == self.python
                && self.has(case.row)
                && self.transport.is_none_or(|transport| transport == case.transport)
                && self
                    .case
                    .as_ref()
                    .is_none_or(|words| case.name.contains(words.as_str()))
        };
        let cases: Vec<Case> = CASES.iter().filter(wanted).copied().collect();
        if let Some(row) = self
            .rows
            .iter()
            .find(|row| CASES.iter().all(|case| case.row != **row))
        {
            bail!("row {row} is not among those that this command runs");
        }
        if cases.is_empty() {
            bail!("no case is of these rows, this transport and this name");
        }
        Ok(cases)
    }

    /// Whether a row is asked for.
    fn has(&self, row: u32) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }

    fn terms(&self, case: Case, seed: u64) -> Terms {
        let (records, rounds) = case.size[usize::from(self.full)];
        Terms {
            row: case.row,
            case: case.name,
            transport: case.transport,
            guarantee: case.guarantee,
            seed,
            records: self.records.unwrap_or(records),
            rounds: self.rounds.unwrap_or(rounds),
        }
    }
}

/// The lines so far, and the file that they are in.
struct Report(Mutex<Vec<Line>>, PathBuf);

impl Report {
    fn take(&self, line: Line) -> Result<()> {
        println!("{}", line.summary());
        append(&self.1, &line)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }

    fn verdict(&self) -> ExitCode {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
        let broken = count(Verdict::Broken);
        println!(
            "{} as promised, {broken} not, {} skipped; {}",
            count(Verdict::Held),
            count(Verdict::Skipped),
            self.1.display()
        );
        match broken {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

fn append(path: &Path, line: &Line) -> Result<()> {
    let text = serde_json::to_string(line)?;
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{text}"));
    written.with_context(|| format!("cannot write {}", path.display()))
}
