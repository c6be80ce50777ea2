//! Acknowledgements between operators: a reader says that it has processed what it was given, a writer asks whether all have.

use std::any::type_name;
use std::time::Duration;

use tokio::time::Instant;

use super::destination::Destination;
use super::retrieval::Retrieval;
use super::{InputPort, OutputPort, Pin};
use crate::channel::Delivery;
use crate::codec::Codec;
use crate::error::ChannelError;
use crate::executor::Phase;
use crate::protocol::{Acknowledgement, Numbers};

/// How often the log says what is waited for.
const LOG_EVERY: Duration = Duration::from_secs(10);

impl<T: Send + 'static, C: Codec<T>, P: Pin> InputPort<T, C, P> {
    /// Tells the writers that everything handed out so far is processed. It does not wait; [`OutputPort::acknowledged`] and
    /// [`OutputPort::is_acknowledged`] hear it on the other side.
    ///
    /// This is for operators that agree on something, as a writer that must not send the next part before all replicas have
    /// the last. Nothing else depends on it: positions are committed and inputs end without. Each replica speaks for what it
    /// was given itself. A reader that has read to its end counts as having acknowledged all.
    ///
    /// ```no_run
    /// # use pypz_core::{InputPort, error::ChannelError};
    /// # async fn f(mut input: InputPort<String>) -> Result<(), ChannelError> {
    /// let batch = input.retrieve().await?;
    /// // ... what is to be done with it, and then:
    /// input.acknowledge()
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] on a queue if an operator acknowledges so seldom, or a replica of it never, that what is open
    /// cannot be kept in mind. [`ChannelError::NotOpen`] before `on_init` and after `on_shutdown`.
    pub fn acknowledge(&mut self) -> Result<(), ChannelError> {
        self.open_mut()?.acknowledge()
    }
}

impl<T: Send + 'static, C: Codec<T>> Retrieval<T, C> {
    fn acknowledge(&mut self) -> Result<(), ChannelError> {
        self.session.check(self.member)?;
        let spec = self.session.spec();
        let refused = |reason: String| ChannelError::Configuration {
            port: self.name.clone(),
            reason,
        };
        if spec.is_log() {
            // One offset a reader always has a place.
            let _ = self
                .session
                .acknowledge(self.member, Acknowledgement::UpTo(self.given));
            return Ok(());
        }
        let numbers = self.reader.numbers(self.given).map_err(|messages| {
            refused(format!(
                "more than {messages} messages were handed out without an acknowledgement: acknowledge from the first batch on, and \
                 more often"
            ))
        })?;
        let reader = (spec.delivery == Delivery::Broadcast).then_some(self.member.index);
        // Writers of pypz-python give no numbers and want to be told all the same.
        let mut fits = self.session.acknowledge(self.member, Acknowledgement::Bare);
        for numbers in numbers {
            let numbers = Numbers { reader, ..numbers };
            fits &= self
                .session
                .acknowledge(self.member, Acknowledgement::Each(numbers));
        }
        match fits {
            true => Ok(()),
            false => Err(refused(
                "the replicas of this operator have acknowledged too many single records whose neighbours are not: every replica has \
                 to acknowledge what it was given"
                    .to_owned(),
            )),
        }
    }
}

impl<T: Send + 'static, C: Codec<T>, P: Pin> OutputPort<T, C, P> {
    /// Waits until everything sent so far is held by the broker and every reader has acknowledged its part of it
    /// ([`InputPort::acknowledge`]). Cancel-safe.
    ///
    /// A reader of plain pypz-python acknowledges without saying what: it counts if it said so after the last send, and has
    /// received as many records as were sent.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] names the readers if none of them gets on for twice the patience.
    /// [`ChannelError::Draining`] when the pipeline drains: return it, the executor knows it. [`ChannelError::Configuration`]
    /// with exactly-once, where readers see what an `on_running` sent only after it returned: ask with
    /// [`OutputPort::is_acknowledged`] there. Else as [`OutputPort::flush`].
    pub async fn acknowledged(&mut self) -> Result<(), ChannelError> {
        for destination in self.opened()? {
            destination.acknowledged().await?;
        }
        Ok(())
    }

    /// Whether everything sent so far is held by the broker and every reader has acknowledged its part of it, without waiting.
    /// True if nothing was sent.
    ///
    /// # Errors
    ///
    /// As [`OutputPort::flush`].
    pub fn is_acknowledged(&mut self) -> Result<bool, ChannelError> {
        for destination in self.opened()? {
            let progress = destination.writer.progress();
            let is_held = progress.acknowledged()? >= progress.written();
            if !is_held || !destination.unacknowledged()?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn opened(&mut self) -> Result<&mut [Destination], ChannelError> {
        let open = self.open.as_deref_mut().ok_or(ChannelError::NotOpen {
            port: type_name::<Self>(),
        })?;
        Ok(&mut open.destinations)
    }
}

impl Destination {
    /// The readers that have not acknowledged all, each with how far it is.
    fn unacknowledged(&self) -> Result<Vec<String>, ChannelError> {
        let session = &self.gate.session;
        session.check(self.gate.member)?;
        let (progress, counter) = (self.writer.progress(), self.writer.counter());
        if counter.is_none() && !session.spec().is_log() {
            return Err(self.refused("its transport has neither offsets nor numbers to acknowledge"));
        }
        Ok(session.unacknowledged(progress.as_ref(), counter))
    }

    fn refused(&self, reason: &str) -> ChannelError {
        ChannelError::Configuration {
            port: self.gate.name.clone(),
            reason: reason.to_owned(),
        }
    }

    async fn acknowledged(&mut self) -> Result<(), ChannelError> {
        if self.gate.round.is_some() {
            return Err(self.refused(
                "readers see what a transaction holds only after on_running returned: ask with is_acknowledged instead of waiting",
            ));
        }
        self.gate.flush(self.writer.progress().as_ref()).await?;
        let patience = self.gate.session.spec().timing.patience * 2;
        let mut view = self.gate.session.watch();
        let mut last = (Vec::new(), Instant::now());
        loop {
            view.borrow_and_update();
            let missing = self.unacknowledged()?;
            if missing.is_empty() {
                return Ok(());
            }
            if self.gate.shutdown.phase() != Phase::Running {
                let port = self.gate.name.clone();
                return Err(ChannelError::Draining { port });
            }
            let waited_for = format!("readers to acknowledge what was sent: {}", missing.join(", "));
            if missing != last.0 {
                last = (missing, Instant::now());
            }
            if last.1.elapsed() >= patience {
                return Err(ChannelError::Deadline {
                    port: self.gate.name.clone(),
                    waited_for,
                    seconds: patience.as_secs(),
                });
            }
            let log_at = Instant::now() + LOG_EVERY;
            tokio::select! {
                changed = tokio::time::timeout_at(log_at.min(last.1 + patience), view.changed()) => if changed.is_err() {
                    tracing::info!(port = self.gate.name, "waiting for {waited_for}");
                },
                () = self.gate.shutdown.changed() => {}
            }
        }
    }
}
