//! The states of one replica and the one function between them.

use super::ExecutionMode;

/// pypz's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing was done.
    Entry,
    /// Services start, in the order of their dependencies.
    ServiceStart,
    /// The principal creates resources.
    ResourceCreation,
    /// Ports open, `on_init`.
    OperationInit,
    /// `on_running`.
    OperationRunning,
    /// `on_shutdown`, ports close.
    OperationShutdown,
    /// The principal deletes resources.
    ResourceDeletion,
    /// Services shut down, in reverse order.
    ServiceShutdown,
    /// All is done.
    Killed,
}

/// How a pass through a state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The state's work is done.
    Done,
    /// There is more of it.
    Again,
    /// A transaction came to nothing: it begins again.
    Rewound,
    /// It failed, now or in a state before.
    Failed,
    /// A signal came before it was done.
    Interrupted,
}

/// The state after a pass. It has no effects: the executor's steps have them.
///
/// After a failure or a signal nothing is deleted, but what was opened is closed and what was started is shut down.
#[must_use]
pub const fn next(state: State, outcome: Outcome, mode: ExecutionMode) -> State {
    use ExecutionMode::{ResourceCreationOnly, ResourceDeletionOnly, Skip, WithoutResourceDeletion};
    use Outcome::{Again, Done, Failed, Interrupted, Rewound};
    use State::*;
    match (state, outcome) {
        (state, Again) => state,
        (OperationInit | OperationRunning | OperationShutdown, Rewound) => OperationInit,
        (Entry, Done) => match mode {
            Skip => Killed,
            _ => ServiceStart,
        },
        (ServiceStart, Done) => match mode {
            ResourceDeletionOnly => ResourceDeletion,
            _ => ResourceCreation,
        },
        (ResourceCreation, Done) => match mode {
            ResourceCreationOnly => ServiceShutdown,
            _ => OperationInit,
        },
        (OperationInit, Done) => OperationRunning,
        (OperationInit, Failed | Interrupted) | (OperationRunning, Done | Failed | Interrupted) => {
            OperationShutdown
        }
        (OperationShutdown, Done) => match mode {
            WithoutResourceDeletion => ServiceShutdown,
            _ => ResourceDeletion,
        },
        (ServiceStart | ResourceCreation | OperationShutdown, Failed | Interrupted | Rewound) => {
            ServiceShutdown
        }
        (ResourceDeletion, _) => ServiceShutdown,
        (Entry | ServiceShutdown | Killed, _) => Killed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExecutionMode::*;
    use Outcome::*;
    use State::*;

    const STATES: [State; 9] = [
        Entry,
        ServiceStart,
        ResourceCreation,
        OperationInit,
        OperationRunning,
        OperationShutdown,
        ResourceDeletion,
        ServiceShutdown,
        Killed,
    ];

    #[test]
    fn every_mode_goes_its_way_when_all_is_done() {
        let table: [(ExecutionMode, &[State]); 5] = [
            (Skip, &[Entry, Killed]),
            (Standard, &STATES),
            (
                WithoutResourceDeletion,
                &[
                    Entry,
                    ServiceStart,
                    ResourceCreation,
                    OperationInit,
                    OperationRunning,
                    OperationShutdown,
                    ServiceShutdown,
                    Killed,
                ],
            ),
            (
                ResourceCreationOnly,
                &[Entry, ServiceStart, ResourceCreation, ServiceShutdown, Killed],
            ),
            (
                ResourceDeletionOnly,
                &[Entry, ServiceStart, ResourceDeletion, ServiceShutdown, Killed],
            ),
        ];
        for (mode, way) in table {
            for pair in way.windows(2) {
                assert_eq!(next(pair[0], Done, mode), pair[1], "{mode} from {:?}", pair[0]);
            }
        }
    }

    #[test]
    fn a_failure_or_a_signal_closes_what_is_open_and_deletes_nothing() {
        for outcome in [Failed, Interrupted] {
            for (from, to) in [
                (Entry, Killed),
                (ServiceStart, ServiceShutdown),
                (ResourceCreation, ServiceShutdown),
                (OperationInit, OperationShutdown),
                (OperationRunning, OperationShutdown),
                (OperationShutdown, ServiceShutdown),
                (ResourceDeletion, ServiceShutdown),
                (ServiceShutdown, Killed),
                (Killed, Killed),
            ] {
                assert_eq!(next(from, outcome, Standard), to, "{from:?} after {outcome:?}");
            }
        }
    }

    #[test]
    fn every_state_is_passed_again_until_it_is_done_and_every_way_ends() {
        for mode in ExecutionMode::ALL {
            for state in STATES {
                assert_eq!(next(state, Again, mode), state);
                for outcome in [Done, Failed, Interrupted] {
                    let end = (0..STATES.len()).fold(state, |state, _| next(state, outcome, mode));
                    assert_eq!(end, Killed, "{state:?} in {mode}");
                }
            }
        }
    }
}
