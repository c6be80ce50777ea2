//! Waits for an answer of the protocol, with a deadline and a named cause.

use std::sync::Arc;

use tokio::time::Instant;

use super::{ChannelSession, LOG_EVERY, View};
use crate::error::ChannelError;
use crate::protocol::MemberId;

impl ChannelSession {
    /// Waits for an answer at most for the patience, logs the cause every 10 s and names it at the end.
    pub(super) async fn wait_for<T>(
        &self,
        member: MemberId,
        answer: impl Fn(&View) -> Verdict<T> + Send,
    ) -> Result<T, ChannelError> {
        let patience = self.shared.spec.timing.patience;
        let deadline = Instant::now() + patience;
        let port = self.name(member);
        let mut view = self.watch();
        loop {
            let seen = Arc::clone(&view.borrow_and_update());
            let cause = match answer(&seen) {
                Verdict::Ready(answer) => return Ok(answer),
                Verdict::Waiting(cause) => cause,
            };
            self.check(member)?;
            if Instant::now() >= deadline {
                let (port, seconds) = (port.to_owned(), patience.as_secs());
                return Err(ChannelError::Deadline {
                    port,
                    waited_for: cause,
                    seconds,
                });
            }
            let log_at = (Instant::now() + LOG_EVERY).min(deadline);
            if tokio::time::timeout_at(log_at, view.changed()).await.is_err() {
                let left = deadline.saturating_duration_since(Instant::now()).as_secs();
                tracing::info!(port, "waiting for {cause}, {left} s left");
            }
        }
    }
}

/// What a look at the answers gave.
pub(super) enum Verdict<T> {
    /// The answer.
    Ready(T),
    /// What is waited for.
    Waiting(String),
}

/// Names the first few.
pub(super) fn shorten(names: &[String]) -> String {
    match names {
        [first, second, third, _, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more", rest.len() + 1)
        }
        few => few.join(", "),
    }
}
