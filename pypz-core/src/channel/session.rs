//! Drives the protocol of one channel in one process: the machine, its clock and its status log.

mod acknowledged;
mod arrived;
mod control;
mod driver;
mod leave;
mod leftovers;
mod loopback;
mod schema;
mod view;
mod wait;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use control::ControlThread;
pub(crate) use leave::Leave;
pub use view::{Trouble, View};

use super::{ChannelSpec, Delivery, StatusLog};
use crate::error::ChannelError;
use crate::protocol::{
    Covering, LocalEvent, Machine, MemberId, Membership, Process, ProcessId, Readiness, RunId, Siblings, Side,
};
use driver::drive;
use loopback::Loopback;
use wait::{Verdict, shorten};

/// How often the cause of a wait, and silent peers, are logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What a member learns when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The run it takes part in.
    pub run: RunId,
    /// Its incarnation in the run, from 1. More than 1 means that it was there before.
    pub epoch: u32,
    /// The position that the status log holds for it (broadcast readers).
    pub position: Option<u64>,
    /// Where the status log says that it goes on, in its own words (sources).
    pub source: Option<String>,
    /// Whether an earlier incarnation has done all that is expected of the member in this run.
    pub finished: bool,
    /// Whether an earlier incarnation has said that all work of its replica in this run is done, on every channel.
    pub settled: bool,
}

/// The protocol of one channel, shared by all its members in this process.
#[derive(Debug, Clone)]
pub struct ChannelSession {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spec: Arc<ChannelSpec>,
    machine: Mutex<Machine>,
    view: watch::Sender<Arc<View>>,
    alarm: AtomicBool,
    told: AtomicU64,
    kick: Notify,
    ended: AtomicBool,
    started: Instant,
}

impl ChannelSession {
    /// Starts the protocol of a channel in this process, which is the same on all its channels. Without a status log all
    /// members live here and hear each other alone.
    #[must_use]
    pub fn start(
        spec: Arc<ChannelSpec>,
        process: Process,
        log: Option<Box<dyn StatusLog>>,
        control: &tokio::runtime::Handle,
    ) -> Self {
        let machine = Machine::new(Arc::clone(&spec.layout), process, spec.timing, spec.run_policy);
        let view = watch::Sender::new(Arc::new(Shared::look(&spec, &machine, 0, None)));
        let shared = Arc::new(Shared {
            spec,
            machine: Mutex::new(machine),
            view,
            alarm: AtomicBool::new(false),
            told: AtomicU64::new(0),
            kick: Notify::new(),
            ended: AtomicBool::new(false),
            started: Instant::now(),
        });
        control.spawn(drive(
            Arc::clone(&shared),
            log.unwrap_or_else(|| Box::<Loopback>::default()),
        ));
        Self { shared }
    }

    /// The channel.
    #[must_use]
    pub fn spec(&self) -> &Arc<ChannelSpec> {
        &self.shared.spec
    }

    /// The full port name of a member.
    #[must_use]
    pub fn name(&self, member: MemberId) -> &str {
        self.shared.spec.layout.name(member)
    }

    /// Tells the protocol what a local member does.
    pub fn tell(&self, member: MemberId, event: LocalEvent) {
        // A position travels with the next report: it is not worth a report of its own.
        let is_count = matches!(event, LocalEvent::Received { .. });
        let is_event = !matches!(
            event,
            LocalEvent::Position(_) | LocalEvent::Source(_) | LocalEvent::Sent(_)
        );
        let mut machine = self.shared.lock();
        let revision = machine.revision();
        if let LocalEvent::Sent(count) | LocalEvent::Received { count, .. } = &event
            && self.shared.spec.measures(member)
        {
            machine.measure(member, self.shared.started.elapsed(), *count);
        }
        machine.on_local(member, event);
        let urgent = is_event && (!is_count || machine.revision() != revision);
        if urgent {
            self.shared.told.fetch_add(1, Ordering::Release);
            self.shared.kick.notify_one();
        }
    }

