//! The output port.

use std::any::{Any, type_name};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::link::{Closing, OutputLink};
use super::{Anywhere, ChannelOutputPort, Direction, IntoBatch, Pin, PortSpec};
use crate::channel::partitioning::Partitioner;
use crate::channel::{
    ChannelSession, ChannelWriter, EncodedBatch, Leave, Pace, RecordForm, Run, ValueBatch, WriteProgress,
};
use crate::codec::{Avro, Codec};
use crate::error::ChannelError;
use crate::executor::{Phase, RoundMember, Shutdown};
use crate::protocol::{LocalEvent, MemberId};
use crate::record::Record;

/// How long a paused writer waits before it looks again whether its heartbeats come through.
const PAUSE: Duration = Duration::from_millis(100);

/// Where an operator sends records of type `T`.
///
/// `C` is the codec, [`Avro`] if nothing is said; `P` pins the port to a transport. A port is made by `Default` as a
/// field of its operator; the pipeline connects it, to any number of input ports: each gets every record.
///
/// A send returns when the record is on its way; at most `bufferBytes` are, then it waits. Input positions are committed
/// only after the records made from them are acknowledged, and a run ends with exit 0 only after all are;
/// [`OutputPort::flush`] waits for it in between.
///
/// ```no_run
/// # use pypz_core::{OutputPort, Record, error::ChannelError};
/// # async fn f(mut output: OutputPort<String>) -> Result<(), ChannelError> {
/// output.send("hello".to_owned()).await?;
/// output.send(Record::new("hello".to_owned()).with_key("UA")).await?;
/// output.send_all(vec!["many".to_owned(), "at once".to_owned()]).await?;
/// output.flush().await
/// # }
/// ```
pub struct OutputPort<T, C = Avro, P = Anywhere> {
    open: Option<Box<Open<T, C>>>,
    pin: PhantomData<fn() -> P>,
}

struct Open<T, C> {
    codec: C,
    destinations: Vec<Destination>,
    scratch: Arc<EncodedBatch>,
    values: PhantomData<fn(T)>,
}

struct Destination {
    /// Says that the writer is gone, should the port never be closed.
    leave: Leave,
    gate: Gate,
    writer: Box<dyn ChannelWriter>,
    partitioner: Partitioner,
    volatile: bool,
    was_finished: bool,
    runs: Vec<Run>,
}

/// Whether one writer may send.
struct Gate {
    name: String,
    member: MemberId,
    session: ChannelSession,
    source: bool,
    shutdown: Shutdown,
    round: Option<RoundMember>,
}

impl<T, C, P> Default for OutputPort<T, C, P> {
    fn default() -> Self {
        Self {
            open: None,
            pin: PhantomData,
        }
    }
}

impl<T, C, P> std::fmt::Debug for OutputPort<T, C, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.open.as_ref().and_then(|open| open.destinations.first());
        f.debug_tuple("OutputPort")
            .field(&first.map_or("not open", |first| first.gate.name.as_str()))
            .finish()
    }
}

impl<T: Send + 'static, C: Codec<T>, P: Pin> PortSpec for OutputPort<T, C, P> {
    type Record = T;
    type Codec = C;
    type Pin = P;
    const DIRECTION: Direction = Direction::Output;

    fn schema() -> Option<String> {
        C::new().ok()?.schema()
    }
}

impl<T: Send + 'static, C: Codec<T>, P: Pin> OutputPort<T, C, P> {
    /// Sends one record: a bare value, or a [`Record`] with key, headers or timestamp.
    ///
    /// # Errors
    ///
    /// As [`OutputPort::send_all`].
    pub async fn send(&mut self, record: impl Into<Record<T>> + Send) -> Result<(), ChannelError> {
        self.send_all(vec![record.into()]).await
    }

    /// Sends many records, in order. Faster than one by one.
    ///
    /// # Errors
    ///
    /// Before anything of the batch is sent: [`ChannelError::Encode`], [`ChannelError::RecordTooLong`] or
    /// [`ChannelError::Unkeyed`], each with the record's place in the batch. [`ChannelError::Draining`] in a source when
    /// the pipeline drains: return it, the executor knows it. [`ChannelError::Transport`] once a record, of this batch or
    /// an earlier one, could not be delivered.
    pub async fn send_all(&mut self, records: impl IntoBatch<T> + Send) -> Result<(), ChannelError> {
        let open = self.open.as_deref_mut().ok_or(ChannelError::NotOpen {
            port: type_name::<Self>(),
        })?;
        tokio::task::consume_budget().await;
        open.send(records.into_batch()).await
    }

    /// Waits until every record that was sent is acknowledged.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] if one could not be delivered, [`ChannelError::Deadline`] if the broker does not
    /// answer for twice the patience.
    pub async fn flush(&mut self) -> Result<(), ChannelError> {
        for destination in self.open.iter_mut().flat_map(|open| &mut open.destinations) {
            let progress = destination.writer.progress();
            destination.gate.flush(progress.as_ref()).await?;
        }
        Ok(())
    }
}

