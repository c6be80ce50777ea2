//! The input port.

use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;

use super::link::{Closing, InputLink};
use super::poison::DeadLetters;
use super::retrieval::Retrieval;
use super::schema::translation;
use super::{Anywhere, Batch, ChannelInputPort, Direction, LogPin, Pin, PortSpec};
use crate::channel::{Committer, Details, WriteProgress};
use crate::codec::{Avro, Codec};
use crate::error::ChannelError;
use crate::record::{Position, Record};

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
    open: Option<Box<Retrieval<T, C>>>,
    pin: PhantomData<fn() -> P>,
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
    /// [`ChannelError::Poison`] with partition and offset if a record does not decode (those before it come first) and
    /// `onPoison` says nothing else,
    /// [`ChannelError::Incomplete`] when all is read and a writer had failed or was lost.
    pub async fn retrieve(&mut self) -> Result<Batch<T>, ChannelError> {
        let open = self.open_mut()?;
        open.sink.begin(false);
        open.fill().await?;
        Ok(Batch::new(std::mem::take(&mut open.sink.values)))
    }

    /// As [`InputPort::retrieve`], with key, headers, timestamp, position and id of each record.
    ///
    /// # Errors
    ///
    /// As [`InputPort::retrieve`].
    pub async fn retrieve_records(&mut self) -> Result<Vec<Record<T>>, ChannelError> {
        let open = self.open_mut()?;
        open.sink.begin(true);
        open.fill().await?;
        let values = std::mem::take(&mut open.sink.values);
        let details = open.sink.details.take().unwrap_or_default();
        let record = |(value, (position, details)): (T, (Position, Details))| {
            let Details {
                key,
                headers,
                timestamp,
                id,
            } = details;
            Record {
                value,
                key,
                headers,
                timestamp,
                position: Some(position),
                id,
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
        Ok(open.given)
    }

    /// How many records of this reader did not decode and were set aside, as `onPoison` says. 0 before `on_init`.
    #[must_use]
    pub fn poison_records(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.sink.poison.records())
    }

    pub(super) fn open_mut(&mut self) -> Result<&mut Retrieval<T, C>, ChannelError> {
        self.open.as_deref_mut().ok_or(ChannelError::NotOpen {
            port: type_name::<Self>(),
        })
    }
}

#[async_trait]
impl<T: Send + 'static, C: Codec<T>, P: Pin> ChannelInputPort for InputPort<T, C, P> {
    async fn open(&mut self, link: InputLink) -> Result<(), ChannelError> {
        let codec = C::new().map_err(|error| ChannelError::Configuration {
            port: link.session.name(link.member).to_owned(),
            reason: error.to_string(),
        })?;
        let translation = translation(&codec, &link.session, link.member, link.joined.run)?;
        self.open = Some(Box::new(Retrieval::open(link, codec, translation).await?));
        Ok(())
    }

    fn is_ended(&self) -> bool {
        Self::is_ended(self)
    }

    fn run_schema(&self) -> Option<String> {
        Self::schema()
    }

    fn was_finished(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.was_finished)
    }

    fn ends_cycle(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.ends_cycle)
    }

    fn position(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.given)
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        self.open.as_ref().map(|open| open.committer())
    }

    fn progress(&self) -> Option<Arc<dyn WriteProgress>> {
        let letters = self.open.as_ref().and_then(|open| open.dead_letters.as_ref());
        letters.map(DeadLetters::progress)
    }

    async fn flush(&mut self) -> Result<(), ChannelError> {
        let letters = self.open.as_ref().and_then(|open| open.dead_letters.as_ref());
        match letters.map(DeadLetters::flush) {
            Some(flushed) => flushed.await,
            None => Ok(()),
        }
    }

    async fn close(&mut self, closing: &Closing) -> Result<(), ChannelError> {
        match self.open.take() {
            Some(open) => open.close(closing).await,
            None => Ok(()),
        }
    }
}
