//! What was measured: medians, ratios and percentiles, printed and kept for the report.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The variable that names the file to which figures are appended, a JSON object a line.
pub const FILE: &str = "PYPZ_BENCH_FIGURES";

/// The variable that says that a short run will do.
pub const QUICK: &str = "PYPZ_BENCH_QUICK";

/// Whether a short run will do.
#[must_use]
pub fn is_quick() -> bool {
    std::env::var_os(QUICK).is_some()
}

/// How many pairs a comparison has.
#[must_use]
pub fn pairs() -> usize {
    if is_quick() { 3 } else { 9 }
}

/// Whether the words behind `--` want this one: all, if there are none.
#[must_use]
pub fn is_wanted(name: &str) -> bool {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}

/// One line of the report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// `transport/kafka/100 B, 1 partition`: the part, the transport, and what.
    pub name: String,
    /// `records/s`, `ms`, `%`.
    pub unit: String,
    /// The median.
    pub ours: f64,
    /// The median of the bare client, where there is one.
    pub bare: Option<f64>,
    /// What makes ours the better: 1 more, -1 less.
    pub better: i8,
    /// Ours by bare of each pair: the least, that of the medians, the greatest. Without a bare side the least and the greatest of
    /// ours.
    pub least: f64,
    pub ratio: Option<f64>,
    pub most: f64,
    /// How often it was measured.
    pub runs: usize,
}

impl Figure {
    fn keep(&self) {
        let Some(file) = std::env::var_os(FILE) else {
            return;
        };
        let line = serde_json::to_string(self).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// Prints it, and keeps it for the report.
    pub fn report(&self) {
        let Self {
            name,
            unit,
            ours,
            least,
            most,
            ..
        } = self;
        match (self.bare, self.ratio) {
            (Some(bare), Some(ratio)) => {
                println!(
                    "{name}: {ours:.2} {unit}; bare {bare:.2}; ratio {ratio:.2} ({least:.2} to {most:.2})"
                );
            }
            _ => println!("{name}: {ours:.2} {unit} ({least:.2} to {most:.2})"),
        }
        self.keep();
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The same work done by two sides in turn.
#[derive(Debug)]
pub struct Pairs {
    name: String,
    records: usize,
    ours: Vec<f64>,
    bare: Vec<f64>,
}

impl Pairs {
    #[must_use]
    pub fn new(name: impl Into<String>, records: usize) -> Self {
        Self {
            name: name.into(),
            records,
            ours: Vec::new(),
            bare: Vec::new(),
        }
    }

    /// Has both sides do the work in turn, `bare` first in every other pair: whoever comes second finds the broker as the first left it.
    pub async fn measure(
        &mut self,
        pairs: usize,
        bare: impl AsyncFn() -> Duration,
        ours: impl AsyncFn() -> Duration,
    ) {
        for pair in 0..pairs {
            if pair % 2 == 0 {
                self.bare(bare().await);
                self.ours(ours().await);
            } else {
                self.ours(ours().await);
                self.bare(bare().await);
            }
        }
    }

    fn rate(&self, time: Duration) -> f64 {
        self.records as f64 / time.as_secs_f64()
    }

    pub fn ours(&mut self, time: Duration) {
        self.ours.push(self.rate(time));
    }

    pub fn bare(&mut self, time: Duration) {
        self.bare.push(self.rate(time));
    }

    /// The same side's rates at two pieces of work, this one by the other.
    pub fn report_by(&self, other: &Self, name: String) {
        let ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&other.ours)
            .map(|(this, that)| this / that)
            .collect();
        let ((least, most), (this, that)) = (range(&ratios), (median(&self.ours), median(&other.ours)));
        Figure {
            name,
            unit: "records/s".to_owned(),
            ours: this,
            bare: Some(that),
            better: 1,
            least,
            ratio: Some(this / that),
            most,
            runs: ratios.len(),
        }
        .report();
    }

    /// Reports rates in records/s, and ours by bare.
    pub fn report(&self) {
        let ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.bare)
            .map(|(ours, bare)| ours / bare)
            .collect();
        let ((least, most), (ours, bare)) = (range(&ratios), (median(&self.ours), median(&self.bare)));
        Figure {
            name: self.name.clone(),
            unit: "records/s".to_owned(),
            ours,
            bare: Some(bare),
            better: 1,
            least,
            ratio: Some(ours / bare),
            most,
            runs: ratios.len(),
        }
        .report();
    }
}

/// Something of ours that was measured several times, of which less is better unless it is a rate.
#[derive(Debug)]
pub struct Repeated {
    name: String,
    unit: &'static str,
    better: i8,
    values: Vec<f64>,
}

impl Repeated {
    #[must_use]
    pub fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            better: -1,
            values: Vec::new(),
        }
    }

    /// Rates, of which more is better.
    pub fn rates(name: impl Into<String>) -> Self {
        Self {
            better: 1,
            ..Self::new(name, "records/s")
        }
    }

    pub fn milliseconds(name: impl Into<String>) -> Self {
        Self::new(name, "ms")
    }

    pub fn took(&mut self, time: Duration) {
        self.values.push(time.as_secs_f64() * 1_000.0);
    }

    pub fn was(&mut self, value: f64) {
        self.values.push(value);
    }

    pub fn report(self) {
        let (least, most) = range(&self.values);
        Figure {
            name: self.name,
            unit: self.unit.to_owned(),
            ours: median(&self.values),
            bare: None,
            better: self.better,
            least,
            ratio: None,
            most,
            runs: self.values.len(),
        }
        .report();
    }
}

/// Reports times of both sides, of which less is better, in milliseconds.
pub fn beside(name: String, ours: &[Duration], bare: &[Duration]) {
    let milliseconds =
        |times: &[Duration]| -> Vec<f64> { times.iter().map(|time| time.as_secs_f64() * 1_000.0).collect() };
    let (ours, bare) = (milliseconds(ours), milliseconds(bare));
    let ratios: Vec<f64> = ours.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect();
    let ((least, most), bare) = (range(&ratios), median(&bare));
    Figure {
        name,
        unit: "ms".to_owned(),
        ours: median(&ours),
        bare: Some(bare),
        better: -1,
        least,
        ratio: Some(median(&ours) / bare),
        most,
        runs: ratios.len(),
    }
    .report();
}

/// Reports p50 and p99 of single records, in milliseconds, beside those of the bare client where there is one.
pub fn latencies(name: &str, ours: &mut [Duration], bare: &mut [Duration]) {
    for percent in [50, 99] {
        let at = |times: &mut [Duration]| {
            times.sort_unstable();
            let last = times.len().saturating_sub(1);
            let time = times.get((times.len() * percent / 100).min(last));
            time.map(|time| time.as_secs_f64() * 1_000.0)
        };
        let (ours_at, bare_at) = (at(ours).unwrap_or(0.0), at(bare));
        let ratio = bare_at.map(|bare| ours_at / bare);
        Figure {
            name: format!("{name}, p{percent}"),
            unit: "ms".to_owned(),
            ours: ours_at,
            bare: bare_at,
            better: -1,
            least: ratio.unwrap_or(ours_at),
            ratio,
            most: ratio.unwrap_or(ours_at),
            runs: ours.len(),
        }
        .report();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_pairs_is_not_moved_by_one_bad_run() {
        assert!((median(&[3.0, 1.0, 100.0]) - 3.0).abs() < f64::EPSILON);
        assert_eq!(range(&[3.0, 1.0, 100.0]), (1.0, 100.0));
    }
}
