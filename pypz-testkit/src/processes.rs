//! Processes under test, each with a deadline.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    heard: String,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Running {
    /// Starts a process with its output piped.
    ///
    /// # Panics
    ///
    /// If the program cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = sync_channel(10_000);
        let stderr = child.stderr.take();
        std::thread::spawn(move || {
            for line in stderr
                .into_iter()
                .flat_map(|stderr| BufReader::new(stderr).lines())
                .map_while(Result::ok)
            {
                let _ = sender.try_send(line);
            }
        });
        Self {
            child,
            lines,
            heard: String::new(),
        }
    }

    /// Waits for a line on stderr that `is_it`.
    ///
    /// # Panics
    ///
    /// If none comes in time.
    pub fn wait_for_line(&mut self, deadline: Duration, is_it: impl Fn(&str) -> bool) {
        loop {
            match self.lines.recv_timeout(deadline) {
                Ok(line) => {
                    let found = is_it(&line);
                    self.heard.push_str(&line);
                    self.heard.push('\n');
                    if found {
                        return;
                    }
                }
                Err(error) => panic!("the line did not come ({error}) after:\n{}", self.heard),
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name, without `SIG`.
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
    }

    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// If it does not come in time.
    #[must_use]
    pub fn wait(mut self, deadline: Duration) -> Ended {
        let (sender, ended) = sync_channel(1);
        let mut stdout = self.child.stdout.take();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.as_mut().map(|stdout| stdout.read_to_string(&mut text));
            let _ = sender.send(text);
        });
        let stdout = ended.recv_timeout(deadline);
        if stdout.is_err() {
            self.kill();
        }
        let code = self.child.wait().ok().and_then(|status| status.code());
        let mut stderr = std::mem::take(&mut self.heard);
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            stderr.push_str(&line);
            stderr.push('\n');
        }
        match stdout {
            Ok(stdout) => Ended { code, stdout, stderr },
            Err(_) => panic!(
                "the process did not end within {} s:\n{stderr}",
                deadline.as_secs()
            ),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
