//! What a session shows of its machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use crate::channel::ChannelSpec;
use crate::error::ChannelError;
use crate::protocol::{Machine, MemberId, Membership, Readiness, Siblings, Upstream};

/// The machine's answers as they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Of each local member.
    pub memberships: BTreeMap<MemberId, Membership>,
    /// Whether writers may send.
    pub readiness: Readiness,
    /// What readers know of their writers.
    pub upstream: Upstream,
    /// Whether no writer sends any more, though some of what was sent may be on its way.
    pub writers_stopped: bool,
    /// Whether no writer that was heard is at work any more.
    pub writers_gone: bool,
    /// What the principal knows of its replicas.
    pub siblings: Siblings,
    /// Whether every plain writer has closed.
    pub plain_writers_left: bool,
    /// The local members that had finished in the last run, which is closed.
    pub completed: BTreeSet<MemberId>,
    /// Grows whenever a reader acknowledges something.
    pub acknowledged: u64,
    /// The local members whose newest word is not in the log yet.
    pub unsettled: BTreeSet<MemberId>,
    /// How many local events these answers know of.
    pub(super) told: u64,
    /// Why everything here has to stop.
    pub trouble: Option<Trouble>,
}

/// An error that compares by its words, so that a view that says the same is the same.
#[derive(Debug, Clone)]
pub struct Trouble(pub ChannelError);

impl PartialEq for Trouble {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Shared {
    pub(super) fn look(
        spec: &ChannelSpec,
        machine: &Machine,
        told: u64,
        trouble: Option<ChannelError>,
    ) -> View {
        let readers = spec.local_readers.iter().copied().map(MemberId::reader);
        let writers = spec.local_writers.iter().copied().map(MemberId::writer);
        let local: Vec<MemberId> = readers.chain(writers).collect();
        let is_log = spec.is_log();
        View {
            memberships: local
                .iter()
                .map(|member| (*member, machine.membership(*member)))
                .collect(),
            readiness: machine.readiness(),
            writers_stopped: machine.upstream() != Upstream::Sending,
            upstream: match machine.on_the_way() {
                Some(_) if !is_log => Upstream::Sending,
                _ => machine.upstream(),
            },
            writers_gone: machine.writers_are_gone(),
            siblings: machine.siblings(),
            plain_writers_left: machine.plain_writers_left(),
            completed: local
                .iter()
                .copied()
                .filter(|member| machine.completed(*member).is_some())
                .collect(),
            acknowledged: machine.acknowledged_revision(),
            unsettled: local
                .iter()
                .copied()
                .filter(|member| !machine.has_settled(*member))
                .collect(),
            told,
            trouble: trouble
                .or_else(|| machine.trouble().map(ChannelError::Refused))
                .map(Trouble),
        }
    }

    /// Publishes the answers if they changed.
    pub(super) fn refresh(&self, machine: &Machine, trouble: Option<ChannelError>) {
        let view = Self::look(&self.spec, machine, self.told.load(Ordering::Acquire), trouble);
        let refused = view
            .memberships
            .values()
            .any(|membership| matches!(membership, Membership::Refused(_)));
        self.alarm.store(
            refused || view.trouble.is_some() || machine.is_suspended(),
            Ordering::Relaxed,
        );
        self.view.send_if_modified(|shown| {
            let changed = **shown != view;
            if changed {
                *shown = Arc::new(view);
            }
            changed
        });
    }
}
