//! Drives the protocol of one channel in one process: the machine, its clock and its status log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{ChannelSpec, StatusEvent, StatusLog};
use crate::error::ChannelError;
use crate::protocol::{
    Covering, LocalEvent, Machine, MemberId, Membership, Process, Readiness, RunId, Siblings, Side,
    StatusError, StatusRecord, Upstream, decode, encode,
};

/// How often the cause of a wait, and silent peers, are logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The machine's answers as they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Of each local member.
    pub memberships: BTreeMap<MemberId, Membership>,
    /// Whether writers may send.
    pub readiness: Readiness,
    /// What readers know of their writers.
    pub upstream: Upstream,
    /// Whether no writer that was heard is at work any more.
    pub writers_gone: bool,
    /// What the principal knows of its replicas.
    pub siblings: Siblings,
    /// The local members whose newest word is not in the log yet.
    pub unsettled: BTreeSet<MemberId>,
    /// How many local events these answers know of.
    told: u64,
    /// Why everything here has to stop.
    pub trouble: Option<Trouble>,
}

/// Takes a member's leave if its port is given up while it opens, so that nobody waits for it.
#[derive(Debug)]
pub(crate) struct Leave {
    session: ChannelSession,
    member: MemberId,
    event: Option<LocalEvent>,
}

impl Leave {
    /// From now on the member says `event` when this is dropped.
    pub(crate) const fn with(session: ChannelSession, member: MemberId, event: LocalEvent) -> Self {
        Self {
            session,
            member,
            event: Some(event),
        }
    }

    /// The port is open: it says itself how it goes.
    pub(crate) fn cancel(mut self) {
        self.event = None;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.session.tell(self.member, event);
        }
    }
}

/// An error that compares by its words, so that a view that says the same is the same.
#[derive(Debug, Clone)]
pub struct Trouble(pub ChannelError);

impl PartialEq for Trouble {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

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

/// The thread that carries the status of all channels, so that user code which blocks never silences a heartbeat.
#[derive(Debug)]
pub struct ControlThread {
    runtime: tokio::runtime::Handle,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ControlThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system's error if there can be no thread or timer.
    pub fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("pypz-control".into())
            .spawn(move || runtime.block_on(stopped.notified()))?;
        Ok(Self {
            runtime: handle,
            stop,
            thread: Some(thread),
        })
    }

    /// A handle by which others spawn.
    #[must_use]
    pub const fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }
}

