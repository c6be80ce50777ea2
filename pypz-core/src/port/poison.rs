//! Records that do not decode: refused, left out, or on their way to the dead letters.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::gate::Gate;
use crate::channel::{
    ChannelSpec, ChannelWriter, DEAD_LETTER_HEADERS, EncodedBatch, PoisonPolicy, RawRecord, Run,
    WriteProgress,
};
use crate::codec::CodecError;
use crate::error::{ChannelError, plain};

/// How many poison records are logged one by one, and how often those after them are.
const LOGGED_EACH: u64 = 10;
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// The longest reason in a header, in characters.
const LONGEST_REASON: usize = 500;

/// What one reader does with poison, and what it has done.
pub(super) struct Poison {
    policy: PoisonPolicy,
    channel: String,
    reader: String,
    /// How many records were set aside.
    records: u64,
    logged_at: Option<Instant>,
    /// Those that still have to go to the dead letters.
    buried: EncodedBatch,
}

impl Poison {
    /// `buries` says whether there is a writer of dead letters; without one, `dead-letter` fails.
    pub(super) fn new(spec: &ChannelSpec, reader: &str, buries: bool) -> Self {
        let policy = match spec.on_poison {
            PoisonPolicy::DeadLetter if !buries => PoisonPolicy::Fail,
            policy => policy,
        };
        Self {
            policy,
            channel: spec.name().to_owned(),
            reader: reader.to_owned(),
            records: 0,
            logged_at: None,
            buried: EncodedBatch::default(),
        }
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// How many records wait to go to the dead letters.
    pub(super) const fn waiting(&self) -> usize {
        self.buried.len()
    }

    pub(super) const fn buries(&self) -> bool {
        matches!(self.policy, PoisonPolicy::DeadLetter)
    }

    /// Sets a record aside, or gives the error back.
    pub(super) fn set_aside(
        &mut self,
        record: &mut RawRecord<'_>,
        error: CodecError,
    ) -> Result<(), CodecError> {
        match self.policy {
            PoisonPolicy::Fail => return Err(error),
            PoisonPolicy::Skip => {}
            PoisonPolicy::DeadLetter => {
                let mut details = (record.details)();
                let reason: String = plain(&error.to_string()).chars().take(LONGEST_REASON).collect();
                let origin = [
                    reason,
                    self.channel.clone(),
                    record.partition.to_string(),
                    record.offset.to_string(),
                    self.reader.clone(),
                    details.id.take().map_or_else(String::new, |id| id.to_string()),
                ];
                let headers = DEAD_LETTER_HEADERS.into_iter().zip(origin);
                details
                    .headers
                    .extend(headers.map(|(name, value)| (name.to_owned(), value.into_bytes())));
                self.buried.push(details, |bytes| {
                    bytes.extend_from_slice(record.payload);
                    Ok(())
                })?;
            }
        }
        self.records += 1;
        self.say(record, &error);
        Ok(())
    }

    fn say(&mut self, record: &RawRecord<'_>, error: &CodecError) {
        let is_due = self.logged_at.is_none_or(|at| at.elapsed() >= LOGGED_EVERY);
        if self.records > LOGGED_EACH && !is_due {
            return;
        }
        self.logged_at = Some(Instant::now());
        let (channel, partition, offset) = (&self.channel, record.partition, record.offset);
        let done = if self.buries() {
            "goes to the dead letters"
        } else {
            "is left out"
        };
        let cause = plain(&error.to_string());
        tracing::warn!(
            port = self.reader,
            "poison record in {channel}, partition {partition}, offset {offset} {done} ({} so far): {cause}",
            self.records
        );
    }
}

/// Where poison records go, of one reader.
pub(super) struct DeadLetters {
    gate: Gate,
    writer: Box<dyn ChannelWriter>,
    /// What is being written, and how many records of it are.
    batch: Arc<EncodedBatch>,
    written: usize,
}

impl DeadLetters {
    /// Opens the writer, if there is one.
    pub(super) async fn open(
        gate: Gate,
        writer: Option<Box<dyn ChannelWriter>>,
    ) -> Result<Option<Self>, ChannelError> {
        let Some(mut writer) = writer else {
            return Ok(None);
        };
        writer.open().await?;
        Ok(Some(Self {
            gate,
            writer,
            batch: Arc::default(),
            written: 0,
        }))
    }

    /// Writes all that waits. Cancel-safe: the next call goes on where this one was.
    pub(super) async fn bury(&mut self, poison: &mut Poison) -> Result<(), ChannelError> {
        loop {
            while self.written < self.batch.len() {
                self.gate.enter().await?;
                let all = [Run {
                    partition: 0,
                    records: self.batch.len(),
                }];
                let taken = self.writer.write(&self.batch, &all, self.written);
                let taken = taken.inspect_err(|error| self.gate.note(error))?;
                self.written += taken;
                if taken == 0 {
                    self.gate.wait_for_room(self.writer.as_mut()).await?;
                }
            }
            if poison.buried.is_empty() {
                return Ok(());
            }
            self.batch = Arc::new(std::mem::take(&mut poison.buried));
            self.written = 0;
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.written < self.batch.len()
    }

    pub(super) fn progress(&self) -> Arc<dyn WriteProgress> {
        self.writer.progress()
    }

    /// Waits until everything is acknowledged.
    pub(super) fn flush(&self) -> impl Future<Output = Result<(), ChannelError>> + Send + '_ {
        let (gate, progress) = (&self.gate, self.writer.progress());
        async move { gate.flush(progress.as_ref()).await }
    }

    pub(super) async fn close(mut self) {
        self.writer.close().await;
    }
}
