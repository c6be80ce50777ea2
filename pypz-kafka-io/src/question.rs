//! A question to the broker that many have and that is asked once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::KafkaError;
use tokio::sync::watch;

/// What was found, by whoever asked; `None` while the question is under way.
type Answer<T> = Option<Result<Arc<T>, KafkaError>>;

/// A question that goes on when who asked it has stopped waiting. Unless somebody asks again, it is asked anew only after an error.
#[derive(Debug)]
pub(crate) struct Question<T>(Mutex<Option<Asked<T>>>);

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + Sync + 'static> Question<T> {
    /// The question under way or answered, or a new one.
    pub(crate) fn ask(&self, ask: impl Future<Output = Result<T, KafkaError>> + Send + 'static) -> Asked<T> {
        self.ask_unless(ask, |asked| asked.is_open() || asked.found().is_some())
    }

    /// A question whose answer knows of all that was before this call: one that nobody has begun to ask, or a new one, which is
    /// asked behind the one under way.
    pub(crate) fn ask_again(
        &self,
        ask: impl Future<Output = Result<T, KafkaError>> + Send + 'static,
    ) -> Asked<T> {
        self.ask_unless(ask, |asked| {
            asked.is_open() && !asked.is_begun.load(Ordering::SeqCst)
        })
    }

    fn ask_unless(
        &self,
        ask: impl Future<Output = Result<T, KafkaError>> + Send + 'static,
        is_kept: impl Fn(&Asked<T>) -> bool,
    ) -> Asked<T> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = asked.as_ref().filter(|asked| is_kept(asked)) {
            return asked.clone();
        }
        let before = asked.clone().filter(Asked::is_open);
        let (found, answer) = watch::channel(None);
        let is_begun = Arc::new(AtomicBool::new(false));
        let begun = Arc::clone(&is_begun);
        tokio::spawn(async move {
            if let Some(mut before) = before {
                let _ = before.answer().await;
            }
            begun.store(true, Ordering::SeqCst);
            found.send_replace(Some(ask.await.map(Arc::new)));
        });
        asked.insert(Asked { answer, is_begun }).clone()
    }
}

/// A question that was asked.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    answer: watch::Receiver<Answer<T>>,
    /// Whether the broker may know it already.
    is_begun: Arc<AtomicBool>,
}

impl<T> Clone for Asked<T> {
    fn clone(&self) -> Self {
        Self {
            answer: self.answer.clone(),
            is_begun: Arc::clone(&self.is_begun),
        }
    }
}

impl<T: Send + Sync> Asked<T> {
    /// The answer. Cancel-safe.
    pub(crate) async fn answer(&mut self) -> Result<Arc<T>, KafkaError> {
        match self.answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(found)) => found.clone(),
            // Who asked has panicked.
            Ok(None) | Err(_) => Err(KafkaError::Canceled),
        }
    }

    /// What was found, if it is answered.
    pub(crate) fn found(&self) -> Option<Arc<T>> {
        self.answer.borrow().as_ref()?.as_ref().ok().map(Arc::clone)
    }

    /// Whether the answer is still to come.
    pub(crate) fn is_open(&self) -> bool {
        self.answer.borrow().is_none() && self.answer.has_changed().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_asks_after_another_gave_up_gets_the_answer_of_the_same_question() {
        let (question, asked) = (Question::default(), Arc::new(AtomicUsize::new(0)));
        let (go, gate) = oneshot::channel();
        let count = Arc::clone(&asked);
        let first = question.ask(async move {
            count.fetch_add(1, Ordering::SeqCst);
            gate.await.map_err(|_| KafkaError::Canceled)
        });
        assert!(first.is_open() && first.found().is_none());
        drop(first);
        let mut second = question.ask(async { Ok(8) });
        go.send(7).unwrap();
        assert_eq!(second.answer().await.as_deref(), Ok(&7));
        assert_eq!(second.found().as_deref(), Some(&7));
        assert_eq!(question.ask(async { Ok(9) }).answer().await.as_deref(), Ok(&7));
        assert_eq!(
            question.ask_again(async { Ok(9) }).answer().await.as_deref(),
            Ok(&9)
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_question_that_failed_is_asked_anew() {
        let question = Question::default();
        let mut first = question.ask(async { Err(KafkaError::Canceled) });
        assert!(first.answer().await.is_err() && !first.is_open());
        assert_eq!(question.ask(async { Ok(1) }).answer().await.as_deref(), Ok(&1));
    }

    #[tokio::test]
    async fn whoever_asks_again_is_not_answered_by_what_was_asked_before() {
        let (question, asked) = (Question::default(), Arc::new(AtomicUsize::new(0)));
        let ((go, gate), (begun, has_begun)) = (oneshot::channel(), oneshot::channel());
        let mut first = question.ask_again(async move {
            begun.send(()).map_err(|()| KafkaError::Canceled)?;
            gate.await.map_err(|_| KafkaError::Canceled)
        });
        has_begun.await.unwrap();
        let count = || {
            let asked = Arc::clone(&asked);
            async move { Ok(asked.fetch_add(1, Ordering::SeqCst) + 1) }
        };
        // The first has begun, so these wait for it, and for one answer.
        let (mut second, mut third) = (question.ask_again(count()), question.ask_again(count()));
        go.send(0).unwrap();
        assert_eq!(first.answer().await.as_deref(), Ok(&0));
        assert_eq!(second.answer().await.as_deref(), Ok(&1));
        assert_eq!(third.answer().await.as_deref(), Ok(&1));
        assert_eq!(question.ask_again(count()).answer().await.as_deref(), Ok(&2));
    }
}
