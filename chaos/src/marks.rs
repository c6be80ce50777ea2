//! Files by which a process under test says that it works, and how much memory it took.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_millis() as u64
}

/// Notes when an incarnation did its first work; later calls do nothing.
pub(crate) fn progress(folder: &Path, replica: &str, incarnation: u64) -> std::io::Result<()> {
    let mark = folder.join(format!("{replica}.{incarnation}.began"));
    match std::fs::File::create_new(&mark) {
        Ok(_) => std::fs::write(mark, now().to_string()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// When an incarnation of a replica did its first work, in milliseconds since the Unix epoch.
pub(crate) fn began(folder: &Path, replica: &str, incarnation: u64) -> Option<u64> {
    let mark = folder.join(format!("{replica}.{incarnation}.began"));
    std::fs::read_to_string(mark).ok()?.parse().ok()
}

/// The most memory that a process ever had, in KiB, as the kernel counts it.
pub(crate) fn peak_memory(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The seconds of processor time that a process took; the kernel counts hundredths.
pub(crate) fn processor_seconds(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / 100.0)
}