impl Drop for ControlThread {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl ChannelSession {
    /// Starts the protocol of a channel. Without a status log all members live in this process and hear each other alone.
    #[must_use]
    pub fn start(
        spec: Arc<ChannelSpec>,
        log: Option<Box<dyn StatusLog>>,
        control: &tokio::runtime::Handle,
    ) -> Self {
        let machine = Machine::new(
            Arc::clone(&spec.layout),
            Process::current(),
            spec.timing,
            spec.run_policy,
        );
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
        let urgent = !matches!(event, LocalEvent::Position(_) | LocalEvent::Source(_));
        let mut machine = self.shared.lock();
        machine.on_local(member, event);
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

    /// Joins the run that the principal reader has opened, or opens it.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Refused`] if somebody else holds the member, [`ChannelError::Deadline`] after the patience.
    pub async fn join(&self, member: MemberId) -> Result<Joined, ChannelError> {
        self.tell(member, LocalEvent::Join);
        self.wait_for(member, |view| match view.memberships.get(&member) {
            Some(Membership::Established {
                run,
                epoch,
                position,
                source,
                finished,
            }) => Verdict::Ready(Joined {
                run: *run,
                epoch: *epoch,
                position: *position,
                source: source.clone(),
                finished: *finished,
            }),
            Some(Membership::Waiting(cause)) => Verdict::Waiting((*cause).to_owned()),
            Some(Membership::Refused(_)) | None => Verdict::Waiting("its turn".to_owned()),
        })
        .await
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

    /// Waits for an answer at most for the patience, logs the cause every 10 s and names it at the end.
    async fn wait_for<T>(
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

/// Whether a writer may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It may.
    Normal,
    /// Its heartbeats do not come through: it must pause before peers take it for lost.
    Suspended,
}

enum Verdict<T> {
    Ready(T),
    Waiting(String),
}

fn shorten(names: &[String]) -> String {
    match names {
        [first, second, third, _, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more", rest.len() + 1)
        }
        few => few.join(", "),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(spec: &ChannelSpec, machine: &Machine, told: u64, trouble: Option<ChannelError>) -> View {
        let readers = spec.local_readers.iter().copied().map(MemberId::reader);
        let writers = spec.local_writers.iter().copied().map(MemberId::writer);
        let local: Vec<MemberId> = readers.chain(writers).collect();
        View {
            memberships: local
                .iter()
                .map(|member| (*member, machine.membership(*member)))
                .collect(),
            readiness: machine.readiness(),
            upstream: machine.upstream(),
            writers_gone: machine.writers_are_gone(),
            siblings: machine.siblings(),
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
    fn refresh(&self, machine: &Machine, trouble: Option<ChannelError>) {
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

    /// Takes an event in; a message that cannot be heard is counted in the log and costs nothing else.
    fn hear(&self, event: StatusEvent) {
        match event {
            StatusEvent::HistoryRead => self.lock().on_history_read(),
            StatusEvent::Record(record) => match decode(&self.spec.layout, record.side, &record.bytes) {
                Ok(report) => self.lock().on_report(record.side, &report),
                Err(StatusError::ForeignChannel | StatusError::PlainPeer) => {}
                Err(error) => {
                    let channel = self.spec.name();
                    tracing::debug!(
                        channel,
                        "status message not heard: {}",
                        error.to_string().escape_debug()
                    );
                }
            },
        }
    }
}

/// The status log of a channel that never leaves the process: what is published comes back at once.
#[derive(Default)]
struct Loopback {
    history_read: bool,
    records: std::collections::VecDeque<StatusRecord>,
}

#[async_trait]
impl StatusLog for Loopback {
    async fn next(&mut self) -> Result<StatusEvent, ChannelError> {
        if !std::mem::replace(&mut self.history_read, true) {
            return Ok(StatusEvent::HistoryRead);
        }
        match self.records.pop_front() {
            Some(record) => Ok(StatusEvent::Record(record)),
            None => std::future::pending().await,
        }
    }

    fn publish(&mut self, record: StatusRecord) -> Result<(), ChannelError> {
        self.records.push_back(record);
        Ok(())
    }
}

/// Carries the status of one channel until the session ends.
async fn drive(shared: Arc<Shared>, mut log: Box<dyn StatusLog>) {
    let mut history_read = false;
    let mut suspects_logged = Instant::now();
    while !shared.ended.load(Ordering::Acquire) {
        let (reports, next_tick) = {
            let mut machine = shared.lock();
            machine.on_tick(shared.started.elapsed());
            (machine.take_reports(), machine.next_tick())
        };
        publish(&shared, log.as_mut(), reports);
        if history_read {
            let machine = shared.lock();
            shared.refresh(&machine, None);
            if suspects_logged.elapsed() > LOG_EVERY {
                suspects_logged = Instant::now();
                for suspect in machine.suspects() {
                    tracing::warn!(channel = shared.spec.name(), "suspect: {suspect}");
                }
            }
        }
        let tick = Box::pin(tokio::time::sleep_until(shared.started + next_tick));
        tokio::select! {
            event = log.next() => {
                let mut next = Some(event);
                while let Some(event) = next.take() {
                    match event {
                        Ok(event) => {
                            history_read |= event == StatusEvent::HistoryRead;
                            shared.hear(event);
                        }
                        Err(error) => return shared.refresh(&shared.lock(), Some(error)),
                    }
                    next = log.next().now_or_never();
                }
            }
            () = shared.kick.notified() => {}
            () = tick => {}
        }
    }
    // The last words of the members are flushed by whoever ended the session, before it did so.
}

fn publish(
    shared: &Shared,
    log: &mut dyn StatusLog,
    reports: Vec<(crate::protocol::Side, crate::protocol::Report)>,
) {
    let timestamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let timestamp = i64::try_from(timestamp).unwrap_or(i64::MAX);
    for (side, report) in reports {
        if let Err(error) = log.publish(encode(&shared.spec.layout, side, report, timestamp)) {
            tracing::warn!(channel = shared.spec.name(), "status not published: {error}");
        }
    }
}
