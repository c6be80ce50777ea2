//! Answers of the machine: what a member, a writer, a reader and the principal may do.

use std::collections::BTreeMap;

use super::identity::RunId;
use super::report::End;

/// Whether a local member takes part in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// Not yet, and what it waits for.
    Waiting(&'static str),
    /// It does.
    Established {
        /// The run it takes part in.
        run: RunId,
        /// Its incarnation in the run, from 1.
        epoch: u32,
        /// The offset it had committed in the status log (broadcast readers).
        position: Option<u64>,
        /// Where it goes on, in its own words (sources).
        source: Option<String>,
        /// Whether an earlier incarnation has done all that is expected of the member in this run.
        finished: bool,
        /// Whether an earlier incarnation has said that all work of its replica in this run is done, on every channel.
        settled: bool,
    },
    /// It need not: an earlier incarnation has finished, and the run was closed while this one was on its way into it.
    Over(RunId),
    /// It must not.
    Refused(Refusal),
}

/// Why a local member has to stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Somebody alive holds the member.
    #[error(
        "{member} is run by {holder} (run {run}): stop that process first, or give this pipeline another name"
    )]
    Held {
        /// The member's full port name.
        member: String,
        /// Host and pid.
        holder: String,
        /// The run it is in.
        run: RunId,
    },
    /// A newer instance took over.
    #[error("{member} was fenced by a newer instance, {holder} (epoch {theirs} after {ours})")]
    Fenced {
        /// The member's full port name.
        member: String,
        /// Host and pid of the newer instance.
        holder: String,
        /// Its epoch.
        theirs: u32,
        /// Our epoch.
        ours: u32,
    },
    /// The principal reader opened another run.
    #[error("run {run} of channel {channel} was given up by its principal reader, which opened run {next}")]
    GivenUp {
        /// The channel.
        channel: String,
        /// The run we were in.
        run: RunId,
        /// The run that is open now.
        next: RunId,
    },
    /// The principal reader closed the run: all that earlier incarnations of this member put into it was read.
    #[error(
        "run {run} of channel {channel} is complete and was closed while {member} was at it again: start the pipeline \
         anew for more"
    )]
    Ended {
        /// The channel.
        channel: String,
        /// The member's full port name.
        member: String,
        /// The run.
        run: RunId,
    },
    /// Our own reports do not come back from the status log.
    #[error("channel {channel}: own status has not come back from the broker for {seconds} s")]
    Unreachable {
        /// The channel.
        channel: String,
        /// For how long.
        seconds: u64,
    },
}

/// Whether writers may send their first record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// These readers are not positioned yet.
    Waiting {
        /// Their full port names with what is known of each.
        missing: Vec<String>,
    },
    /// All expected readers are.
    Ready,
}

/// What a reader knows of its writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// More may come.
    Sending,
    /// Nothing more will be written in this run: the log's end is final.
    Stopped {
        /// By partition, the least offset that the log must reach.
        ends: BTreeMap<u32, End>,
    },
    /// A writer failed: read what it sent, then fail with this cause.
    Failed {
        /// Who, and what it said.
        cause: String,
    },
    /// A writer fell silent for longer than the patience, or never came.
    Lost {
        /// Who, and since when.
        cause: String,
        /// Whether it was ever seen in this run.
        seen: bool,
    },
}

/// What the principal reader knows of its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Siblings {
    /// These have not read to the end yet, or have finished and are there again.
    Reading {
        /// Their full port names.
        unfinished: Vec<String>,
    },
    /// All have.
    Finished,
    /// One failed or was lost.
    Failed {
        /// Who, and why.
        cause: String,
    },
}
