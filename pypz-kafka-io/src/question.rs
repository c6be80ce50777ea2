//! A question to the broker that many have and that is asked once.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::KafkaError;
use tokio::sync::watch;

/// What was found, by whoever asked; `None` while the question is under way.
type Answer<T> = Option<Result<Arc<T>, KafkaError>>;

/// A question whose answer does not change. It goes on when who asked it has stopped waiting, and is asked anew only after an error.
#[derive(Debug)]
pub(crate) struct Question<T>(Mutex<Option<watch::Receiver<Answer<T>>>>);

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + Sync + 'static> Question<T> {
    /// The answer; `ask` is run where it may block, if nobody else has asked. Cancel-safe.
    pub(crate) async fn answer(
        &self,
        ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<Arc<T>, KafkaError> {
        let mut answer = self.asked(ask);
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(found)) => found.clone(),
            // Who asked has panicked.
            Ok(None) | Err(_) => Err(KafkaError::Canceled),
        }
    }

    /// The question under way or answered, or a new one.
    fn asked(
        &self,
        ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
    ) -> watch::Receiver<Answer<T>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = asked.as_ref().filter(|answer| !has_failed(answer)) {
            return answer.clone();
        }
        let (found, answer) = watch::channel(None);
        tokio::task::spawn_blocking(move || found.send_replace(Some(ask().map(Arc::new))));
        *asked = Some(answer.clone());
        answer
    }
}

fn has_failed<T>(answer: &watch::Receiver<Answer<T>>) -> bool {
    match &*answer.borrow() {
        Some(found) => found.is_err(),
        // Who asked has panicked.
        None => answer.has_changed().is_err(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_asks_after_another_gave_up_gets_the_answer_of_the_same_question() {
        let (question, asked) = (Question::default(), Arc::new(AtomicUsize::new(0)));
        let (go, gate) = mpsc::sync_channel::<()>(1);
        let count = Arc::clone(&asked);
        let first = question.answer(move || {
            count.fetch_add(1, Ordering::SeqCst);
            gate.recv().map_err(|_| KafkaError::Canceled)?;
            Ok(7)
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(20), first)
                .await
                .is_err()
        );
        let second = question.answer(|| Ok(8));
        go.send(()).unwrap();
        assert_eq!(second.await.as_deref(), Ok(&7));
        assert_eq!(question.answer(|| Ok(9)).await.as_deref(), Ok(&7));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_question_that_failed_is_asked_anew() {
        let question = Question::default();
        assert!(question.answer(|| Err(KafkaError::Canceled)).await.is_err());
        assert_eq!(question.answer(|| Ok(1)).await.as_deref(), Ok(&1));
    }
}
