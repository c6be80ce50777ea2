//! What can go wrong, with names, and the exit code it has.

use std::fmt;
use std::process::ExitCode;

use crate::codec::CodecError;
use crate::protocol::Refusal;

/// How a run ended, as the exit code of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ExitStatus {
    /// 0: done, every record processed and acknowledged.
    Done,
    /// 64: the pipeline, its parameters or the command line are wrong.
    Configuration,
    /// 110: a service did not start.
    ServiceStart,
    /// 111: a service did not shut down.
    ServiceShutdown,
    /// 112: resources could not be created.
    ResourceCreation,
    /// 113: resources could not be deleted, or held unread records.
    ResourceDeletion,
    /// 114: an operator's `on_init` failed, or a port could not be opened.
    Init,
    /// 115: an operator's `on_running` failed.
    Running,
    /// 116: an operator's `on_shutdown` failed, or a newer instance took over.
    Shutdown,
    /// 120: input is incomplete: a writer failed or was lost.
    Incomplete,
    /// 121: a record cannot be decoded.
    Poison,
    /// 122: the pipeline is run by someone else.
    Owned,
    /// 123: an object on the broker is not what the pipeline needs.
    Mismatch,
    /// 124: a deadline passed.
    Deadline,
    /// 125: authentication or TLS.
    Authentication,
    /// 129: none of the above.
    Fatal,
    /// 143: drained after SIGTERM, unfinished, resumable.
    Drained,
}

impl ExitStatus {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Configuration => 64,
            Self::ServiceStart => 110,
            Self::ServiceShutdown => 111,
            Self::ResourceCreation => 112,
            Self::ResourceDeletion => 113,
            Self::Init => 114,
            Self::Running => 115,
            Self::Shutdown => 116,
            Self::Incomplete => 120,
            Self::Poison => 121,
            Self::Owned => 122,
            Self::Mismatch => 123,
            Self::Deadline => 124,
            Self::Authentication => 125,
            Self::Fatal => 129,
            Self::Drained => 143,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}

/// What can go wrong with a channel or at a port.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The transport cannot be used as it is configured.
    #[error("{port}: {reason}")]
    Configuration {
        /// The full port or channel name.
        port: String,
        /// What is wrong, and the mend.
        reason: String,
    },
    /// An object on the broker is not what the channel needs.
    #[error("{object}: {reason}")]
    Mismatch {
        /// The kind and name of the object.
        object: String,
        /// What differs, what lies in it, and the mend.
        reason: String,
    },
    /// An object with unread records was not deleted.
    #[error("{object} was kept: {unread} records in it are unread")]
    Unread {
        /// The kind and name of the object.
        object: String,
        /// How many records.
        unread: u64,
    },
    /// Something did not happen in time.
    #[error("{port}: waited {seconds} s for {waited_for}")]
    Deadline {
        /// The full port or channel name.
        port: String,
        /// What was waited for, with the last known cause.
        waited_for: String,
        /// For how long.
        seconds: u64,
    },
    /// The broker does not let us in.
    #[error("{location}: {reason}")]
    Authentication {
        /// The broker, without credentials.
        location: String,
        /// What it said.
        reason: String,
    },
    /// A record cannot be decoded.
    #[error("poison record in {channel}, partition {partition}, offset {offset}: {source}")]
    Poison {
        /// The channel.
        channel: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
        /// Why the bytes were refused.
        source: CodecError,
    },
    /// A record is longer than the limit. Nothing of its batch was sent.
    #[error("{port}: record {index} of the batch has {bytes} bytes, the limit is {limit} (maxRecordBytes)")]
    RecordTooLong {
        /// The full port name.
        port: String,
        /// Its place in the batch, from 0.
        index: usize,
        /// Its length with key and headers.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record has no key, and the connection partitions by key. Nothing of its batch was sent.
    #[error("{port}: record {index} of the batch has no key, but {channel} is partitioned by key")]
    Unkeyed {
        /// The full port name.
        port: String,
        /// Its place in the batch, from 0.
        index: usize,
        /// The channel.
        channel: String,
    },
    /// A record cannot be encoded. Nothing of its batch was sent.
    #[error("{port}: record {index} of the batch: {source}")]
    Encode {
        /// The full port name.
        port: String,
        /// Its place in the batch, from 0.
        index: usize,
        /// Why.
        source: CodecError,
    },
    /// A writer failed, was lost or never came: what it had sent was read.
    #[error("input of {port} is incomplete: {cause}")]
    Incomplete {
        /// The full port name of the reader.
        port: String,
        /// Which writer, and its own words.
        cause: String,
    },
    /// The protocol does not let this member take part.
    #[error(transparent)]
    Refused(Refusal),
    /// The pipeline drains; a source must not send any more.
    #[error("{port}: the pipeline drains")]
    Draining {
        /// The full port name.
        port: String,
    },
    /// The port is used before `on_init` or after `on_shutdown`.
    #[error("{port} is not open")]
    NotOpen {
        /// The port's type.
        port: &'static str,
    },
    /// A transaction came to nothing: what was consumed in it is consumed again. The executor sees to it.
    #[error("{operator}: the transaction was aborted: {reason}")]
    Aborted {
        /// The operator.
        operator: String,
        /// Why.
        reason: String,
    },
    /// A newer instance of the operator writes in our place.
    #[error("{operator} was fenced by a newer instance: {reason}")]
    Fenced {
        /// The operator.
        operator: String,
        /// Who holds it now.
        reason: String,
    },
    /// The transport failed.
    #[error("{channel}: {reason}")]
    Transport {
        /// The channel or location.
        channel: String,
        /// What happened.
        reason: String,
    },
}

