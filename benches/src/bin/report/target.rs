//! What the figures are to reach.

use pypz_benches::figures::Figure;

/// What is aimed at: the beginning of a figure's name, and the least ratio or the greatest value.
const TARGETS: [(&str, Target); 34] = [
    ("transport/memory", Target::Ratio(0.9)),
    ("transport/Kafka: 100 B", Target::Ratio(0.9)),
    ("transport/Kafka: 1000 B", Target::Ratio(0.95)),
    ("transport/RabbitMQ: one", Target::Ratio(0.95)),
    ("transport/RabbitMQ: batches", Target::Ratio(10.0)),
    ("hop/Kafka", Target::Ratio(0.9)),
    ("latency/Kafka: a lone record, p50", Target::AtMost(2.0)),
    ("latency/Kafka: a lone record, p99", Target::AtMost(10.0)),
    ("latency/RabbitMQ", Target::TimesBare(1.2)),
    ("process/Kafka: start", Target::AtMost(150.0)),
    ("process/Kafka: SIGTERM", Target::AtMost(100.0)),
    ("promise/Kafka", Target::Ratio(0.8)),
    ("partitions/Kafka: 10", Target::Ratio(0.95)),
    ("partitions/Kafka", Target::Ratio(0.9)),
    ("curve/Kafka: 100 ", Target::Ratio(0.85)),
    ("curve/Kafka: 1000 ", Target::Ratio(0.6)),
    ("rate/Kafka", Target::AtLeast(196_000.0)),
    ("slow/", Target::Ratio(0.9)),
    ("pypz/Kafka: 100", Target::Ratio(1_000.0)),
    ("start/memory: to the first record, 4", Target::AtMost(1_000.0)),
    ("start/Kafka: to the first record, 4", Target::AtMost(1_000.0)),
    ("start/RabbitMQ: to the first record, 4", Target::AtMost(1_000.0)),
    ("end/memory: from the last record, 4", Target::AtMost(500.0)),
    ("end/Kafka: from the last record, 4", Target::AtMost(500.0)),
    ("end/RabbitMQ: from the last record, 4", Target::AtMost(500.0)),
    ("end/Kafka: from the last record, 1000", Target::AtMost(2_000.0)),
    ("end/memory: from the last record, 1000", Target::AtMost(2_000.0)),
    (
        "end/RabbitMQ: from the last record, 1000",
        Target::AtMost(2_000.0),
    ),
    ("idle/", Target::AtMost(1.0)),
    ("replicas/Kafka: threads", Target::AtMost(12.0)),
    ("replicas/Kafka: memory", Target::AtMost(100.0)),
    ("replicas/memory: threads", Target::AtMost(12.0)),
    ("replicas/memory: memory", Target::AtMost(100.0)),
    ("codec/", Target::TimesBare(1.25)),
];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Ours by bare, of which more is better.
    Ratio(f64),
    /// Ours by bare, of which less is better.
    TimesBare(f64),
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    pub(crate) fn of(figure: &Figure) -> Option<Self> {
        let found = TARGETS.iter().find(|(name, _)| figure.name.starts_with(name));
        found.map(|(_, target)| *target)
    }

    pub(crate) fn is_met(self, figure: &Figure) -> bool {
        let ratio = figure.ratio.unwrap_or(f64::NAN);
        match self {
            Self::Ratio(least) => ratio >= least,
            Self::TimesBare(most) => ratio <= most,
            Self::AtMost(most) => figure.ours <= most,
            Self::AtLeast(least) => figure.ours >= least,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ratio(least) => write!(f, "≥ {least} ×"),
            Self::TimesBare(most) => write!(f, "≤ {most} ×"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}
