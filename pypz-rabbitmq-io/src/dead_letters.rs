//! Dead letters as messages: one record each, as it was, with headers that any tool shows.

use lapin::types::{AMQPValue, FieldTable};
use pypz_core::channel::{Details, EncodedBatch};

use crate::outbox::{Content, Outbox, Outgoing, State};

/// The headers of a dead letter for what AMQP has no place for: the record's key as bytes, and its timestamp in milliseconds
/// since the Unix epoch.
const KEY: &str = "pypz.key";
const TIMESTAMP: &str = "pypz.timestamp";

/// Puts dead letters into messages, as many as there is room for.
pub(crate) fn put(outbox: &Outbox, state: &mut State, batch: &EncodedBatch, from: usize) -> usize {
    let mut taken = 0;
    for index in from..batch.len() {
        if !outbox.has_room(state) {
            break;
        }
        state.push(Outgoing {
            partition: 0,
            body: batch.payload(index).to_vec(),
            content: Content::Headed(batch.details(index).map_or_else(FieldTable::default, headers)),
            records: 1,
            first: 0,
        });
        taken += 1;
    }
    taken
}

/// Details as AMQP's headers; of two of the same name the last one counts.
fn headers(details: &Details) -> FieldTable {
    let bytes = |value: &[u8]| AMQPValue::LongString(value.to_vec().into());
    let mut table = FieldTable::default();
    if let Some(key) = &details.key {
        table.insert(KEY.into(), bytes(key));
    }
    if let Some(timestamp) = details.timestamp {
        table.insert(TIMESTAMP.into(), AMQPValue::LongLongInt(timestamp));
    }
    for (name, value) in &details.headers {
        table.insert(short(name).into(), bytes(value));
    }
    table
}

/// The name, cut to what AMQP takes.
fn short(name: &str) -> &str {
    const LONGEST: usize = 255;
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_whose_name_is_too_long_for_amqp_is_kept_under_a_shorter_one() {
        assert_eq!(short("reason"), "reason");
        assert_eq!(short(&"é".repeat(200)), "é".repeat(127));
    }
}
