//! What an open input port does: reads, waits, and finds out that nothing more comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::count::{Count, positioned};
use super::ending::Ending;
use super::gate::Gate;
use super::link::{Closing, InputLink, cause_of};
use super::poison::{DeadLetters, Poison};
use super::sequential::writers_finished;
use super::sink::Sink;
use super::status_committer::StatusCommitter;
use crate::channel::{ChannelReader, ChannelSession, Committer, Delivery, Leave, StartAt, View};
use crate::codec::{Codec, Translation};
use crate::error::ChannelError;
use crate::executor::{Phase, Shutdown};
use crate::protocol::{LocalEvent, MemberId, Upstream};

/// The pause before the end is asked for again of a broker that did not tell it.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// An input port that is open.
pub(super) struct Retrieval<T, C> {
    /// Says that the reader is gone, should the port never be closed.
    leave: Leave,
    pub(super) name: String,
    pub(super) member: MemberId,
    pub(super) session: ChannelSession,
    view: watch::Receiver<Arc<View>>,
    /// The protocol's answers changed and were not looked at to the end: a look that is cancelled is taken up again.
    unseen: bool,
    pub(super) reader: Box<dyn ChannelReader>,
    shutdown: Shutdown,
    pub(super) ends_cycle: bool,
    volatile: bool,
    pub(super) sink: Sink<T, C>,
    pub(super) dead_letters: Option<DeadLetters>,
    /// Where counts are kept for plain peers: the records of the run that were given to this reader.
    count: Option<Count>,
    /// How many of those that were set aside are counted.
    counted_aside: u64,
    /// The offset behind the last record that user code was given.
    pub(super) given: u64,
    ending: Ending,
    pub(super) ended: bool,
    pub(super) was_finished: bool,
    /// Where it began, if an earlier incarnation was there: one that has read everything leaves nothing to read.
    resumed: Option<u64>,
}

