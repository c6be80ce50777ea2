//! Commits input positions behind the acknowledgements of the outputs made from them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::channel::{ChannelSession, Committer, WriteProgress};
use crate::error::ChannelError;
use crate::fail_point;
use crate::protocol::{LocalEvent, MemberId};

/// The most checkpoints that wait; beyond them neighbours are joined, which commits later but never too early.
const WAITING_CHECKPOINTS: usize = 4_096;

/// Positions that may be committed once the outputs have reached what was written then.
#[derive(Debug)]
struct Checkpoint {
    positions: Vec<u64>,
    written: Vec<u64>,
    source: Option<String>,
}

/// Where the position of a source goes: into the status log of its first channel.
pub(super) struct SourceLog {
    pub(super) session: ChannelSession,
    pub(super) member: MemberId,
}

/// Keeps, for one replica, what is processed but not yet acknowledged.
pub(super) struct CommitTracker {
    inputs: Vec<Arc<dyn Committer>>,
    outputs: Vec<Arc<dyn WriteProgress>>,
    source: Option<SourceLog>,
    waiting: VecDeque<Checkpoint>,
    last: Vec<u64>,
}

impl CommitTracker {
    pub(super) fn new(
        inputs: Vec<Arc<dyn Committer>>,
        outputs: Vec<Arc<dyn WriteProgress>>,
        source: Option<SourceLog>,
    ) -> Self {
        let last = vec![u64::MAX; inputs.len()];
        Self {
            inputs,
            outputs,
            source,
            waiting: VecDeque::new(),
            last,
        }
    }

    /// Notes that everything before `positions` is processed, where a source is, and what was written until now.
    pub(super) fn checkpoint(&mut self, positions: Vec<u64>, source: Option<String>) {
        if positions == self.last && source.is_none() {
            return;
        }
        self.last.clone_from(&positions);
        let mut checkpoint = Checkpoint {
            positions,
            source,
            written: self.outputs.iter().map(|output| output.written()).collect(),
        };
        if self.waiting.len() >= WAITING_CHECKPOINTS
            && let Some(joined) = self.waiting.pop_back()
        {
            checkpoint.source = checkpoint.source.or(joined.source);
        }
        self.waiting.push_back(checkpoint);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Commits the last checkpoint whose outputs are all acknowledged.
    pub(super) fn settle(&mut self) -> Result<(), ChannelError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let acknowledged = self
            .outputs
            .iter()
            .map(|output| output.acknowledged())
            .collect::<Result<Vec<_>, _>>()?;
        let mut reached: Option<Checkpoint> = None;
        while let Some(first) = self.waiting.front() {
            if first
                .written
                .iter()
                .zip(&acknowledged)
                .any(|(written, acknowledged)| written > acknowledged)
            {
                break;
            }
            let earlier = reached.and_then(|earlier| earlier.source);
            reached = self.waiting.pop_front();
            if let Some(checkpoint) = &mut reached {
                checkpoint.source = checkpoint.source.take().or(earlier);
            }
        }
        if let Some(checkpoint) = reached {
            fail_point::pass("commit.due");
            if let (Some(log), Some(text)) = (&self.source, checkpoint.source) {
                log.session.tell(log.member, LocalEvent::Source(text));
            }
            for (input, position) in self.inputs.iter().zip(checkpoint.positions) {
                input.commit(position);
            }
        }
        Ok(())
    }

    /// Waits until [`CommitTracker::settle`] may have something to do. Cancel-safe.
    pub(super) async fn changed(&self) {
        let missing = self.waiting.front().and_then(|first| {
            let late = |(output, written): &(&Arc<dyn WriteProgress>, &u64)| {
                output
                    .acknowledged()
                    .is_ok_and(|acknowledged| acknowledged < **written)
            };
            self.outputs.iter().zip(&first.written).find(late)
        });
        if let Some((output, written)) = missing {
            let changed = output.changed();
            if output
                .acknowledged()
                .is_ok_and(|acknowledged| acknowledged < *written)
            {
                changed.await;
            }
        }
    }

    /// Waits until everything that was committed is held by the broker.
    pub(super) async fn flush(&self) -> Result<(), ChannelError> {
        for input in &self.inputs {
            input.flush().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::End;
    use async_trait::async_trait;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Output {
        written: AtomicU64,
        acknowledged: AtomicU64,
    }

    #[async_trait]
    impl WriteProgress for Output {
        fn written(&self) -> u64 {
            self.written.load(Ordering::Relaxed)
        }

        fn acknowledged(&self) -> Result<u64, ChannelError> {
            Ok(self.acknowledged.load(Ordering::Relaxed))
        }

        async fn changed(&self) {}

        fn ends(&self) -> Vec<End> {
            Vec::new()
        }
    }

    #[derive(Default)]
    struct Input(AtomicU64);

    #[async_trait]
    impl Committer for Input {
        fn commit(&self, offset: u64) {
            self.0.store(offset, Ordering::Relaxed);
        }

        async fn flush(&self) -> Result<(), ChannelError> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn a_position_is_committed_only_after_everything_made_from_it_is_acknowledged(
            // Of each step: records retrieved, records sent to two outputs, and how many of what is open is acknowledged.
            steps in proptest::collection::vec((1_u64..20, 0_u64..5, 0_u64..5, 0_u64..8, 0_u64..8), 1..60),
        ) {
            let input = Arc::new(Input::default());
            let outputs = [Arc::new(Output::default()), Arc::new(Output::default())];
            let mut tracker = CommitTracker::new(
                vec![Arc::clone(&input) as _],
                outputs.iter().map(|output| Arc::clone(output) as _).collect(),
                None,
            );
            let mut made_from: Vec<(u64, [u64; 2])> = Vec::new();
            let mut position = 0;
            for (retrieved, first, second, ack_first, ack_second) in steps {
                position += retrieved;
                for ((output, sent), acks) in outputs.iter().zip([first, second]).zip([ack_first, ack_second]) {
                    let written = output.written.fetch_add(sent, Ordering::Relaxed) + sent;
                    let acknowledged = output.acknowledged.load(Ordering::Relaxed) + acks;
                    output.acknowledged.store(acknowledged.min(written), Ordering::Relaxed);
                }
                made_from.push((position, [outputs[0].written(), outputs[1].written()]));
                tracker.checkpoint(vec![position], None);
                tracker.settle().unwrap();
                let reached = |(_, needs): &&(u64, [u64; 2])| {
                    needs.iter().zip(&outputs).all(|(need, output)| *need <= output.acknowledged().unwrap())
                };
                let highest = made_from.iter().take_while(reached).last().map_or(0, |(position, _)| *position);
                prop_assert_eq!(input.0.load(Ordering::Relaxed), highest);
            }
        }
    }
}
