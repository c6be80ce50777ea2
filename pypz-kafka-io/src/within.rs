//! Calls of the client that may never return.

use std::time::Duration;

/// Does what blocks on a thread of its own; `None` if it does not return in time, and then it is left to itself.
///
/// librdkafka's `send_offsets_to_transaction` may go on for ever, whatever time it is given, if the group's coordinator goes away
/// behind it (librdkafka #5456). Whoever begins next fences its producer. On the runtime's own threads such a call would keep the
/// process from its end.
pub(crate) async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("pypz-kafka-txn".to_owned());
    let started = thread.spawn(move || {
        // Nobody waits for it any more if it took too long.
        let _ = answer.send(work());
    });
    started.ok()?;
    tokio::time::timeout(limit, answered).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_never_returns_is_given_up_and_one_that_returns_is_not() {
        let (end, never) = std::sync::mpsc::sync_channel::<()>(1);
        let stuck = within(Duration::from_millis(20), move || never.recv().is_ok());
        assert_eq!(stuck.await, None);
        drop(end);
        assert_eq!(within(Duration::from_secs(60), || 7).await, Some(7));
    }
}
