//! The input port.

use std::any::{Any, type_name};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::count::Count;
use super::link::{Closing, InputLink};
use super::{Anywhere, Batch, ChannelInputPort, Direction, LogPin, Pin, PortSpec};
use crate::channel::{
    ChannelReader, ChannelSession, Committer, Delivery, Details, Leave, RawRecord, RecordSink, StartAt,
    ValueBatch, View,
};
use crate::codec::{Avro, Codec, CodecError};
use crate::error::ChannelError;
use crate::executor::{Phase, Shutdown};
use crate::protocol::{LocalEvent, MemberId, Upstream};
use crate::record::{Position, Record};

/// The most records that one call of [`InputPort::retrieve`] hands out.
const BATCH_RECORDS: usize = 1_000;

/// After so long without a record, a reader that has not reached its end asks for the end again.
const STARVED: Duration = Duration::from_secs(1);

/// Where an operator retrieves records of type `T`.
///
/// `C` is the codec, [`Avro`] if nothing is said; `P` pins the port to a transport. A port is made by `Default` as a
/// field of its operator; the pipeline connects it.
///
/// ```no_run
/// # use pypz_core::{InputPort, error::ChannelError};
/// # async fn f(mut input: InputPort<String>) -> Result<(), ChannelError> {
/// for text in input.retrieve().await? {
///     eprintln!("{text}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct InputPort<T, C = Avro, P = Anywhere> {
    open: Option<Box<Open<T, C>>>,
    pin: PhantomData<fn() -> P>,
}

struct Open<T, C> {
    /// Says that the reader is gone, should the port never be closed.
    leave: Leave,
    name: String,
    member: MemberId,
    session: ChannelSession,
    view: watch::Receiver<Arc<View>>,
    /// The protocol's answers changed and were not looked at to the end: a look that is cancelled is taken up again.
    unseen: bool,
    reader: Box<dyn ChannelReader>,
    shutdown: Shutdown,
    ends_cycle: bool,
    volatile: bool,
    sink: Sink<T, C>,
    end: Option<u64>,
    /// Since when nothing has come, though the end was not reached.
    starved: Option<Instant>,
    failure: Option<ChannelError>,
    ended: bool,
    was_finished: bool,
    /// Where counts are kept for plain peers: the records of the run that were given to this reader, by its position.
    count: Option<Count>,
}

impl<T, C, P> Default for InputPort<T, C, P> {
    fn default() -> Self {
        Self {
            open: None,
            pin: PhantomData,
        }
    }
}

impl<T, C, P> std::fmt::Debug for InputPort<T, C, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.open.as_ref().map_or("not open", |open| open.name.as_str());
        f.debug_tuple("InputPort").field(&name).finish()
    }
}

impl<T: Send + 'static, C: Codec<T>, P: Pin> PortSpec for InputPort<T, C, P> {
    type Record = T;
    type Codec = C;
    type Pin = P;
    const DIRECTION: Direction = Direction::Input;

    fn schema() -> Option<String> {
        C::new().ok()?.schema()
    }
}

impl<T: Send + 'static, C: Codec<T>, P: Pin> InputPort<T, C, P> {
    /// Waits until records are at hand and hands them out, at most 1,000.
    ///
    /// The batch is empty if nothing more will come ([`InputPort::is_ended`]) or if the pipeline drains; a loop over
    /// `retrieve` inside one `on_running` should stop then. What was handed out counts as processed when `on_running`
    /// returns. Cancel-safe, so several ports can be waited for in one `select!`.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Poison`] with partition and offset if a record does not decode (those before it come first),
    /// [`ChannelError::Incomplete`] when all is read and a writer had failed or was lost.
    pub async fn retrieve(&mut self) -> Result<Batch<T>, ChannelError> {
        let open = self.open_mut()?;
        open.sink.details = None;
        open.fill().await?;
        open.count();
        Ok(Batch::new(std::mem::take(&mut open.sink.values)))
    }

    /// As [`InputPort::retrieve`], with key, headers, timestamp and position of each record.
    ///
    /// # Errors
    ///
    /// As [`InputPort::retrieve`].
    pub async fn retrieve_records(&mut self) -> Result<Vec<Record<T>>, ChannelError> {
        let open = self.open_mut()?;
        open.sink.details = Some(Vec::new());
        open.fill().await?;
        open.count();
        let values = std::mem::take(&mut open.sink.values);
        let details = open.sink.details.take().unwrap_or_default();
        let record = |(value, (position, details)): (T, (Position, Details))| {
            let Details {
                key,
                headers,
                timestamp,
            } = details;
            Record {
                value,
                key,
                headers,
                timestamp,
                position: Some(position),
            }
        };
        Ok(values.into_iter().zip(details).map(record).collect())
    }

    /// Whether everything that will ever come has been retrieved.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.ended)
    }

    /// The offset of the record that comes next: behind the last one that was handed out.
    ///
    /// # Errors
    ///
    /// [`ChannelError::NotOpen`] before `on_init` and after `on_shutdown`.
    pub fn next_offset(&self) -> Result<u64, ChannelError>
    where
        P: LogPin,
    {
        let open = self.open.as_ref().ok_or(ChannelError::NotOpen {
            port: type_name::<Self>(),
        })?;
        Ok(open.reader.position())
    }

    fn open_mut(&mut self) -> Result<&mut Open<T, C>, ChannelError> {
        self.open.as_deref_mut().ok_or(ChannelError::NotOpen {
            port: type_name::<Self>(),
        })
    }
}