    /// The answers, and every change of them.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.shared.view.subscribe()
    }

    /// Whether something is wrong enough that a writer must look before it goes on: one load of an atomic.
    #[must_use]
    pub fn is_alarmed(&self) -> bool {
        self.shared.alarm.load(Ordering::Relaxed)
    }

    /// Fails if a member must stop; says whether it must pause.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Refused`] or the trouble of the channel.
    pub fn check(&self, member: MemberId) -> Result<Pace, ChannelError> {
        let view = Arc::clone(&self.shared.view.borrow());
        if let Some(Membership::Refused(refusal)) = view.memberships.get(&member) {
            return Err(ChannelError::Refused(refusal.clone()));
        }
        if let Some(Trouble(error)) = &view.trouble {
            return Err(error.clone());
        }
        Ok(if self.shared.lock().is_suspended() {
            Pace::Suspended
        } else {
            Pace::Normal
        })
    }

    /// Joins the run that the principal reader has opened, or opens it. `None` if an earlier incarnation had finished and the
    /// run was closed meanwhile: there is nothing left to do.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Refused`] if somebody else holds the member, [`ChannelError::Deadline`] after the patience.
    pub async fn join(&self, member: MemberId) -> Result<Option<Joined>, ChannelError> {
        self.tell(member, LocalEvent::Join);
        let is_done = |view: &View| view.trouble.is_some() && view.completed.contains(&member);
        self.wait_for(member, |view| match view.memberships.get(&member) {
            // Somebody else has deleted what was left of the run, and this member's part in it was done.
            _ if is_done(view) => Verdict::Ready(None),
            Some(Membership::Established {
                run,
                epoch,
                position,
                source,
                finished,
                settled,
            }) => Verdict::Ready(Some(Joined {
                run: *run,
                epoch: *epoch,
                position: *position,
                source: source.clone(),
                finished: *finished,
                settled: *settled,
            })),
            Some(Membership::Over(run)) => {
                let port = self.name(member);
                tracing::info!(port, "run {run} is complete: it had finished before");
                Verdict::Ready(None)
            }
            Some(Membership::Waiting(cause)) => Verdict::Waiting((*cause).to_owned()),
            Some(Membership::Refused(_)) | None => Verdict::Waiting("its turn".to_owned()),
        })
        .await
    }

    /// Processes that did not defend a member against this one: they are gone, or stop as a whole when they find out.
    pub(crate) fn replaced(&self) -> BTreeSet<ProcessId> {
        self.shared.lock().replaced().clone()
    }

    /// Takes in which processes are known to be replaced from other channels: nobody waits here for their answer again.
    pub(crate) fn learn_replaced(&self, replaced: &BTreeSet<ProcessId>) {
        self.shared.lock().learn_replaced(replaced);
    }

    /// Waits, without a deadline, until the log says that the last run is closed and that the member had finished in it.
    pub async fn completed(&self, member: MemberId) {
        let mut view = self.watch();
        while !view.borrow_and_update().completed.contains(&member) {
            if view.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Which members of a side ever lived together in a process, as far as the status log tells, in whatever run.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Mismatch`] if there were more ways than anybody can remember.
    pub fn coverings(&self, side: Side) -> Result<BTreeSet<Covering>, ChannelError> {
        self.shared.lock().coverings(side).ok_or_else(|| ChannelError::Mismatch {
            object: format!("the status of channel {}", self.shared.spec.name()),
            reason: "too many processes have held its replicas to fence them all: let the run end, or give it \
                     up (--fresh), and delete its resources"
                .to_owned(),
        })
    }

    /// Whether counts are kept for plain peers, which some members of the channel may be.
    #[must_use]
    pub fn counts_records(&self) -> bool {
        !self.shared.spec.layout.foreign.is_empty()
    }

    /// To whom the channel's runs belong as long as nothing else is known.
    #[must_use]
    pub fn keeper(&self) -> MemberId {
        self.shared.spec.layout.keeper()
    }

    /// How many records of the run a reader was given before, and at which position it was then.
    #[must_use]
    pub fn received_before(&self, reader: u32) -> Option<(u64, u64)> {
        self.shared.lock().received_before(reader)
    }

    /// Compares, when all is read, what plain writers say that they sent with what our readers received.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Incomplete`] with both numbers.
    pub fn reconcile(&self) -> Result<(), ChannelError> {
        let Some(counts) = self.shared.lock().counts() else {
            return Ok(());
        };
        let sent = counts.sent();
        let received = match self.shared.spec.delivery {
            Delivery::Broadcast => counts.received.iter().copied().min().unwrap_or(0),
            Delivery::Shared | Delivery::ByKey => counts.received.iter().sum(),
        };
        let port = self.name(MemberId::PRINCIPAL);
        if received < sent {
            let words = counts.words();
            return Err(ChannelError::Incomplete {
                port: port.to_owned(),
                cause: format!(
                    "{received} of {sent} records were received ({words}, pypz-python, {} were sent by ours)",
                    counts.ours
                ),
            });
        }
        for writer in &counts.plain {
            let name = &writer.name;
            tracing::info!(
                port,
                "peer {name} is pypz-python (no end markers): counts reconciled {received}/{sent}"
            );
        }
        Ok(())
    }

    /// Waits until plain writers have closed what they have open, at most for the patience: nobody else waits for it.
    pub async fn plain_writers_left(&self) {
        let (mut view, patience) = (self.watch(), self.shared.spec.timing.patience);
        let left =
            async { while !view.borrow_and_update().plain_writers_left && view.changed().await.is_ok() {} };
        if tokio::time::timeout(patience, left).await.is_err() {
            let (channel, seconds) = (self.shared.spec.name(), patience.as_secs());
            tracing::warn!(
                channel,
                "a writer of pypz-python has stopped but not closed for {seconds} s: the channel is deleted without it"
            );
        }
    }

    /// Waits until all expected readers are positioned.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] names the missing ones.
    pub async fn readers_ready(&self, writer: MemberId) -> Result<(), ChannelError> {
        self.wait_for(writer, |view| match &view.readiness {
            Readiness::Ready => Verdict::Ready(()),
            Readiness::Waiting { missing } => Verdict::Waiting(format!("readers {}", shorten(missing))),
        })
        .await
    }

    /// Waits, without a deadline of its own, until all replicas of the principal have read to the end: a replica that is
    /// lost or fails ends it.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Incomplete`] names the replica.
    pub async fn replicas_finished(&self) -> Result<(), ChannelError> {
        let mut view = self.watch();
        loop {
            let seen = Arc::clone(&view.borrow_and_update());
            let incomplete = |cause: &str| ChannelError::Incomplete {
                port: self.name(MemberId::PRINCIPAL).to_owned(),
                cause: cause.to_owned(),
            };
            match &seen.siblings {
                Siblings::Finished => return Ok(()),
                Siblings::Failed { cause } => return Err(incomplete(cause)),
                Siblings::Reading { unfinished } => {
                    self.check(MemberId::PRINCIPAL)?;
                    if tokio::time::timeout(LOG_EVERY, view.changed()).await.is_err() {
                        let port = self.name(MemberId::PRINCIPAL);
                        tracing::info!(port, "waiting for replicas to finish: {}", shorten(unfinished));
                    }
                }
            }
        }
    }

    /// Waits until the newest word of a local member is in the log.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Refused`] if it is not to be heard any more, [`ChannelError::Deadline`] after the patience.
    pub async fn settle(&self, member: MemberId) -> Result<(), ChannelError> {
        let patience = self.shared.spec.timing.patience;
        let (mut view, told) = (self.watch(), self.shared.told.load(Ordering::Acquire));
        let settled = async {
            let is_settled = |view: &View| view.told >= told && !view.unsettled.contains(&member);
            while !is_settled(&view.borrow_and_update()) && !self.shared.ended.load(Ordering::Acquire) {
                self.check(member)?;
                if view.changed().await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout(patience, settled).await.unwrap_or_else(|_| {
            Err(ChannelError::Deadline {
                port: self.name(member).to_owned(),
                waited_for: "its last word to be in the status log".to_owned(),
                seconds: patience.as_secs(),
            })
        })
    }

    /// Ends the protocol in this process; nothing more is published.
    pub fn end(&self) {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.kick.notify_one();
        self.shared.view.send_modify(|_| {});
    }
}

/// Whether a writer may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It may.
    Normal,
    /// Its heartbeats do not come through: it must pause before peers take it for lost.
    Suspended,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
