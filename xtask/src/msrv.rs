//! `cargo xtask msrv`: no dependency may ask for a newer Rust than the workspace promises.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;

/// Compares the `rust-version` of every package in the dependency graph with the workspace's own.
pub(crate) fn run() -> Result<ExitCode> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--all-features"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", output.status);
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let promised = promise(&metadata)?;
    let checked = resolved(&metadata)?;
    let offenders: Vec<String> = checked
        .iter()
        .filter_map(|package| offence(package, promised))
        .collect();
    let (major, minor, _) = promised;
    if offenders.is_empty() {
        println!(
            "{} packages, none asks for a newer Rust than {major}.{minor}",
            checked.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("these ask for a newer Rust than {major}.{minor}:");
    offenders.iter().for_each(|line| println!("  {line}"));
    Ok(ExitCode::FAILURE)
}

type Version = (u32, u32, u32);

/// Returns the oldest Rust which a member of the workspace promises to build with.
fn promise(metadata: &Value) -> Result<Version> {
    let members: HashSet<&str> = array(metadata, "/workspace_members")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let versions = array(metadata, "/packages")?
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| members.contains(id)))
        .filter_map(|package| package["rust_version"].as_str().and_then(parse));
    versions
        .min()
        .context("no package of the workspace has a rust-version")
}

/// Returns the packages of the dependency graph.
fn resolved(metadata: &Value) -> Result<Vec<&Value>> {
    let nodes: HashSet<&str> = array(metadata, "/resolve/nodes")?
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = array(metadata, "/packages")?.iter();
    Ok(packages
        .filter(|package| package["id"].as_str().is_some_and(|id| nodes.contains(id)))
        .collect())
}

fn array<'a>(metadata: &'a Value, pointer: &str) -> Result<&'a Vec<Value>> {
    let value = metadata.pointer(pointer).and_then(Value::as_array);
    value.with_context(|| format!("cargo metadata has no {pointer}"))
}

/// Describes the package if it asks for a newer Rust than `promised`.
fn offence(package: &Value, promised: Version) -> Option<String> {
    let asked = package["rust_version"].as_str()?;
    let name = package["name"].as_str().unwrap_or_default();
    let version = package["version"].as_str().unwrap_or_default();
    (parse(asked)? > promised).then(|| format!("{name} {version}: {asked}"))
}

/// Reads `1.88` and `1.88.1`.
fn parse(version: &str) -> Option<Version> {
    let mut numbers = version.splitn(3, '.').map(str::parse::<u32>);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next().unwrap_or(Ok(0)).ok()?;
    let patch = numbers.next().unwrap_or(Ok(0)).ok()?;
    Some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{offence, parse};

    #[test]
    fn a_newer_rust_version_is_an_offence() {
        let package = |rust: &str| json!({"name": "a", "version": "1.2.3", "rust_version": rust});
        assert_eq!(offence(&package("1.88"), (1, 88, 0)), None);
        assert_eq!(offence(&package("1.9"), (1, 88, 0)), None);
        assert_eq!(
            offence(&package("1.88.1"), (1, 88, 0)).unwrap(),
            "a 1.2.3: 1.88.1"
        );
        assert_eq!(offence(&package("2"), (1, 88, 0)).unwrap(), "a 1.2.3: 2");
        assert_eq!(offence(&json!({"name": "a"}), (1, 88, 0)), None);
    }

    #[test]
    fn a_version_has_one_to_three_numbers() {
        assert_eq!(parse("1.88"), Some((1, 88, 0)));
        assert_eq!(parse("1.88.1"), Some((1, 88, 1)));
        assert_eq!(parse("x"), None);
    }
}
