//! What is written of a run: one line of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checker::Findings;

/// Where the records of a run travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// Apache Kafka.
    Kafka,
    /// RabbitMQ.
    Rabbitmq,
}

/// What a run promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Guarantee {
    /// Nothing is lost.
    AtLeastOnce,
    /// Nothing is lost, and every record counts once.
    ExactlyOnce,
}

/// Who is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// This framework.
    #[serde(rename = "pypz")]
    Ours,
    /// pypz-python.
    #[serde(rename = "pypz-python")]
    Python,
}

/// How a run compares with what was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As promised.
    Held,
    /// Not as promised.
    Broken,
    /// Not run; `reasons` says why.
    Skipped,
    /// What a peer does, which promised nothing here.
    Measured,
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The row of the matrix.
    pub(crate) row: u32,
    /// Which of the row's cases.
    pub(crate) case: String,
    /// Who is under test.
    pub(crate) subject: Subject,
    /// See [`Transport`].
    pub(crate) transport: Transport,
    /// See [`Guarantee`].
    pub(crate) guarantee: Guarantee,
    /// What the schedule follows from.
    pub(crate) seed: u64,
    /// The framework, the broker's client, the broker.
    pub(crate) versions: BTreeMap<String, String>,
    /// How many disturbances there were: kills, signals, restarts, faults.
    pub(crate) disturbances: u64,
    /// Records that were acknowledged to writers.
    pub(crate) records: u64,
    /// See [`Findings::lost`].
    pub(crate) lost: u64,
    /// See [`Findings::duplicated`].
    pub(crate) duplicated: u64,
    /// See [`Findings::reread`].
    pub(crate) reread: u64,
    /// See [`Findings::reordered`]; none is counted on a queue.
    pub(crate) reordered: u64,
    /// See [`Findings::invented`].
    pub(crate) invented: u64,
    /// See [`Findings::broken`].
    pub(crate) broken: u64,
    /// Milliseconds from a restart to the first work of the new process, half of them at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) recovery_p50_ms: Option<u64>,
    /// Milliseconds from a restart to the first work of the new process, 99 of 100 at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) recovery_p99_ms: Option<u64>,
    /// The most memory that one process took, in MiB.
    pub(crate) max_rss_mib: u64,
    /// How each part ended that was not killed on purpose: its exit code, or minus the signal.
    pub(crate) exit_codes: BTreeMap<String, i32>,
    /// Seconds that the run took.
    pub(crate) seconds: f64,
    /// See [`Verdict`].
    pub(crate) verdict: Verdict,
    /// What was not as promised, or why it was not run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) reasons: Vec<String>,
    /// What else was measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(crate) figures: BTreeMap<String, u64>,
}

impl Line {
    /// Takes over what the checker found.
    pub(crate) fn take(&mut self, findings: &Findings) {
        self.records = findings.acknowledged;
        self.lost = findings.lost;
        self.duplicated = findings.duplicated;
        self.reread = findings.reread;
        self.reordered = findings.reordered;
        self.invented = findings.invented;
        self.broken = findings.broken;
    }

    /// Takes over how long restarts took.
    pub(crate) fn recovered(&mut self, mut milliseconds: Vec<u64>) {
        milliseconds.sort_unstable();
        let of = |hundredths: usize| {
            let last = milliseconds.len().checked_sub(1)?;
            milliseconds.get(last * hundredths / 100).copied()
        };
        (self.recovery_p50_ms, self.recovery_p99_ms) = (of(50), of(99).max(milliseconds.last().copied()));
    }

    /// Notes that something is not as promised.
    pub(crate) fn breaks(&mut self, reason: impl Into<String>) {
        self.verdict = Verdict::Broken;
        self.reasons.push(reason.into());
    }

    /// The line in a few words, for people.
    pub(crate) fn summary(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Held => "held",
            Verdict::Broken => "BROKEN",
            Verdict::Skipped => "skipped",
            Verdict::Measured => "measured",
        };
        let guarantee = match self.guarantee {
            Guarantee::AtLeastOnce => "at least once",
            Guarantee::ExactlyOnce => "exactly once",
        };
        let transport = match self.transport {
            Transport::Kafka => "kafka",
            Transport::Rabbitmq => "rabbitmq",
        };
        let mut text = format!(
            "row {:2} {verdict:8} {transport:8} {guarantee:13} {:28} {:8} records, {} lost, {} dup, {} reordered, {} disturbances, {:.0} s, seed {}",
            self.row,
            self.case,
            self.records,
            self.lost,
            self.duplicated,
            self.reordered,
            self.disturbances,
            self.seconds,
            self.seed
        );
        for reason in &self.reasons {
            text += &format!("\n       {reason}");
        }
        text
    }
}
