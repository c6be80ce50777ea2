//! What went wrong in a replica, and what becomes of it then.

use std::panic::AssertUnwindSafe;

use anyhow::Error;
use futures::FutureExt;

use super::{Replica, caught};
use crate::error::{ChannelError, ExecutionError, ExitStatus};
use crate::executor::{Outcome, State, ports};
use crate::protocol::Refusal;

impl Replica {
    /// Notes what went wrong in a state. A source that was told to drain has not failed.
    pub(super) async fn fail(&mut self, state: State, error: &Error) -> Outcome {
        if error
            .chain()
            .any(|cause| matches!(cause.downcast_ref(), Some(ChannelError::Draining { .. })))
        {
            return Outcome::Interrupted;
        }
        if let Some(aborted) = aborted(error)
            && state != State::ResourceDeletion
        {
            let aborted = aborted.to_string();
            return match caught(self.begin_again(&aborted)).await {
                Ok(outcome) => outcome,
                Err(error) => Box::pin(self.fail(State::ServiceStart, &error)).await,
            };
        }
        // Whoever held the replica a moment ago and finds it taken was replaced.
        let held = error
            .downcast_ref()
            .filter(|error| self.rewound && is_held(error));
        let fenced = held.map(|held: &ChannelError| {
            Error::from(ChannelError::Fenced {
                operator: self.full_name().to_owned(),
                reason: held.to_string(),
            })
        });
        let error = fenced.as_ref().unwrap_or(error);
        let step = match state {
            State::Entry => ExitStatus::Configuration,
            State::ServiceStart => ExitStatus::ServiceStart,
            State::ResourceCreation => ExitStatus::ResourceCreation,
            State::OperationInit => ExitStatus::Init,
            State::OperationRunning => ExitStatus::Running,
            State::OperationShutdown => ExitStatus::Shutdown,
            State::ResourceDeletion => ExitStatus::ResourceDeletion,
            State::ServiceShutdown => ExitStatus::ServiceShutdown,
            State::Killed => ExitStatus::Fatal,
        };
        let failure = ExecutionError::new(self.full_name(), step, error);
        self.failure.get_or_insert_with(|| failure.cause.as_str().into());
        self.shared.fail(failure);
        let heard = self.operator.on_error(&self.cx, error);
        if AssertUnwindSafe(heard).catch_unwind().await.is_err() {
            tracing::error!(operator = self.full_name(), "on_error panicked");
        }
        if state == State::OperationShutdown {
            let closing = self.closing();
            ports::close(self.operator.as_mut(), &closing).await;
        }
        Outcome::Failed
    }
}

const fn is_held(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Refused(Refusal::Held { .. }))
}

/// The abort of a transaction in an error of user code or of a port.
fn aborted(error: &Error) -> Option<&ChannelError> {
    let errors = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<ChannelError>());
    errors
        .into_iter()
        .find(|error| matches!(error, ChannelError::Aborted { .. }))
}
