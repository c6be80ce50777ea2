//! Processes under test.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// How often something is looked at that does not tell when it changes.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a process ended: its exit code, or minus the signal.
pub(crate) type Code = i32;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    id: u32,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

impl Process {
    /// Starts a command with its output in a file.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        Ok(Self {
            id: child.id().context("a process ended before it had an id")?,
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<Code>> {
        Ok(self.child.try_wait()?.map(code))
    }

    /// Sends a signal by its name, without `SIG`. It does not matter if the process is gone.
    pub(crate) async fn signal(&mut self, name: &str) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.id.to_string()])
            .stderr(Stdio::null());
        kill.status().await.context("cannot run kill")?;
        Ok(())
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits for the end.
    pub(crate) async fn end(&mut self, limit: Duration) -> Result<Code> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(code(status?)),
            Err(_) => bail!("it did not end within {} s", limit.as_secs()),
        }
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn code(status: std::process::ExitStatus) -> Code {
    let signal = || -status.signal().unwrap_or(0);
    status.code().unwrap_or_else(signal)
}

/// Looks again and again until `probe` has an answer.
pub(crate) async fn until<T>(
    limit: Duration,
    cause: &str,
    mut probe: impl FnMut() -> Result<Option<T>> + Send,
) -> Result<T>
where
    T: Send,
{
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let begin = tokio::time::Instant::now();
    loop {
        looks.tick().await;
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if begin.elapsed() > limit {
            bail!("{cause}: not within {} s", limit.as_secs());
        }
    }
}
