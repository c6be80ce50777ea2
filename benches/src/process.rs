//! What this process has and has used, as Linux counts it.

use std::path::Path;
use std::time::Duration;

/// Threads and resident bytes now.
#[must_use]
pub fn size() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.unwrap_or(0)
    };
    (number("Threads:"), number("VmRSS:") * 1024)
}

/// The CPU time of all threads until now.
#[must_use]
pub fn cpu() -> Duration {
    used("/proc/self/stat")
}

/// The CPU time until now of the threads that have one of the names.
#[must_use]
pub fn cpu_of(names: &[&str]) -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = threads.map(|thread| thread.path()).filter(|thread| {
        let name = std::fs::read_to_string(thread.join("comm")).unwrap_or_default();
        names.contains(&name.trim())
    });
    named.map(|thread| used(thread.join("stat"))).sum()
}

fn used(stat: impl AsRef<Path>) -> Duration {
    /// Linux counts in hundredths of a second, whatever its own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    TICK * ticks
}
