//! A channel without a pipeline: its transport's ends, as the core holds them.

use std::any::Any;
use std::sync::Arc;

use pypz::channel::{
    ChannelConfig, ChannelReader, ChannelSpec, ChannelWriter, Connection, Delivery, Details, EncodedBatch,
    Guarantee, Location, LostOffsetPolicy, PoisonPolicy, RawRecord, RecordSink, Run, transport_for,
};
use pypz::codec::CodecError;
use pypz::protocol::{Layout, RunPolicy, Timing};

/// The channel from a writer to a reader, by their ports, as somebody knows it who is no member.
///
/// # Panics
///
/// If the location is none.
#[must_use]
pub fn channel(writer: &str, reader: &str, location: &str) -> ChannelSpec {
    ChannelSpec {
        layout: Arc::new(Layout {
            channel: reader.into(),
            readers: vec![reader.to_owned()],
            writers: vec![writer.to_owned()],
            ..Layout::default()
        }),
        location: Location::parse(location).unwrap_or_else(|error| panic!("{error}")),
        reader_config: ChannelConfig::new(),
        writer_config: vec![ChannelConfig::new()],
        delivery: Delivery::Shared,
        local_readers: Vec::new(),
        local_writers: vec![0],
        timing: Timing::default(),
        run_policy: RunPolicy::default(),
        guarantee: Guarantee::AtLeastOnce,
        max_record_bytes: 1_000_000,
        buffer_bytes: 1 << 26,
        sequential: false,
        on_poison: PoisonPolicy::default(),
        on_lost_offset: LostOffsetPolicy::default(),
    }
}

/// What a process shares for the channel.
///
/// # Panics
///
/// If there is no connection.
pub async fn connect(channel: &Arc<ChannelSpec>) -> Arc<dyn Connection> {
    let transport = transport_for(&channel.location).unwrap_or_else(|error| panic!("{error}"));
    transport
        .connect(&[Arc::clone(channel)], channel.timing.patience)
        .await
        .unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// Writes texts to partition 0 and waits until they are acknowledged.
///
/// # Panics
///
/// If the transport fails.
pub async fn write(writer: &mut dyn ChannelWriter, texts: &[&str]) {
    let mut batch = EncodedBatch::default();
    for text in texts {
        let pushed = batch.push(Details::default(), |bytes| {
            bytes.extend_from_slice(text.as_bytes());
            Ok(())
        });
        pushed.unwrap_or_else(|error| panic!("{error}"));
    }
    let (batch, runs) = (
        Arc::new(batch),
        [Run {
            partition: 0,
            records: texts.len(),
        }],
    );
    let mut taken = 0;
    while taken < texts.len() {
        let took = writer.write(&batch, &runs, taken);
        match took.unwrap_or_else(|error| panic!("not written: {error}")) {
            0 => writer.writable().await,
            some => taken += some,
        }
    }
    let progress = writer.progress();
    loop {
        let written = progress.written();
        if progress.acknowledged().unwrap_or_else(|error| panic!("{error}")) >= written {
            return;
        }
        progress.changed().await;
    }
}

/// Reads to the end, and asks whether it has grown, until it has not.
///
/// # Panics
///
/// If the transport fails.
pub async fn read_to_the_end(reader: &mut dyn ChannelReader) -> Vec<String> {
    let mut texts = Texts::default();
    loop {
        let end = reader
            .end()
            .await
            .unwrap_or_else(|error| panic!("no end: {error}"));
        if reader.position() >= end {
            return texts.0;
        }
        while reader.position() < end {
            let read = reader.read(&mut texts);
            if read.unwrap_or_else(|error| panic!("not read: {error}")) == 0 {
                reader.readable().await;
            }
        }
    }
}

/// Takes every record as a text.
#[derive(Default)]
struct Texts(Vec<String>);

impl RecordSink for Texts {
    fn is_full(&self) -> bool {
        false
    }

    fn take(&mut self, record: RawRecord<'_>) -> Result<(), CodecError> {
        self.0.push(String::from_utf8_lossy(record.payload).into_owned());
        Ok(())
    }

    fn take_values(
        &mut self,
        _partition: u32,
        _first_offset: u64,
        _values: Box<dyn Any + Send>,
    ) -> Result<(), CodecError> {
        Err(CodecError::decode("a text", "values travel in memory only"))
    }
}
