//! The inputs that are checked in.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use crate::{Target, samples};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The files of a target's corpus in the order of their names: name and content.
///
/// # Errors
///
/// What the file system says.
pub fn corpus(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut paths = fs::read_dir(folder(target))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    let content = |path: PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok((name, fs::read(path)?))
    };
    paths.into_iter().map(content).collect()
}

/// Writes the samples of a target into its corpus; what else is there stays.
///
/// # Errors
///
/// What the file system says.
pub fn write_samples(target: &str) -> Result<()> {
    fs::create_dir_all(folder(target))?;
    for (name, bytes) in samples(target) {
        fs::write(folder(target).join(name), bytes)?;
    }
    Ok(())
}

/// Tries the files that the command line names.
///
/// # Errors
///
/// If none is named, or what the file system says.
pub fn replay(target: Target) -> Result<()> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        return Err(Error::other("name the files to try"));
    }
    for path in paths {
        let verdict = target(&fs::read(&path)?);
        eprintln!("{}: {verdict:?}", path.display());
    }
    Ok(())
}
