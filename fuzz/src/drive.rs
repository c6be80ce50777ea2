//! The driver that needs nothing but stable Rust.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::{Mutator, TARGETS, Verdict, corpus};

/// How long one input may take before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries a target's corpus, and then inputs that are made of it by the seed. Returns how many of those were accepted.
///
/// # Panics
///
/// If the target does, or does not return for 60 s. Seed and number of the input are named, and the input is in a file
/// under `target/fuzz/`.
#[must_use]
pub fn drive(name: &str, seed: u64, inputs: u64) -> u64 {
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        panic!("there is no target {name}")
    };
    // Past the test's captured output: of a stack that overflows nothing else remains.
    let _ = writeln!(std::io::stderr(), "{name}: {inputs} inputs of seed {seed}");
    let samples = match corpus(name) {
        Ok(files) => files.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(),
        Err(error) => panic!("no corpus of {name}: {error}"),
    };
    let tried = AtomicU64::new(0);
    let attempt = |number: u64, input: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|_| {
            panic!(
                "{name}, seed {seed}, input {number}: {}",
                keep(name, seed, number, input)
            )
        })
    };
    let (done, is_done) = sync_channel::<u64>(1);
    thread::scope(|scope| {
        let search = scope.spawn(|| {
            for sample in &samples {
                let _ = attempt(0, sample);
            }
            let mut mutator = Mutator::new(&samples, seed);
            let mut accepted = 0;
            for number in 1..=inputs {
                tried.store(number, Ordering::Relaxed);
                accepted += u64::from(attempt(number, &mutator.input()) == Verdict::Accepted);
            }
            drop(done);
            accepted
        });
        let mut last = None;
        while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(PATIENCE) {
            let now = tried.load(Ordering::Relaxed);
            if last == Some(now) && !search.is_finished() {
                hang(name, seed, now);
            }
            last = Some(now);
        }
        match search.join() {
            Ok(accepted) => accepted,
            Err(cause) => std::panic::resume_unwind(cause),
        }
    })
}

/// Ends the process: the thread that hangs cannot be ended.
fn hang(name: &str, seed: u64, number: u64) -> ! {
    let _ = writeln!(
        std::io::stderr(),
        "{name}, seed {seed}: input {number} does not return"
    );
    std::process::exit(101)
}

/// Keeps an input in a file, and says where.
fn keep(name: &str, seed: u64, number: u64, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
    let file = folder.join(format!("{name}-{seed}-{number}"));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input)) {
        Ok(()) => format!("kept as {}", file.display()),
        Err(_) => format!("{:?}", String::from_utf8_lossy(input)),
    }
}
