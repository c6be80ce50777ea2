//! Runs a case under its deadline, or plays one part of it where this process was started for that.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::setup::Setup;
use super::site::Site;

/// The environment variable that makes of the test program one part of a case.
pub(super) const PART: &str = "PYPZ_CONFORMANCE_PART";

/// The exit code of a part that hangs; none of pypz's.
const HUNG: i32 = 99;

/// A case at work.
pub type CaseFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What one process of a case does.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) setup: Setup,
    /// Which parts of the pipeline; none for all.
    pub(super) parts: Vec<String>,
}

/// Runs a case as the test `module::name`. Called by the tests that the macros make.
///
/// # Panics
///
/// If the case fails or does not end in time.
pub fn run(site: Site, module: &str, name: &str, case: fn(&Site) -> CaseFuture<'_>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    if let Ok(part) = std::env::var(PART) {
        std::process::exit(runtime.block_on(play(&part)));
    }
    // The test program knows its tests without its own name.
    let test = match module.split_once("::") {
        Some((_, module)) => format!("{module}::{name}"),
        None => name.to_owned(),
    };
    let site = site.called(test);
    let ended = runtime.block_on(async { tokio::time::timeout(deadline(), case(&site)).await });
    runtime.shutdown_background();
    assert!(ended.is_ok(), "{name} did not end in time at {}", site.location());
}

/// How long a case may take, all in all. What a case waits for has a shorter deadline each; the case of many starts takes as
/// long as there are starts.
fn deadline() -> Duration {
    Duration::from_secs(180).max(Duration::from_secs(10) * super::cases::starts::starts())
}

/// Plays one part and returns its exit code.
#[allow(
    clippy::print_stderr,
    reason = "the case reads why a part failed from its standard error"
)]
async fn play(part: &str) -> i32 {
    let part: Part = match serde_json::from_str(part) {
        Ok(part) => part,
        Err(error) => {
            eprintln!("{PART} is not a part of a case: {error}");
            return HUNG;
        }
    };
    let mut pipeline = part.setup.pipeline();
    let run = async {
        match &part.parts[..] {
            [] => pipeline.execute().await,
            parts => pipeline.execute_only(parts.iter().map(String::as_str)).await,
        }
    };
    match tokio::time::timeout(deadline(), run).await {
        Ok(Ok(report)) => i32::from(report.status.code()),
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            i32::from(error.status.code())
        }
        Err(_) => {
            eprintln!("the part did not end within {} s", deadline().as_secs());
            HUNG
        }
    }
}
