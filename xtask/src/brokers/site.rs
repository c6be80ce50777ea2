//! Where a broker lives: its directory, its data, and the file which says that it runs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A memory file system with less room than this is not used for data.
const ENOUGH: u64 = 4 << 30;

const MEMORY: &str = "/dev/shm";

/// The places of one broker.
#[derive(Debug)]
pub(crate) struct Site {
    /// The directory of the broker: its configuration, its log, its programs.
    pub(crate) home: PathBuf,
    /// The directory of its data: in memory if there is room, else in the directory of the broker.
    pub(crate) data: PathBuf,
    state: PathBuf,
}

/// What the state file of a broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) location: String,
    /// What a client needs beside the location; null if nothing.
    pub(crate) connect: Value,
}

impl Site {
    /// Returns the places of the broker called `name` which has `port`.
    pub(crate) fn new(name: &str, port: u16) -> Self {
        let all = super::directory();
        let home = all.join(name);
        let in_memory = Path::new(MEMORY).join(format!("pypz-{}-{name}-{port}", mark(&home)));
        let on_disk = home.join("data");
        let data = if in_memory.exists() || (!on_disk.exists() && room(MEMORY) >= ENOUGH) {
            in_memory
        } else {
            on_disk
        };
        Self {
            data,
            state: all.join(format!("{name}.json")),
            home,
        }
    }

    /// Returns the state which was saved last and not removed since.
    pub(crate) fn load(&self) -> Result<Option<State>> {
        let text = match fs::read_to_string(&self.state) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", self.state.display()))?,
        };
        let state = serde_json::from_str(&text)
            .ok()
            .and_then(|value| State::from_json(&value));
        state
            .map(Some)
            .with_context(|| format!("{} is no state of a broker: remove it", self.state.display()))
    }

    /// Saves the state at once: a reader sees the old one or the new one.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        let next = self.state.with_extension("json.next");
        super::write(&next, &format!("{}\n", state.to_json()))?;
        fs::rename(&next, &self.state).with_context(|| format!("cannot write {}", self.state.display()))
    }

    /// Removes the state.
    pub(crate) fn forget(&self) -> Result<()> {
        absent(fs::remove_file(&self.state))
            .with_context(|| format!("cannot remove {}", self.state.display()))
    }

    /// Removes the data.
    pub(crate) fn remove_data(&self) -> Result<()> {
        absent(fs::remove_dir_all(&self.data))
            .with_context(|| format!("cannot remove {}", self.data.display()))
    }

    /// Returns the file with the output of the broker.
    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("broker.log")
    }
}

impl State {
    fn to_json(&self) -> Value {
        json!({"pid": self.pid, "port": self.port, "location": self.location, "connect": self.connect})
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            pid: value["pid"].as_u64()?.try_into().ok()?,
            port: value["port"].as_u64()?.try_into().ok()?,
            location: value["location"].as_str()?.to_owned(),
            connect: value["connect"].clone(),
        })
    }
}

fn absent(outcome: std::io::Result<()>) -> std::io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Returns a short mark for a directory, the same every time (FNV-1a).
pub(crate) fn mark(directory: &Path) -> String {
    let bytes = directory.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Returns the free bytes of the memory file system at `path`, 0 if there is none.
fn room(path: &str) -> u64 {
    let output = Command::new("df")
        .args(["--type=tmpfs", "--block-size=1", "--output=avail", path])
        .output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{State, mark};
    use serde_json::Value;
    use std::path::Path;

    #[test]
    fn a_state_survives_its_file() {
        let state = State {
            pid: 7,
            port: 19092,
            location: "kafka://127.0.0.1:19092".to_owned(),
            connect: Value::Null,
        };
        assert_eq!(State::from_json(&state.to_json()), Some(state));
    }

    #[test]
    fn directories_have_different_marks() {
        assert_eq!(mark(Path::new("")), "cbf29ce484222325");
        assert_ne!(mark(Path::new("/a")), mark(Path::new("/b")));
    }
}
