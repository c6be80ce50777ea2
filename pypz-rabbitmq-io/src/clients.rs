//! What a process shares for all its channels at one location: a thread, and two connections that come back.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use lapin::{Channel, Error};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Location};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::config;
use crate::error::{is_connection, is_starting, transport, words};
use crate::link::Link;

/// Between two looks for something that is not there yet.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses between attempts, each twice as long as the one before.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) const fn new() -> Self {
        Self(LOOK_AGAIN)
    }

    /// Waits before the next attempt.
    pub(crate) async fn next(&mut self) {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
    }
}

/// Waits until a task that was told to close has ended, and ends it if it takes too long.
pub(crate) async fn ended(task: tokio::task::JoinHandle<()>, within: Duration) {
    let aborted = task.abort_handle();
    if tokio::time::timeout(within, task).await.is_err() {
        aborted.abort();
    }
}

/// How often the cause of a wait is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The name of the threads of a location: none of them may wait for another.
const THREAD: &str = "pypz-rabbitmq";

/// The thread on which everything of a location runs, so that user code which blocks silences no heartbeat.
struct Thread {
    handle: Handle,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(THREAD)
            .enable_all()
            .build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || runtime.block_on(stopped.notified()))?;
        Ok(Self {
            handle,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take()
            && std::thread::current().name() != Some(THREAD)
        {
            let _ = thread.join();
        }
    }
}

/// The connections of one location.
pub(crate) struct Clients {
    pub(crate) location: Location,
    pub(crate) publishing: Link,
    pub(crate) consuming: Link,
    thread: Thread,
}

impl Clients {
    /// Connects, waiting for the broker at most for the patience.
    pub(crate) async fn connect(
        channels: &[Arc<ChannelSpec>],
        patience: Duration,
    ) -> Result<Arc<Self>, ChannelError> {
        let location = channels
            .first()
            .map_or_else(Location::memory, |spec| spec.location.clone());
        let wrong = |reason: String| ChannelError::Configuration {
            port: location.to_string(),
            reason,
        };
        let config = Arc::new(config::connection(channels).map_err(wrong)?);
        if tracing::enabled!(target: "lapin::io_loop", tracing::Level::TRACE) {
            let location = location.to_string();
            tracing::warn!(
                location,
                "lapin's log at level trace shows the password, byte by byte: set lapin=debug"
            );
        }
        let thread = Thread::start().map_err(|error| wrong(format!("no thread: {error}")))?;
        let link = |purpose| Link::start(&thread.handle, Arc::clone(&config), &location, purpose);
        let clients = Arc::new(Self {
            publishing: link("publish"),
            consuming: link("consume"),
            thread,
            location,
        });
        let connected = clients.connected(patience).await;
        if connected.is_err() {
            clients.close().await;
        }
        connected.map(|()| clients)
    }

    /// Waits for both connections; logs the cause every 10 s.
    async fn connected(&self, patience: Duration) -> Result<(), ChannelError> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut log_at = tokio::time::Instant::now() + LOG_EVERY;
        let location = self.location.to_string();
        let links = [&self.publishing, &self.consuming];
        loop {
            let both = async { futures::join!(links[0].up(), links[1].up()) };
            if tokio::time::timeout(LOOK_AGAIN * 5, both).await.is_ok() {
                return Ok(());
            }
            if let Some(reason) = links.iter().find_map(|link| link.note().refused.clone()) {
                return Err(ChannelError::Authentication { location, reason });
            }
            let (now, cause) = (tokio::time::Instant::now(), self.publishing.cause());
            let left = deadline.saturating_duration_since(now).as_secs();
            if now >= deadline {
                return Err(ChannelError::Deadline {
                    port: location,
                    waited_for: format!("the broker: {cause}"),
                    seconds: patience.as_secs(),
                });
            }
            if now >= log_at {
                log_at = now + LOG_EVERY;
                tracing::info!(
                    location,
                    "waiting for the broker, retrying, {left} s left: {cause}"
                );
            }
        }
    }

    /// Runs a task on the location's own thread.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        self.thread.handle.spawn(task)
    }

    /// Does something on a channel of its own, again on a new one while the broker is not up, at most for the patience.
    pub(crate) async fn insistently<T: Send>(
        &self,
        channel: &str,
        doing: &str,
        patience: Duration,
        work: impl Fn(Channel) -> BoxFuture<'static, Result<T, Error>> + Send + Sync,
    ) -> Result<T, ChannelError> {
        let deadline = tokio::time::Instant::now() + patience;
        let overdue = |cause: String| ChannelError::Deadline {
            port: channel.to_owned(),
            waited_for: format!("{doing}: {cause}"),
            seconds: patience.as_secs(),
        };
        let mut pauses = Pauses::new();
        loop {
            let attempt = async {
                let opened = self.consuming.channel().await;
                let done = work(opened.clone()).await;
                if done.is_ok() {
                    let _ = opened.close(200, "done".into()).await;
                }
                done
            };
            let error = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) if is_connection(&error) || is_starting(&error) => error,
                Ok(Err(error)) => return Err(transport(&self.location, channel, doing, &error)),
                Err(_) => return Err(overdue(self.consuming.cause())),
            };
            if tokio::time::Instant::now() >= deadline {
                return Err(overdue(words(&error)));
            }
            pauses.next().await;
        }
    }

    /// Closes both connections side by side.
    pub(crate) async fn close(&self) {
        futures::join!(self.publishing.close(), self.consuming.close());
    }
}
