//! Notices that the topics of a channel are gone, or are others: librdkafka says so late or never.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pypz_core::ChannelError;
use pypz_core::channel::ChannelSpec;
use pypz_core::protocol::Side;
use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clients::{Clients, blocking};
use crate::topics::status_topic;

/// Between two looks, and between two while there is a doubt.
const LOOK: Duration = Duration::from_secs(3);
const LOOK_IN_DOUBT: Duration = Duration::from_secs(1);

/// How long one question may take. A broker that is away is no answer.
const ANSWER: Duration = Duration::from_secs(1);

/// So many looks in a row must say the same: a broker that has just begun may not know yet all that it has.
const LOOKS: u8 = 3;

/// Of how many partitions a look asks for the ends.
const AT_ONCE: u64 = 4;

/// What a look found.
enum Found {
    /// The topics, and the ends of the partitions whose turn it was.
    There(Vec<(i32, i64)>),
    /// That the broker knows no such topic.
    Unknown(String),
}

/// Looks at the topics of one channel every few seconds, whatever travels through them: at the data topic each time, at the two
/// of status in turn, and at the ends of a few partitions. A log whose end has gone back is another log of the same name; one
/// that has grown longer again since the last look is not told from it, because the ids of topics are out of the client's reach.
pub(crate) struct TopicWatch {
    clients: Weak<Clients>,
    channel: String,
    partitions: i32,
    looks: u64,
    asked: Option<JoinHandle<Result<Found, KafkaError>>>,
    next: Instant,
    doubts: u8,
    /// The greatest end that each partition was seen with.
    ends: Vec<i64>,
}

impl TopicWatch {
    pub(crate) fn new(clients: &Arc<Clients>, spec: &ChannelSpec) -> Self {
        let partitions = i32::try_from(spec.partitions()).unwrap_or(i32::MAX).max(1);
        Self {
            clients: Arc::downgrade(clients),
            channel: spec.name().to_owned(),
            partitions,
            looks: 0,
            asked: None,
            next: Instant::now() + LOOK,
            doubts: 0,
            ends: vec![0; partitions.unsigned_abs() as usize],
        }
    }

    /// Returns when a topic is gone for sure. Cancel-safe.
    pub(crate) async fn gone(&mut self) -> ChannelError {
        loop {
            if let Some(asked) = &mut self.asked {
                let found = asked.await;
                self.asked = None;
                if let Ok(Ok(found)) = found
                    && let Some(gone) = self.judge(found)
                {
                    return gone;
                }
                self.next = Instant::now() + if self.doubts > 0 { LOOK_IN_DOUBT } else { LOOK };
            }
            tokio::time::sleep_until(self.next).await;
            match self.clients.upgrade() {
                // A question to nobody costs more than it can tell.
                Some(clients) if clients.trouble.is_nobody_there() => self.next = Instant::now() + LOOK,
                Some(clients) => self.asked = Some(self.ask(clients)),
                // The connection is closed.
                None => std::future::pending().await,
            }
        }
    }

    fn ask(&mut self, clients: Arc<Clients>) -> JoinHandle<Result<Found, KafkaError>> {
        // While there is a doubt, the same is looked at again.
        self.looks += u64::from(self.doubts == 0);
        let side = Side::BOTH[usize::from(self.looks.is_multiple_of(2))];
        let topics = [self.channel.clone(), status_topic(&self.channel, side)];
        let partitions = self.in_turn();
        let asked = Arc::clone(&clients);
        let look = move || {
            for topic in &topics {
                if asked.is_unknown(topic, ANSWER)? {
                    return Ok(Found::Unknown(topic.clone()));
                }
            }
            let admin = asked.admin.inner();
            let end = |partition: i32| {
                let (_, end) = admin.fetch_watermarks(&topics[0], partition, ANSWER)?;
                Ok((partition, end))
            };
            let ends: Result<Vec<_>, KafkaError> = partitions.into_iter().map(end).collect();
            ends.map(Found::There)
        };
        tokio::spawn(async move {
            let Some(_turn) = clients.turn().await else {
                return Err(KafkaError::Canceled);
            };
            blocking(look).await
        })
    }

    /// The partitions whose turn it is.
    fn in_turn(&self) -> Vec<i32> {
        let first = self.looks.wrapping_mul(AT_ONCE) % u64::from(self.partitions.unsigned_abs());
        let first = i32::try_from(first).unwrap_or(0);
        let count = self.partitions.min(i32::try_from(AT_ONCE).unwrap_or(1));
        (0..count).map(|turn| (first + turn) % self.partitions).collect()
    }

    /// Takes a look in; says what is gone if it is sure.
    fn judge(&mut self, found: Found) -> Option<ChannelError> {
        match found {
            Found::There(ends) => {
                self.doubts = 0;
                ends.into_iter()
                    .find_map(|(partition, end)| self.compare(partition, end))
            }
            Found::Unknown(topic) => {
                self.doubts += 1;
                (self.doubts >= LOOKS).then(|| ChannelError::Mismatch {
                    object: format!("topic {topic}"),
                    reason: "it was deleted by someone else".to_owned(),
                })
            }
        }
    }

    /// Compares the end of a partition with what it was. Kafka answers with no end that is less than one it has told.
    fn compare(&mut self, partition: i32, end: i64) -> Option<ChannelError> {
        let seen = self
            .ends
            .get_mut(usize::try_from(partition).unwrap_or(usize::MAX))?;
        if end >= *seen {
            *seen = end;
            return None;
        }
        Some(ChannelError::Mismatch {
            object: format!("topic {}", self.channel),
            reason: format!(
                "it was deleted by someone else and created again: partition {partition} ends at offset {end} after {seen}"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> TopicWatch {
        TopicWatch {
            clients: Weak::new(),
            channel: "pl.r.in".to_owned(),
            partitions: 2,
            looks: 0,
            asked: None,
            next: Instant::now(),
            doubts: 0,
            ends: vec![0; 2],
        }
    }

    #[test]
    fn a_topic_is_gone_when_three_looks_in_a_row_say_so() {
        let mut watch = watch();
        let unknown = || Found::Unknown("pl.r.in".to_owned());
        for found in [
            unknown(),
            unknown(),
            Found::There(vec![(0, 4)]),
            unknown(),
            unknown(),
        ] {
            assert!(watch.judge(found).is_none());
        }
        let gone = watch.judge(unknown()).unwrap().to_string();
        assert!(
            gone.contains("topic pl.r.in") && gone.contains("deleted by someone else"),
            "{gone}"
        );
    }

    #[test]
    fn a_log_whose_end_goes_back_is_another_one() {
        let mut watch = watch();
        for ends in [vec![(0, 9), (1, 4)], vec![(0, 9), (1, 4)], vec![(0, 12), (1, 4)]] {
            assert!(watch.judge(Found::There(ends)).is_none());
        }
        let gone = watch
            .judge(Found::There(vec![(0, 12), (1, 3)]))
            .unwrap()
            .to_string();
        assert!(
            gone.contains("created again") && gone.contains("ends at offset 3 after 4"),
            "{gone}"
        );
    }

    #[test]
    fn every_partition_has_its_turn() {
        let mut watch = watch();
        watch.partitions = 10;
        let mut looked_at = std::collections::BTreeSet::new();
        for looks in 0..5 {
            watch.looks = looks;
            let turn = watch.in_turn();
            assert_eq!(turn.len(), 4);
            looked_at.extend(turn);
        }
        assert_eq!(looked_at.len(), 10);
    }
}
