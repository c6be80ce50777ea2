//! Positions that a reader has processed, on their way to the broker.

use std::sync::Arc;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::Committer;

use crate::inbox::Inbox;

/// Acknowledges the messages of one reader.
pub(crate) struct InboxCommitter(pub(crate) Arc<Inbox>);

#[async_trait]
impl Committer for InboxCommitter {
    fn commit(&self, offset: u64) {
        if self.0.lock().note(offset, self.0.many) {
            self.0.wake.notify_one();
        }
    }

    async fn flush(&self) -> Result<(), ChannelError> {
        let inbox = &self.0;
        inbox.lock().flushing += 1;
        inbox.wake.notify_one();
        let done = async {
            loop {
                let settled = inbox.settled.notified();
                tokio::pin!(settled);
                settled.as_mut().enable();
                {
                    let state = inbox.lock();
                    if state.is_settled() {
                        return Ok(());
                    }
                    if let Some(failure) = &state.failure {
                        return Err(failure.clone());
                    }
                }
                settled.await;
            }
        };
        let flushed = tokio::time::timeout(inbox.patience, done).await;
        inbox.lock().flushing -= 1;
        flushed.unwrap_or_else(|_| {
            Err(ChannelError::Deadline {
                port: inbox.channel.clone(),
                waited_for: "the broker to take acknowledgements".to_owned(),
                seconds: inbox.patience.as_secs(),
            })
        })
    }
}