impl<T: Send + 'static, C: Codec<T>> Retrieval<T, C> {
    /// Positions the reader and says that it is ready.
    pub(super) async fn open(
        link: InputLink,
        codec: C,
        translation: Option<Translation>,
    ) -> Result<Self, ChannelError> {
        let InputLink {
            session,
            joined,
            leave,
            mut reader,
            member,
            ends_cycle,
            volatile,
            shutdown,
            dead_letters,
            round,
        } = link;
        let name = session.name(member).to_owned();
        let start = match session.spec().delivery {
            Delivery::Broadcast => StartAt::Offset(joined.position.unwrap_or(0)),
            Delivery::Shared | Delivery::ByKey => StartAt::Committed,
        };
        reader.open(start).await?;
        if joined.epoch > 1 {
            let (port, epoch) = (&name, joined.epoch);
            tracing::info!(port, epoch, "resumed at offset {}", reader.position());
        }
        let poison = Poison::new(session.spec(), &name, dead_letters.is_some());
        let gate = Gate {
            name: name.clone(),
            member,
            session: session.clone(),
            source: false,
            shutdown: shutdown.clone(),
            round,
        };
        let dead_letters = DeadLetters::open(gate, dead_letters).await?;
        let (view, given) = (session.watch(), reader.position());
        let count = positioned(&session, member, given).await?;
        let mut opened = Self {
            count,
            leave,
            name,
            member,
            session,
            view,
            unseen: true,
            reader,
            shutdown,
            ends_cycle,
            volatile,
            sink: Sink::new(codec, translation, poison),
            dead_letters,
            given,
            counted_aside: 0,
            ending: Ending::default(),
            ended: false,
            was_finished: joined.finished,
            resumed: (joined.epoch > 1).then_some(given),
        };
        opened.count(0);
        Ok(opened)
    }

    /// Commits the positions of this reader.
    pub(super) fn committer(&self) -> Arc<dyn Committer> {
        self.reader
            .committer()
            .unwrap_or_else(|| Arc::new(StatusCommitter::new(self.session.clone(), self.member)))
    }

    /// Says how the reader went.
    pub(super) async fn close(mut self, closing: &Closing) -> Result<(), ChannelError> {
        let (session, member) = (self.session.clone(), self.member);
        if let Some(letters) = self.dead_letters.take() {
            letters.close().await;
        }
        let closed = match closing {
            Closing::Finished => self.finish().await,
            Closing::Failed(cause) => {
                self.reader.close().await;
                session.tell(member, LocalEvent::Failed(cause.to_string(), Vec::new()));
                Ok(())
            }
            Closing::Left => {
                self.reader.close().await;
                session.tell(member, LocalEvent::Left(Vec::new()));
                Ok(())
            }
        };
        if let Err(error) = &closed {
            session.tell(member, LocalEvent::Failed(cause_of(error), Vec::new()));
        }
        self.leave.cancel();
        let settled = session.settle(member).await;
        match closing {
            Closing::Finished => closed.and(settled),
            Closing::Failed(_) | Closing::Left => closed,
        }
    }

    /// Fills the sink with what is at hand; waits if nothing is. An empty sink means end or drain. When it returns, all that
    /// was read is in the sink or set aside for good.
    pub(super) async fn fill(&mut self) -> Result<(), ChannelError> {
        writers_finished(&self.session, self.member, &self.shutdown).await?;
        self.bury().await?;
        while self.sink.values.is_empty() && self.read_on().await? {
            self.bury().await?;
        }
        self.given = self.reader.position();
        self.count(self.sink.values.len() as u64);
        Ok(())
    }

    /// Has everything that was set aside written to the dead letters.
    async fn bury(&mut self) -> Result<(), ChannelError> {
        match &mut self.dead_letters {
            Some(letters) if letters.is_writing() || self.sink.poison.waiting() > 0 => {
                letters.bury(&mut self.sink.poison).await
            }
            _ => Ok(()),
        }
    }

    /// Reads what is at hand; waits if nothing is. Returns whether something was read: if not, it is the end or a drain.
    async fn read_on(&mut self) -> Result<bool, ChannelError> {
        tokio::task::consume_budget().await;
        if self.session.is_alarmed() {
            self.session.check(self.member)?;
        }
        while !self.ended && !self.drains() {
            if self.reader.read(&mut self.sink)? > 0 {
                self.ending.starved = None;
                return Ok(true);
            }
            self.ending.comes_nearer(self.reader.found_end());
            self.doubt_the_end().await?;
            if self.ending.is_reached(self.reader.position()) && !self.has_grown().await? {
                if self.is_sent_more() {
                    (self.ending.offset, self.unseen) = (None, true);
                    continue;
                }
                return match self.ending.failure.clone() {
                    Some(ChannelError::Incomplete { port, cause }) => Err(ChannelError::Incomplete {
                        port,
                        cause: self.counted(cause),
                    }),
                    Some(failure) => Err(failure),
                    None => {
                        self.ended = true;
                        Ok(false)
                    }
                };
            }
            if self.shutdown.phase() != Phase::Running && self.view.borrow().writers_gone {
                // The drain of a memory channel: all that was sent is read, and nobody sends any more.
                self.ended = self.reader.read(&mut self.sink)? == 0;
                return Ok(!self.ended);
            }
            if self.unseen && self.ending.offset.is_none() {
                self.look().await?;
                self.unseen = false;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.view.changed() => match changed {
                    Ok(()) => self.unseen = true,
                    Err(_) => return Err(ChannelError::NotOpen { port: "the input port" }),
                },
                () = self.reader.readable() => {}
                () = self.shutdown.changed() => {}
            }
        }
        Ok(false)
    }

    /// Asks again for an end that does not come nearer.
    async fn doubt_the_end(&mut self) -> Result<(), ChannelError> {
        if self.ending.is_in_doubt(self.reader.position())
            && let Some(end) = self.ask_end_if_there().await?
        {
            self.ending.offset = Some(end);
        }
        Ok(())
    }

    /// Whether a writer is at work again that had stopped: one of pypz-python that is started again repeats all, and counts it.
    fn is_sent_more(&self) -> bool {
        self.ending.failure.is_none() && self.view.borrow().upstream == Upstream::Sending
    }

    /// Asks again for the end that was reached.
    async fn has_grown(&mut self) -> Result<bool, ChannelError> {
        let Some(end) = self.ask_end_if_there().await? else {
            return Ok(true);
        };
        self.ending.offset = Some(end);
        Ok(end > self.reader.position())
    }

    /// The reader's end; `None` as well if the broker is away for a while: it answers the next time, within the patience.
    async fn ask_end_if_there(&mut self) -> Result<Option<u64>, ChannelError> {
        let answer = self.ask_end().await;
        let Err(error @ (ChannelError::Transport { .. } | ChannelError::Deadline { .. })) = answer else {
            self.ending.unknown = None;
            return answer;
        };
        self.session.check(self.member)?;
        let since = *self.ending.unknown.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.session.spec().timing.patience {
            return Err(error);
        }
        tracing::debug!(port = self.name, "the end is not known: {error}");
        tokio::time::sleep(ASK_AGAIN).await;
        Ok(None)
    }

    /// The reader's end; `None` if the pipeline drains while the reader finds it out. Meanwhile the channel may fail.
    async fn ask_end(&mut self) -> Result<Option<u64>, ChannelError> {
        loop {
            tokio::select! {
                biased;
                end = self.reader.end() => {
                    let spec = self.session.spec();
                    let partition = spec.partition_of(self.member.index);
                    return self.ending.checked(end?, spec, partition).map(Some);
                }
                changed = self.view.changed() => {
                    self.unseen = true;
                    changed.map_err(|_| ChannelError::NotOpen { port: "the input port" })?;
                    self.session.check(self.member)?;
                }
                () = self.shutdown.changed() => if self.drains() {
                    return Ok(None);
                },
            }
        }
    }

    /// Whether no more is to be retrieved because the pipeline drains. What lies in memory is read on: it would be lost.
    fn drains(&self) -> bool {
        match self.shutdown.phase() {
            Phase::Running => false,
            Phase::Draining => !self.volatile,
            Phase::Stopping => true,
        }
    }

    /// Tells how many records came, where plain peers are on the channel: those that user code is given now, and what was set
    /// aside.
    fn count(&mut self, given: u64) {
        let aside = self.sink.poison.records();
        if let Some(count) = &mut self.count {
            let count = count.add(given + aside - self.counted_aside);
            let position = self.given;
            self.session
                .tell(self.member, LocalEvent::Received { count, position });
        }
        self.counted_aside = aside;
    }

    /// A cause with how many records came so far, if they are counted.
    fn counted(&self, cause: String) -> String {
        match &self.count {
            Some(count) => format!(
                "{cause}; {} records of the run were received here",
                count.records()
            ),
            None => cause,
        }
    }

    /// Looks at what the protocol says: go on, read to the end, or read to the end and fail.
    async fn look(&mut self) -> Result<(), ChannelError> {
        self.session.check(self.member)?;
        let upstream = self.view.borrow_and_update().upstream.clone();
        let incomplete = |port: &str, cause| ChannelError::Incomplete {
            port: port.to_owned(),
            cause,
        };
        match upstream {
            Upstream::Sending => {}
            Upstream::Stopped { ends } => {
                let partition = self.session.spec().partition_of(self.member.index);
                self.ending.stated = ends.get(&partition).map_or(0, |end| end.offset);
                let Some(end) = self.ask_end().await? else {
                    return Ok(());
                };
                (self.ending.offset, self.ending.starved) = (Some(end), None);
            }
            Upstream::Failed { cause } | Upstream::Lost { cause, seen: true } => {
                let Some(end) = self.ask_end().await? else {
                    return Ok(());
                };
                self.ending.offset = Some(end);
                self.ending.failure = Some(incomplete(&self.name, cause));
            }
            Upstream::Lost { cause, seen: false } => {
                let seconds = self.session.spec().timing.patience.as_secs();
                return Err(ChannelError::Deadline {
                    port: self.name.clone(),
                    waited_for: cause,
                    seconds,
                });
            }
        }
        Ok(())
    }

    /// Says that all is read. The principal waits for its replicas and closes the run.
    async fn finish(&mut self) -> Result<(), ChannelError> {
        if !self.ended {
            tracing::info!(port = self.name, "closed before its end");
        }
        if self.ends_cycle && self.volatile {
            // The cycle ends here: what its writers still send is not missing anywhere.
            self.reader.end().await?;
        }
        let positions_are_status = self.reader.committer().is_none();
        self.count(0);
        self.reader.close().await;
        self.session.tell(self.member, LocalEvent::Stopped(Vec::new()));
        if self.member != MemberId::PRINCIPAL {
            self.session.tell(self.member, LocalEvent::Closed);
            return Ok(());
        }
        self.session.replicas_finished().await?;
        if self.ended || self.resumed == Some(self.given) {
            // Whoever comes back to work that is done says nothing but its last words: those of a run that is complete.
            self.session.reconcile()?;
        }
        if self.ended {
            self.reader.nothing_left_behind().await?;
        }
        if positions_are_status {
            // Each replica's own position is in the status log: now that all have read, all is read for the broker, too.
            self.reader.skip_to_end().await?;
        }
        self.session.tell(self.member, LocalEvent::Closed);
        Ok(())
    }
}