impl<T: Send + 'static, C: Codec<T>> Open<T, C> {
    async fn send(&mut self, batch: ValueBatch<T>) -> Result<(), ChannelError> {
        if batch.values.is_empty() {
            return Ok(());
        }
        for destination in &mut self.destinations {
            let gate = &destination.gate;
            gate.may_send().await?;
            destination.check_keys(&batch)?;
        }
        if let [only] = &mut self.destinations[..]
            && only.writer.form() == RecordForm::Values
        {
            return only.send_values(batch).await;
        }
        if self.destinations.is_empty() {
            return Ok(());
        }
        let encoded = self.encode(batch)?;
        for destination in &mut self.destinations {
            destination.send_encoded(&encoded).await?;
            destination.count();
        }
        self.scratch = encoded;
        Ok(())
    }

    /// Encodes into memory that is used again, unless a reader in this process still holds it.
    fn encode(&mut self, batch: ValueBatch<T>) -> Result<Arc<EncodedBatch>, ChannelError> {
        let mut encoded = std::mem::take(&mut self.scratch);
        if Arc::get_mut(&mut encoded).is_none() {
            encoded = Arc::default();
        }
        let Some(buffer) = Arc::get_mut(&mut encoded) else {
            return Ok(encoded);
        };
        buffer.clear();
        let name = || {
            self.destinations
                .first()
                .map_or_else(String::new, |first| first.gate.name.clone())
        };
        let limits = self
            .destinations
            .iter()
            .map(|destination| destination.gate.session.spec().max_record_bytes);
        let limit = limits.min().unwrap_or(usize::MAX);
        let mut details = batch.details.into_iter().flatten();
        for (index, value) in batch.values.iter().enumerate() {
            buffer
                .push(details.next().unwrap_or_default(), |bytes| {
                    self.codec.encode(value, bytes)
                })
                .map_err(|source| ChannelError::Encode {
                    port: name(),
                    index,
                    source,
                })?;
            let bytes = buffer.record_bytes(index);
            if bytes > limit {
                return Err(ChannelError::RecordTooLong {
                    port: name(),
                    index,
                    bytes,
                    limit,
                });
            }
        }
        Ok(encoded)
    }
}

impl Destination {
    /// Tells plain peers how many records were sent.
    fn count(&self) {
        let Gate { session, member, .. } = &self.gate;
        if session.counts_records() {
            session.tell(*member, LocalEvent::Sent(self.writer.progress().written()));
        }
    }

    fn check_keys<T>(&self, batch: &ValueBatch<T>) -> Result<(), ChannelError> {
        if !self.partitioner.needs_keys() {
            return Ok(());
        }
        let unkeyed = match &batch.details {
            None => Some(0),
            Some(details) => details.iter().position(|details| details.key.is_none()),
        };
        unkeyed.map_or(Ok(()), |index| {
            let channel = self.gate.session.spec().name().to_owned();
            Err(ChannelError::Unkeyed {
                port: self.gate.name.clone(),
                index,
                channel,
            })
        })
    }

    async fn send_encoded(&mut self, batch: &Arc<EncodedBatch>) -> Result<(), ChannelError> {
        let mut runs = std::mem::take(&mut self.runs);
        self.partitioner
            .assign_encoded(batch, self.writer.waiting(), &mut runs);
        let mut from = 0;
        while from < batch.len() {
            self.gate.enter().await?;
            let taken = self.writer.write(batch, &runs, from);
            let taken = taken.inspect_err(|error| self.gate.note(error))?;
            from += taken;
            if taken == 0 {
                self.wait_for_room().await?;
            }
        }
        self.runs = runs;
        Ok(())
    }

