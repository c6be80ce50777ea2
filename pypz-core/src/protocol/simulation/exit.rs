//! How simulated processes end.

use super::super::Refusal;

/// Why a process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: i32,
    pub(super) cause: String,
    /// Whether the members that it leaves may be taken up by others: they have not failed.
    pub(super) quiet: bool,
}

impl Exit {
    pub(super) fn new(code: i32, cause: &str) -> Self {
        Self {
            code,
            cause: cause.to_owned(),
            quiet: false,
        }
    }

    pub(super) fn quiet(code: i32, cause: &str) -> Self {
        Self {
            quiet: true,
            ..Self::new(code, cause)
        }
    }

    pub(super) fn deadline(waited_for: &str) -> Self {
        Self::new(124, waited_for)
    }

    pub(super) fn incomplete(cause: &str) -> Self {
        Self::new(120, cause)
    }

    pub(super) fn of(refusal: &Refusal) -> Self {
        // Without the ids of runs, which no seed determines.
        match refusal {
            Refusal::Held { holder, .. } => Self::quiet(122, &format!("held by {holder}")),
            Refusal::Unreachable { seconds, .. } => Self::quiet(124, &format!("unreachable for {seconds} s")),
            Refusal::Fenced {
                holder, theirs, ours, ..
            } => Self::quiet(116, &format!("fenced by {holder}, epoch {theirs} after {ours}")),
            Refusal::GivenUp { run, next, .. } => Self::quiet(
                115,
                &format!("run {} was given up for {}", run.number, next.number),
            ),
            Refusal::Ended { run, .. } => Self::quiet(115, &format!("run {} was closed", run.number)),
        }
    }
}