impl<T: Send + 'static, C: Codec<T>> Open<T, C> {
    /// Fills the sink with what is at hand; waits if nothing is. An empty sink means end or drain.
    async fn fill(&mut self) -> Result<(), ChannelError> {
        tokio::task::consume_budget().await;
        if self.session.is_alarmed() {
            self.session.check(self.member)?;
        }
        while !self.ended && !self.drains() {
            if self.reader.read(&mut self.sink)? > 0 {
                self.starved = None;
                return Ok(());
            }
            self.doubt_the_end().await?;
            if self.end.is_some_and(|end| self.reader.position() >= end) && !self.has_grown().await? {
                return match self.failure.clone() {
                    Some(ChannelError::Incomplete { port, cause }) => Err(ChannelError::Incomplete {
                        port,
                        cause: self.counted(cause),
                    }),
                    Some(failure) => Err(failure),
                    None => {
                        self.ended = true;
                        Ok(())
                    }
                };
            }
            if self.shutdown.phase() != Phase::Running && self.view.borrow().writers_gone {
                // The drain of a memory channel: all that was sent is read, and nobody sends any more.
                self.ended = self.reader.read(&mut self.sink)? == 0;
                return Ok(());
            }
            if self.unseen && self.end.is_none() {
                self.look().await?;
                self.unseen = false;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.view.changed() => match changed {
                    Ok(()) => self.unseen = true,
                    Err(_) => return Err(ChannelError::NotOpen { port: type_name::<Self>() }),
                },
                () = self.reader.readable() => {}
                () = self.shutdown.changed() => {}
            }
        }
        Ok(())
    }

    /// Asks again for an end that does not come nearer.
    async fn doubt_the_end(&mut self) -> Result<(), ChannelError> {
        let is_short = self.end.is_some_and(|end| self.reader.position() < end);
        let since = *self.starved.get_or_insert_with(Instant::now);
        if is_short && since.elapsed() >= STARVED {
            self.starved = None;
            match self.ask_end().await {
                Ok(Some(end)) => self.end = Some(end),
                Ok(None) => {}
                Err(error @ (ChannelError::Transport { .. } | ChannelError::Deadline { .. })) => {
                    // A broker that is away for a while answers the next time; for how long, the session knows.
                    tracing::debug!(port = self.name, "the end is not known: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks again for the end that was reached.
    async fn has_grown(&mut self) -> Result<bool, ChannelError> {
        let Some(end) = self.ask_end().await? else {
            return Ok(true);
        };
        self.end = Some(end);
        Ok(end > self.reader.position())
    }

    /// The reader's end; `None` if the pipeline drains while the reader finds it out. Meanwhile the channel may fail.
    async fn ask_end(&mut self) -> Result<Option<u64>, ChannelError> {
        loop {
            tokio::select! {
                biased;
                end = self.reader.end() => return end.map(Some),
                changed = self.view.changed() => {
                    self.unseen = true;
                    changed.map_err(|_| ChannelError::NotOpen { port: type_name::<Self>() })?;
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

    /// Tells how many records came, where plain peers are on the channel.
    fn count(&mut self) {
        let given = self.sink.values.len() as u64;
        let position = self.reader.position();
        if let Some(count) = &mut self.count {
            let count = count.add(given);
            self.session
                .tell(self.member, LocalEvent::Received { count, position });
        }
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
                let Some(end) = self.ask_end().await? else {
                    return Ok(());
                };
                let partition = self.session.spec().partition_of(self.member.index);
                let stated = ends.get(&partition).map_or(0, |end| end.offset);
                if end < stated {
                    return Err(ChannelError::Mismatch {
                        object: format!("channel {}, partition {partition}", self.session.spec().name()),
                        reason: format!(
                            "it ends at offset {end}, but its writers wrote up to {stated}: records were deleted"
                        ),
                    });
                }
                self.end = Some(end);
            }
            Upstream::Failed { cause } | Upstream::Lost { cause, seen: true } => {
                let Some(end) = self.ask_end().await? else {
                    return Ok(());
                };
                self.end = Some(end);
                self.failure = Some(incomplete(&self.name, cause));
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
}

#[async_trait]
impl<T: Send + 'static, C: Codec<T>, P: Pin> ChannelInputPort for InputPort<T, C, P> {
    async fn open(&mut self, link: InputLink) -> Result<(), ChannelError> {
        let InputLink {
            session,
            joined,
            leave,
            mut reader,
            member,
            ends_cycle,
            volatile,
            shutdown,
        } = link;
        let name = session.name(member).to_owned();
        let codec = C::new().map_err(|error| ChannelError::Configuration {
            port: name.clone(),
            reason: error.to_string(),
        })?;
        let start = match session.spec().delivery {
            Delivery::Broadcast => StartAt::Offset(joined.position.unwrap_or(0)),
            Delivery::Shared | Delivery::ByKey => StartAt::Committed,
        };
        reader.open(start).await?;
        if joined.epoch > 1 {
            tracing::info!(
                port = name,
                epoch = joined.epoch,
                "resumed at offset {}",
                reader.position()
            );
        }
        let count = session.counts_records().then(|| {
            let before = session.received_before(member.index);
            Count::after(before, reader.position(), session.spec().is_log())
        });
        session.tell(member, LocalEvent::Started);
        let view = session.watch();
        self.open = Some(Box::new(Open {
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
            sink: Sink {
                codec,
                values: Vec::new(),
                details: None,
            },
            end: None,
            starved: None,
            failure: None,
            ended: false,
            was_finished: joined.finished,
            count,
        }));
        self.open_mut()?.count();
        Ok(())
    }

    fn is_ended(&self) -> bool {
        Self::is_ended(self)
    }

    fn was_finished(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.was_finished)
    }

    fn ends_cycle(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.ends_cycle)
    }

    fn position(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.reader.position())
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        self.open.as_ref().map(|open| {
            open.reader.committer().unwrap_or_else(|| {
                Arc::new(StatusCommitter {
                    session: open.session.clone(),
                    member: open.member,
                })
            })
        })
    }

    async fn close(&mut self, closing: &Closing) -> Result<(), ChannelError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let (session, member) = (open.session.clone(), open.member);
        let closed = match closing {
            Closing::Finished => open.finish().await,
            Closing::Failed(cause) => {
                open.reader.close().await;
                session.tell(member, LocalEvent::Failed(cause.to_string(), Vec::new()));
                Ok(())
            }
            Closing::Left => {
                open.reader.close().await;
                session.tell(member, LocalEvent::Left(Vec::new()));
                Ok(())
            }
        };
        if let Err(error) = &closed {
            session.tell(
                member,
                LocalEvent::Failed(super::link::cause_of(error), Vec::new()),
            );
        }
        open.leave.cancel();
        let settled = session.settle(member).await;
        match closing {
            Closing::Finished => closed.and(settled),
            Closing::Failed(_) | Closing::Left => closed,
        }
    }
}

impl<T: Send + 'static, C: Codec<T>> Open<T, C> {
    /// Says that all is read. The principal waits for its replicas and closes the run.
    async fn finish(&mut self) -> Result<(), ChannelError> {
        if !self.ended {
            tracing::info!(port = self.name, "closed before its end");
        }
        let positions_are_status = self.reader.committer().is_none();
        self.count();
        self.reader.close().await;
        self.session.tell(self.member, LocalEvent::Stopped(Vec::new()));
        if self.member != MemberId::PRINCIPAL {
            self.session.tell(self.member, LocalEvent::Closed);
            return Ok(());
        }
        self.session.replicas_finished().await?;
        if self.ended {
            self.session.reconcile()?;
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

/// Keeps the position of a broadcast reader in the status log: each replica has its own, and the broker only one group.
struct StatusCommitter {
    session: ChannelSession,
    member: MemberId,
}

#[async_trait]
impl Committer for StatusCommitter {
    fn commit(&self, offset: u64) {
        self.session.tell(self.member, LocalEvent::Position(offset));
    }

    async fn flush(&self) -> Result<(), ChannelError> {
        // It travels with the last word, which `close` waits for.
        Ok(())
    }
}

/// Collects what a reader gives out, decoded.
struct Sink<T, C> {
    codec: C,
    values: Vec<T>,
    details: Option<Vec<(Position, Details)>>,
}

impl<T: Send + 'static, C: Codec<T>> RecordSink for Sink<T, C> {
    fn is_full(&self) -> bool {
        self.values.len() >= BATCH_RECORDS
    }

    fn take(&mut self, record: RawRecord<'_>) -> Result<(), CodecError> {
        self.values.push(self.codec.decode(record.payload)?);
        if let Some(details) = &mut self.details {
            let position = Position {
                partition: record.partition,
                offset: record.offset,
            };
            details.push((position, (record.details)()));
        }
        Ok(())
    }

    fn take_values(
        &mut self,
        partition: u32,
        first: u64,
        values: Box<dyn Any + Send>,
    ) -> Result<(), CodecError> {
        let batch = values
            .downcast::<ValueBatch<T>>()
            .map_err(|_| CodecError::decode(type_name::<T>(), "the values in memory are of another type"))?;
        let ValueBatch { mut values, details } = *batch;
        if let Some(kept) = &mut self.details {
            let positions = (first..).map(|offset| Position { partition, offset });
            let details = details
                .unwrap_or_default()
                .into_iter()
                .chain(std::iter::repeat_with(Details::default));
            kept.extend(positions.zip(details).take(values.len()));
        }
        if self.values.is_empty() {
            self.values = values;
        } else {
            self.values.append(&mut values);
        }
        Ok(())
    }
}