    async fn send_values<T: Send + 'static>(&mut self, batch: ValueBatch<T>) -> Result<(), ChannelError> {
        let mut runs = std::mem::take(&mut self.runs);
        let records = batch.values.len();
        {
            let key = |index: usize| {
                batch
                    .details
                    .as_ref()
                    .and_then(|all| all.get(index)?.key.as_deref())
            };
            self.partitioner
                .assign(records, self.writer.waiting(), key, &mut runs);
        }
        if let [run] = runs[..] {
            self.put(run.partition, Box::new(batch), records).await?;
        } else {
            for (partition, part) in split(batch, &runs) {
                let records = part.values.len();
                self.put(partition, Box::new(part), records).await?;
            }
        }
        self.runs = runs;
        Ok(())
    }

    /// Puts values into a partition; round robin passes one that is full over.
    async fn put(
        &mut self,
        partition: u32,
        values: Box<dyn Any + Send>,
        records: usize,
    ) -> Result<(), ChannelError> {
        let mut values = values;
        loop {
            for partition in self.partitioner.alternatives(partition) {
                match self.writer.write_values(partition, values, records)? {
                    None => return Ok(()),
                    Some(back) => values = back,
                }
            }
            self.wait_for_room().await?;
        }
    }

    async fn wait_for_room(&mut self) -> Result<(), ChannelError> {
        tokio::select! {
            () = self.writer.writable() => {}
            () = self.gate.shutdown.changed() => {}
        }
        self.gate.may_send().await
    }
}

impl Gate {
    /// Waits for the round that what is written next belongs to.
    async fn enter(&self) -> Result<(), ChannelError> {
        match &self.round {
            Some(round) => round.enter().await,
            None => Ok(()),
        }
    }

    /// Sees to it that nobody overlooks a transaction that came to nothing.
    fn note(&self, error: &ChannelError) {
        if let (Some(round), ChannelError::Aborted { reason, .. }) = (&self.round, error) {
            round.abort(reason);
        }
    }

    /// Waits while heartbeats do not come through; refuses when the writer must not send.
    async fn may_send(&self) -> Result<(), ChannelError> {
        let refused = match self.shutdown.phase() {
            Phase::Running => false,
            Phase::Draining => self.source,
            Phase::Stopping => true,
        };
        if refused {
            return Err(ChannelError::Draining {
                port: self.name.clone(),
            });
        }
        while self.session.is_alarmed() {
            match self.session.check(self.member)? {
                Pace::Normal => break,
                Pace::Suspended => {
                    let mut view = self.session.watch();
                    let _ = tokio::time::timeout(PAUSE, view.changed()).await;
                }
            }
        }
        Ok(())
    }

    /// Waits until all that was written is acknowledged.
    async fn flush(&self, progress: &dyn WriteProgress) -> Result<(), ChannelError> {
        let patience = self.session.spec().timing.patience * 2;
        let mut last = (0, Instant::now());
        loop {
            let changed = progress.changed();
            let (written, acknowledged) = (progress.written(), progress.acknowledged()?);
            if acknowledged >= written {
                return Ok(());
            }
            self.session.check(self.member)?;
            if acknowledged > last.0 {
                last = (acknowledged, Instant::now());
            }
            if last.1.elapsed() > patience {
                let waited_for = format!("the broker to acknowledge {} records", written - acknowledged);
                return Err(ChannelError::Deadline {
                    port: self.name.clone(),
                    waited_for,
                    seconds: patience.as_secs(),
                });
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), changed).await;
        }
    }
}

/// Splits a batch by its runs, one part a partition, order kept within each.
fn split<T>(batch: ValueBatch<T>, runs: &[Run]) -> Vec<(u32, ValueBatch<T>)> {
    let mut parts: std::collections::BTreeMap<u32, ValueBatch<T>> = std::collections::BTreeMap::new();
    let mut values = batch.values.into_iter();
    let mut details = batch.details.map(Vec::into_iter);
    for run in runs {
        let part = parts.entry(run.partition).or_insert_with(|| ValueBatch {
            values: Vec::new(),
            details: details.is_some().then(Vec::new),
        });
        part.values.extend(values.by_ref().take(run.records));
        if let (Some(kept), Some(details)) = (&mut part.details, &mut details) {
            kept.extend(details.by_ref().take(run.records));
        }
    }
    parts.into_iter().collect()
}

