//! The output port.

use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;

use super::destination::{Destination, push};
use super::link::{Closing, OutputLink};
use super::schema::translation;
use super::{Anywhere, ChannelOutputPort, Direction, IntoBatch, Pin, PortSpec};
use crate::channel::{EncodedBatch, RecordForm, ValueBatch, WriteProgress};
use crate::codec::{Avro, Codec};
use crate::error::ChannelError;
use crate::record::Record;

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
    pub(super) open: Option<Box<Open<T, C>>>,
    pin: PhantomData<fn() -> P>,
}

pub(super) struct Open<T, C> {
    codec: C,
    pub(super) destinations: Vec<Destination>,
    scratch: Arc<EncodedBatch>,
    values: PhantomData<fn(T)>,
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
            gate.session.sends();
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
            destination.translate(&encoded)?;
        }
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
        for value in &batch.values {
            let details = details.next().unwrap_or_default();
            push(
                buffer,
                details,
                |bytes| self.codec.encode(value, bytes),
                limit,
                name,
            )?;
        }
        Ok(encoded)
    }
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
        let translations = links
            .iter()
            .map(|link| translation(&codec, &link.session, link.member, link.joined.run))
            .collect::<Result<Vec<_>, _>>()?;
        let opening = links.into_iter().zip(translations);
        let opening = opening.map(|(link, translation)| Destination::open(link, translation));
        let opened = futures::future::try_join_all(opening).await?;
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
        for destination in open.destinations {
            let settled = destination.close(closing).await;
            if *closing == Closing::Finished {
                closed = closed.and(settled);
            }
        }
        closed
    }
}
