//! A small disk that files of a run are on: it can be filled, and emptied again.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The bytes of the disk: 8 MB.
const BYTES: u64 = 8 << 20;

/// A disk in memory, mounted in the folder of a run. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// Mounts a disk in the folder of a run, or says why it cannot be mounted.
    pub(crate) fn mount(folder: &Path) -> Result<Self, String> {
        let disk = Self {
            folder: folder.to_owned(),
            at: folder.join("disk"),
        };
        std::fs::create_dir(&disk.at).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={BYTES}"), "tmpfs"]);
        let output = mount.arg(&disk.at).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("cannot run mount: {error}"))?;
        match output.status.success() {
            true => Ok(disk),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// Has a file of the run's folder be on the disk. Nobody may have made it yet.
    pub(crate) fn takes(&self, name: &str) -> Result<()> {
        std::os::unix::fs::symlink(self.at.join(name), self.folder.join(name))
            .with_context(|| format!("cannot put {name} on the small disk"))
    }

    /// Fills the disk but for so many bytes.
    pub(crate) fn fill(&self, free: u64) -> Result<()> {
        let mut filler = File::create(self.filler()).context("cannot fill the small disk")?;
        let mut written = 0;
        loop {
            match filler.write(&[0; 4096]) {
                Ok(0) => break,
                Ok(more) => written += more as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("cannot fill the small disk"),
            }
            if written > BYTES {
                bail!("the small disk takes more than {BYTES} bytes");
            }
        }
        filler.set_len(written.saturating_sub(free))?;
        Ok(())
    }

    /// Makes room again.
    pub(crate) fn clear(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("cannot empty the small disk")
    }

    /// Takes the disk away; what was on it is in the run's folder afterwards.
    pub(crate) fn leave(self) -> Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_symlink() {
                let bytes = std::fs::read(&path).unwrap_or_default();
                std::fs::remove_file(&path)?;
                std::fs::write(&path, bytes)?;
            }
        }
        Ok(())
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
        let _ = std::fs::remove_dir(&self.at);
    }
}