#[async_trait]
impl<T: Send + 'static, C: Codec<T>, P: Pin> ChannelOutputPort for OutputPort<T, C, P> {
    async fn open(&mut self, links: Vec<OutputLink>) -> Result<(), ChannelError> {
        let codec = C::new().map_err(|error| ChannelError::Configuration {
            port: links
                .first()
                .map_or_else(String::new, |link| link.session.name(link.member).to_owned()),
            reason: error.to_string(),
        })?;
        let opened = futures::future::try_join_all(links.into_iter().map(Destination::open)).await?;
        self.open = Some(Box::new(Open {
            codec,
            destinations: opened,
            scratch: Arc::default(),
            values: PhantomData,
        }));
        Ok(())
    }

    fn was_finished(&self) -> bool {
        let mut destinations = self.open.iter().flat_map(|open| &open.destinations);
        destinations.all(|destination| destination.was_finished)
    }

    fn progress(&self) -> Vec<Arc<dyn WriteProgress>> {
        let destinations = self.open.iter().flat_map(|open| &open.destinations);
        destinations
            .map(|destination| destination.writer.progress())
            .collect()
    }

    async fn flush(&mut self) -> Result<(), ChannelError> {
        Self::flush(self).await
    }

    async fn close(&mut self, closing: &Closing) -> Result<(), ChannelError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let mut closed = Ok(());
        for mut destination in open.destinations {
            destination.writer.close().await;
            let ends = destination.writer.progress().ends();
            let (session, member) = (destination.gate.session.clone(), destination.gate.member);
            match closing {
                Closing::Left if !destination.volatile => session.tell(member, LocalEvent::Left(ends)),
                Closing::Finished | Closing::Left => {
                    session.tell(member, LocalEvent::Stopped(ends));
                    session.tell(member, LocalEvent::Closed);
                }
                Closing::Failed(cause) => session.tell(member, LocalEvent::Failed(cause.to_string(), ends)),
            }
            destination.leave.cancel();
            let settled = session.settle(member).await;
            if *closing == Closing::Finished {
                closed = closed.and(settled);
            }
        }
        closed
    }
}

impl Destination {
    async fn open(link: OutputLink) -> Result<Self, ChannelError> {
        let OutputLink {
            session,
            joined,
            leave,
            mut writer,
            member,
            partitioner,
            source,
            volatile,
            shutdown,
            round,
        } = link;
        let (name, was_finished) = (session.name(member).to_owned(), joined.finished);
        session.tell(member, LocalEvent::Opened);
        writer.open().await?;
        session.tell(member, LocalEvent::Started);
        if !was_finished {
            session.readers_ready(member).await?;
        }
        let gate = Gate {
            name,
            member,
            session,
            source,
            shutdown,
            round,
        };
        Ok(Self {
            leave,
            gate,
            writer,
            partitioner,
            volatile,
            was_finished,
            runs: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Details;

    #[test]
    fn a_batch_is_split_in_order_with_its_details() {
        let keyed = |n: u8| Details {
            key: Some(vec![n].into()),
            ..Details::default()
        };
        let batch = ValueBatch {
            values: (0..6).collect(),
            details: Some((0..6).map(keyed).collect()),
        };
        let run = |partition, records| Run { partition, records };
        let parts = split(batch, &[run(2, 1), run(0, 2), run(2, 3)]);
        let shown: Vec<_> = parts
            .into_iter()
            .map(|(partition, part)| {
                let keys: Vec<u8> = part
                    .details
                    .unwrap()
                    .iter()
                    .map(|d| d.key.as_ref().unwrap()[0])
                    .collect();
                assert_eq!(keys, part.values);
                (partition, part.values)
            })
            .collect();
        assert_eq!(shown, [(0, vec![1, 2]), (2, vec![0, 3, 4, 5])]);
    }
}
