//! Records, straight from the client's buffers, and what came in the place of one.

use std::sync::Arc;

use pypz_core::channel::{Details, RawRecord, RecordSink};
use pypz_core::{ChannelError, RecordId};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};

/// What a queue gave: records, and what came behind them.
pub(crate) struct Taken {
    pub(crate) records: usize,
    pub(crate) behind: Option<Behind>,
}

/// Why no record comes next.
pub(crate) enum Behind {
    /// It does not decode.
    Poison(ChannelError),
    /// The client has an error in its place.
    Error(KafkaError),
}

/// Key, headers and timestamp of a message; its id is the partition's and its offset.
pub(crate) fn details_of(message: &impl Message) -> Details {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    });
    Details {
        key: message.key().map(Into::into),
        headers: headers.unwrap_or_default(),
        timestamp: message.timestamp().to_millis(),
        id: None,
    }
}

/// Decodes what is at hand straight from librdkafka's buffers.
pub(crate) fn read_partition<M: Message>(
    (channel, counter): (&str, &Arc<str>),
    mut next: impl FnMut() -> Option<Result<M, KafkaError>>,
    sink: &mut dyn RecordSink,
    position: &mut u64,
) -> Taken {
    let mut records = 0;
    let mut behind = None;
    while !sink.is_full() {
        let message = match next() {
            None => break,
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                behind = Some(Behind::Error(error));
                break;
            }
        };
        let offset = u64::try_from(message.offset()).unwrap_or(0);
        let partition = u32::try_from(message.partition()).unwrap_or(0);
        let mut details = || Details {
            id: Some(RecordId {
                counter: Arc::clone(counter),
                sequence: offset,
            }),
            ..details_of(&message)
        };
        let payload = message.payload().unwrap_or_default();
        let record = RawRecord {
            partition,
            offset,
            payload,
            details: &mut details,
        };
        if let Err(source) = sink.take(record) {
            behind = Some(Behind::Poison(ChannelError::Poison {
                channel: channel.to_owned(),
                partition,
                offset,
                source,
            }));
            break;
        }
        records += 1;
        *position = offset + 1;
    }
    Taken { records, behind }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::collections::VecDeque;

    use pypz_core::codec::CodecError;
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    /// Takes everything.
    struct Offsets(Vec<u64>);

    impl RecordSink for Offsets {
        fn is_full(&self) -> bool {
            false
        }

        fn take_values(&mut self, _: u32, _: u64, _: Box<dyn Any + Send>) -> Result<(), CodecError> {
            Ok(())
        }

        fn take(&mut self, record: RawRecord<'_>) -> Result<(), CodecError> {
            self.0.push(record.offset);
            Ok(())
        }
    }

    fn record(offset: i64) -> OwnedMessage {
        OwnedMessage::new(
            None,
            None,
            "pl.r.in".to_owned(),
            Timestamp::NotAvailable,
            0,
            offset,
            None,
        )
    }

    #[test]
    fn an_error_behind_records_is_kept_for_the_client_says_it_only_once() {
        let gone = KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset);
        let mut queue = VecDeque::from([Ok(record(7)), Ok(record(8)), Err(gone)]);
        let (mut sink, mut position) = (Offsets(Vec::new()), 7);
        let taken = read_partition(
            ("pl.r.in", &"pl.r.in[0]".into()),
            || queue.pop_front(),
            &mut sink,
            &mut position,
        );
        assert_eq!((taken.records, position, sink.0), (2, 9, vec![7, 8]));
        assert!(
            matches!(taken.behind, Some(Behind::Error(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset))
        );
    }
}
