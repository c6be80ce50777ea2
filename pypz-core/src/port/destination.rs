//! One channel that an output port writes to.

use std::any::Any;
use std::sync::Arc;

use super::gate::Gate;
use super::link::{Closing, OutputLink};
use crate::channel::partitioning::Partitioner;
use crate::channel::{ChannelWriter, Details, EncodedBatch, Leave, Run, ValueBatch};
use crate::codec::{CodecError, Translation};
use crate::error::ChannelError;
use crate::protocol::LocalEvent;

/// Appends a record to a batch; `port` is asked for its name if that fails.
pub(super) fn push(
    batch: &mut EncodedBatch,
    details: Details,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    limit: usize,
    port: impl Fn() -> String,
) -> Result<(), ChannelError> {
    let index = batch.len();
    batch
        .push(details, encode)
        .map_err(|source| ChannelError::Encode {
            port: port(),
            index,
            source,
        })?;
    let bytes = batch.record_bytes(index);
    match bytes > limit {
        true => Err(ChannelError::RecordTooLong {
            port: port(),
            index,
            bytes,
            limit,
        }),
        false => Ok(()),
    }
}

/// One channel of an output port.
pub(super) struct Destination {
    /// Says that the writer is gone, should the port never be closed.
    leave: Leave,
    pub(super) gate: Gate,
    pub(super) writer: Box<dyn ChannelWriter>,
    partitioner: Partitioner,
    volatile: bool,
    pub(super) was_finished: bool,
    runs: Vec<Run>,
    /// Where the run's records have another schema than the port.
    translation: Option<Translation>,
    translated: Option<Arc<EncodedBatch>>,
}

impl Destination {
    pub(super) async fn open(
        link: OutputLink,
        translation: Option<Translation>,
    ) -> Result<Self, ChannelError> {
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
        if let Some(counter) = writer.counter() {
            session.count_as(counter);
        }
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
            translation,
            translated: None,
        })
    }

    /// Tells plain peers how many records were sent.
    pub(super) fn count(&self) {
        let Gate { session, member, .. } = &self.gate;
        if session.counts_records() {
            session.tell(*member, LocalEvent::Sent(self.writer.progress().written()));
        }
    }

    /// Fails if the partitioner needs keys and a record has none.
    pub(super) fn check_keys<T>(&self, batch: &ValueBatch<T>) -> Result<(), ChannelError> {
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

    /// Gets the batch ready that is sent next, if the records of the run have another schema than the port.
    pub(super) fn translate(&mut self, batch: &EncodedBatch) -> Result<(), ChannelError> {
        let Some(translation) = &mut self.translation else {
            return Ok(());
        };
        let (port, limit) = (&self.gate.name, self.gate.session.spec().max_record_bytes);
        let mut translated = EncodedBatch::default();
        for index in 0..batch.len() {
            let encode = |buffer: &mut Vec<u8>| {
                let translated = translation.apply(batch.payload(index), buffer);
                translated.map_err(|reason| CodecError::Encode {
                    type_name: "a record of the run's schema",
                    reason,
                })
            };
            let details = batch.details(index).cloned().unwrap_or_default();
            push(&mut translated, details, encode, limit, || port.clone())?;
        }
        self.translated = Some(Arc::new(translated));
        Ok(())
    }

    /// Sends a batch, or what it was translated to.
    pub(super) async fn send_encoded(&mut self, batch: &Arc<EncodedBatch>) -> Result<(), ChannelError> {
        let translated = self.translated.take();
        let batch = translated.as_ref().unwrap_or(batch);
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
                self.gate.wait_for_room(self.writer.as_mut()).await?;
            }
        }
        self.runs = runs;
        Ok(())
    }

    pub(super) async fn send_values<T: Send + 'static>(
        &mut self,
        batch: ValueBatch<T>,
    ) -> Result<(), ChannelError> {
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

    /// Says how the writer went, with what is acknowledged.
    pub(super) async fn close(mut self, closing: &Closing) -> Result<(), ChannelError> {
        self.writer.close().await;
        let ends = self.writer.progress().ends();
        let (session, member) = (self.gate.session.clone(), self.gate.member);
        if *closing == Closing::Finished {
            session.arrived(member, &self.gate.shutdown).await;
        }
        match closing {
            Closing::Left if !self.volatile => session.tell(member, LocalEvent::Left(ends)),
            Closing::Finished | Closing::Left => {
                session.tell(member, LocalEvent::Stopped(ends));
                session.tell(member, LocalEvent::Closed);
            }
            Closing::Failed(cause) => session.tell(member, LocalEvent::Failed(cause.to_string(), ends)),
        }
        self.leave.cancel();
        session.settle(member).await
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
            self.gate.wait_for_room(self.writer.as_mut()).await?;
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
