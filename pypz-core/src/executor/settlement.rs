//! How what a replica has processed is settled: by commits behind acknowledgements, or in transactions.

use super::commit::CommitTracker;
use super::round::RoundMember;
use crate::channel::Consumed;
use crate::error::ChannelError;
use crate::protocol::MAX_SOURCE_BYTES;

/// What was consumed until now: the offset behind the last record of each input, and where a source is.
#[derive(Debug, Default)]
pub(super) struct Progressed {
    pub(super) positions: Vec<u64>,
    pub(super) source: Option<String>,
}

/// How one replica's progress is settled.
pub(super) enum Settlement {
    /// Positions are committed once what was made from them is acknowledged.
    Tracked(CommitTracker),
    /// In the transactions of the operator's rounds.
    InRounds(InRounds),
}

/// One replica's part in the rounds.
pub(super) struct InRounds {
    pub(super) member: RoundMember,
    /// Of each input port its channel's place in the scope, and its reader.
    pub(super) readers: Vec<(usize, u32)>,
    pub(super) replica: u32,
    /// The position that a source has said last.
    pub(super) source: Option<String>,
    /// For messages.
    pub(super) operator: String,
}

impl InRounds {
    fn consumed(&mut self, progressed: Progressed) -> Result<Vec<Consumed>, ChannelError> {
        if self.readers.is_empty() && progressed.source.is_none() && self.member.has_sent() {
            return Err(ChannelError::Configuration {
                port: self.operator.clone(),
                reason: "a source has to say where it is (cx.advance) in every on_running that sends: exactly-once cannot \
                         hold otherwise"
                    .to_owned(),
            });
        }
        if progressed.source.is_some() {
            self.source = progressed.source;
        }
        let inputs = progressed.positions.into_iter().zip(&self.readers);
        let inputs = inputs.map(|(offset, (input, reader))| Consumed::Input {
            input: *input,
            reader: *reader,
            offset,
        });
        let source = self.source.clone().map(|text| Consumed::Source {
            replica: self.replica,
            text,
        });
        Ok(inputs.chain(source).collect())
    }
}

impl Settlement {
    /// Nothing that could be settled.
    pub(super) fn none() -> Self {
        Self::Tracked(CommitTracker::new(Vec::new(), Vec::new(), None))
    }

    /// Notes what was processed and settles what can be; in rounds it may wait for the others.
    pub(super) async fn note(&mut self, progressed: Progressed) -> Result<(), ChannelError> {
        if let Some(text) = progressed
            .source
            .as_ref()
            .filter(|text| text.len() > MAX_SOURCE_BYTES)
        {
            return Err(ChannelError::Configuration {
                port: "cx.advance".to_owned(),
                reason: format!(
                    "a position of {} bytes, the limit is {MAX_SOURCE_BYTES}",
                    text.len()
                ),
            });
        }
        match self {
            Self::Tracked(tracker) => {
                tracker.checkpoint(progressed.positions, progressed.source);
                tracker.settle()
            }
            Self::InRounds(rounds) => {
                let consumed = rounds.consumed(progressed)?;
                rounds.member.checkpoint(consumed).await
            }
        }
    }

    /// Settles what is acknowledged meanwhile, for as long as it is polled; returns when nothing can be settled any more.
    /// Cancel-safe.
    pub(super) async fn go_on(&mut self) -> ChannelError {
        match self {
            Self::Tracked(tracker) => loop {
                if !tracker.is_waiting() {
                    std::future::pending::<()>().await;
                }
                tracker.changed().await;
                if let Err(error) = tracker.settle() {
                    return error;
                }
            },
            Self::InRounds(rounds) => rounds.member.broken().await,
        }
    }

    /// Whether the outputs have to be acknowledged before [`Settlement::finish`].
    pub(super) const fn needs_flush(&self) -> bool {
        matches!(self, Self::Tracked(_))
    }

    /// Waits until the broker holds everything that was noted. What a replica in rounds has sent and not noted is aborted.
    pub(super) async fn finish(&mut self) -> Result<(), ChannelError> {
        match self {
            Self::Tracked(tracker) => {
                tracker.settle()?;
                tracker.flush().await
            }
            Self::InRounds(rounds) => {
                if rounds.member.has_sent() {
                    rounds
                        .member
                        .abort("a replica stopped before it had said what it made its records from");
                }
                rounds.member.commit().await
            }
        }
    }
}