impl ChannelError {
    /// The exit code of a run that ends with this error in the given step.
    #[must_use]
    pub const fn status(&self, step: ExitStatus) -> ExitStatus {
        match self {
            Self::Configuration { .. } => ExitStatus::Configuration,
            Self::Mismatch { .. } => ExitStatus::Mismatch,
            Self::Unread { .. } => ExitStatus::ResourceDeletion,
            Self::Deadline { .. } | Self::Refused(Refusal::Unreachable { .. }) => ExitStatus::Deadline,
            Self::Authentication { .. } => ExitStatus::Authentication,
            Self::Poison { .. } => ExitStatus::Poison,
            Self::Incomplete { .. } => ExitStatus::Incomplete,
            Self::Refused(Refusal::Held { .. }) => ExitStatus::Owned,
            Self::Refused(_) | Self::Fenced { .. } => ExitStatus::Shutdown,
            Self::Draining { .. } => ExitStatus::Drained,
            _ => step,
        }
    }
}

/// The text in one line, with control characters escaped: it may come from the wire and go to a terminal.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => plain.push(c),
            c => plain.extend(c.escape_debug()),
        }
    }
    plain
}

/// How and where a run failed.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {cause} (exit {status})")]
pub struct ExecutionError {
    /// The pipeline, operator or replica.
    pub at: String,
    /// The exit code.
    pub status: ExitStatus,
    /// What happened, outermost first, in one line.
    pub cause: String,
}

impl ExecutionError {
    /// Makes an error of what user code or a port returned in a step.
    #[must_use]
    pub fn new(at: impl Into<String>, step: ExitStatus, error: &anyhow::Error) -> Self {
        let status = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<ChannelError>())
            .map_or(step, |e| e.status(step));
        let mut words: Vec<String> = Vec::new();
        for cause in error.chain().map(ToString::to_string) {
            if words.last().is_none_or(|last| !last.contains(&cause)) {
                words.push(cause);
            }
        }
        Self {
            at: at.into(),
            status,
            cause: plain(&words.join(": ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_over_the_wire_reaches_no_terminal_raw() {
        let hostile = "it's \"red\": \u{1b}[31m\nnext\0\u{202e}\u{9b}2J";
        let error = anyhow::anyhow!("bad record: {hostile}");
        let shown = ExecutionError::new("pl.r", ExitStatus::Running, &error).to_string();
        assert!(
            !shown.contains(['\u{1b}', '\n', '\0', '\u{202e}', '\u{9b}']),
            "{shown:?}"
        );
        assert!(
            shown.contains(r#"it's "red": \u{1b}[31m\nnext\0\u{202e}"#),
            "{shown}"
        );
    }

    #[test]
    fn a_port_error_inside_a_users_error_keeps_its_exit_code() {
        let poison = ChannelError::Poison {
            channel: "pl.r.in".into(),
            partition: 2,
            offset: 1042,
            source: CodecError::decode("Greeting", "4 bytes left over"),
        };
        let error = anyhow::Error::from(poison).context("reading greetings");
        let error = ExecutionError::new("pl.r_0", ExitStatus::Running, &error);
        assert_eq!(error.status, ExitStatus::Poison);
        let said = error.to_string();
        for part in [
            "pl.r_0",
            "reading greetings",
            "partition 2, offset 1042",
            "4 bytes left over",
            "exit 121",
        ] {
            assert!(said.contains(part), "{said} lacks {part}");
        }
        assert_eq!(
            said.matches("left over").count(),
            1,
            "nothing is said twice: {said}"
        );
        let plain = ExecutionError::new("pl.r", ExitStatus::Init, &anyhow::anyhow!("no database"));
        assert_eq!(plain.status, ExitStatus::Init);
    }
}
