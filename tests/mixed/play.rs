//! Plays a pipeline of two languages: all its parts in an order that a seed makes, each to its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pypz::ExitStatus;
use tokio::task::JoinSet;

use crate::stage::{Carrier, DEADLINE, Language, Stage, ended};

/// How long a part waits for another that is started later: pypz-python takes seconds to be there, and some start one by one.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often each case is repeated.
pub(crate) fn rounds() -> u64 {
    let asked = std::env::var("PYPZ_TEST_ROUNDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Makes of each case a test on Kafka and one on RabbitMQ, repeated as often as is asked for.
macro_rules! cases {
    ($($(#[$attribute:meta])* $name:ident: $case:expr;)*) => {
        mod kafka {
            #[allow(clippy::wildcard_imports, reason = "the cases are written in the module above")]
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            $(#[$attribute])*
            async fn $name() {
                crate::play::repeat($crate::stage::Carrier::Kafka, $case).await;
            })*
        }

        mod rabbitmq {
            #[allow(clippy::wildcard_imports, reason = "the cases are written in the module above")]
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            $(#[$attribute])*
            async fn $name() {
                crate::play::repeat($crate::stage::Carrier::RabbitMq, $case).await;
            })*
        }
    };
}

pub(crate) use cases;

/// Runs a case as often as is asked for.
pub(crate) async fn repeat<F: Future<Output = ()>>(carrier: Carrier, case: impl Fn(Carrier) -> F) {
    for _ in 0..rounds() {
        case(carrier).await;
    }
}

/// What is started at once.
#[derive(Debug, Clone)]
enum Part {
    /// A replica in a process of pypz-python.
    Python(String),
    /// All replicas of an operator in Rust, as an execution of its own.
    Rust(&'static str),
}

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    fn shuffle<T>(&mut self, parts: &mut [T]) {
        for last in (1..parts.len()).rev() {
            let other = self.throw(last as u64 + 1);
            parts.swap(last, usize::try_from(other).unwrap());
        }
    }
}

/// The seed of the next run: that of `PYPZ_TEST_SEED`, or a new one.
fn seed() -> u64 {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let asked = std::env::var("PYPZ_TEST_SEED").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mixed = since.as_secs() ^ u64::from(since.subsec_nanos()) << 20;
        mixed.wrapping_add(RUNS.fetch_add(1, Ordering::Relaxed)) % 1_000_000_000
    })
}

/// Starts all parts, one after the other in the order of a seed, some of them only when the one before is there, and expects
/// nothing but success of all.
#[allow(clippy::print_stdout, reason = "a failure is repeated by its seed")]
pub(crate) async fn run(stage: &Stage) {
    let seed = seed();
    let mut dice = Dice(seed);
    let rust = stage.nodes.iter().filter(|node| node.language == Language::Rust);
    let rust = rust.map(|node| Part::Rust(node.name));
    let mut parts: Vec<Part> = stage
        .in_python()
        .into_iter()
        .map(Part::Python)
        .chain(rust)
        .collect();
    dice.shuffle(&mut parts);
    let what = format!("{}: PYPZ_TEST_SEED={seed} starts {parts:?}", stage.name);
    println!("{what}");
    let (mut python, mut rust) = (Vec::new(), JoinSet::new());
    for part in parts {
        let is_waited_for = dice.throw(2) == 0;
        match part {
            Part::Python(name) => {
                let mut process = stage.python(&name, &[]);
                if is_waited_for {
                    let ready = tokio::task::spawn_blocking(move || {
                        process.wait_for_line(DEADLINE, |line| line == "ready");
                        process
                    });
                    process = ready.await.unwrap();
                }
                python.push((name, process));
            }
            Part::Rust(operator) => _ = rust.spawn(stage.run_only(operator, PATIENCE)),
        }
    }
    let reports = rust.join_all().await;
    let mut said = Vec::new();
    for (name, process) in python {
        let ended = ended(process).await;
        said.push((name, ended.code, ended.stderr));
    }
    for report in reports {
        let report = report.unwrap_or_else(|error| panic!("{what}: {error}\n{said:?}"));
        assert_eq!(report.status, ExitStatus::Done, "{what}");
    }
    for (name, code, stderr) in said {
        assert_eq!(code, Some(0), "{what}: {name}: {stderr}");
    }
}
