//! Starting, watching and stopping processes of the operating system (Linux: it reads `/proc`).

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Runs a command to its end with its output on standard error, and fails if the command fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}

/// Starts a command which outlives this process: a process group of its own, output in `log`.
pub(crate) fn detach(command: &mut Command, log: &Path) -> Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot run {name}"))
}

/// Tells whether the process is alive and has `directory` on its command line.
///
/// A process id alone says little: the system gives it to another process later.
pub(crate) fn is_alive(pid: u32, directory: &Path) -> bool {
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command_line).contains(&*directory.to_string_lossy())
}

/// Stops the process: politely first unless `kill` is set, by force after the deadline.
pub(crate) fn stop(pid: u32, directory: &Path, kill: bool) -> Result<()> {
    let attempts: &[(&str, u64)] = if kill {
        &[("KILL", 10)]
    } else {
        &[("TERM", 20), ("KILL", 10)]
    };
    for (name, seconds) in attempts {
        signal(pid, name)?;
        let gone = || Ok((!is_alive(pid, directory)).then_some(()));
        if wait_until(Duration::from_secs(*seconds), gone)?.is_some() {
            return Ok(());
        }
    }
    bail!("process {pid} does not end");
}

/// Sends a signal; that the process is gone already is no error.
fn signal(pid: u32, name: &str) -> Result<()> {
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .context("cannot run sh")?;
    Ok(())
}

/// Asks `probe` until it has an answer or `limit` has passed, which gives `None`.
pub(crate) fn wait_until<T>(
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe()? {
            return Ok(Some(answer));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a foreign process does not tell when its state changes"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
