//! A thread that polls a client until nobody wants it any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A thread that does the same again and again. It has ended when this is dropped, with all that it held: a client that outlives
/// `main` may be in the middle of OpenSSL while the process takes that down.
pub(crate) struct Polling {
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Polling {
    pub(crate) fn start(name: &str, mut poll: impl FnMut() + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                poll();
            }
        })?;
        Ok(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits for the end of the poll that is under way.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of a callback was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_held_is_gone_when_its_polling_is() {
        let held = Arc::new(());
        let polled = Arc::clone(&held);
        let polling = Polling::start("polling", move || {
            let _ = &polled;
            std::thread::yield_now();
        });
        drop(polling.unwrap());
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
