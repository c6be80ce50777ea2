//! What a process shares for all its channels at one location: a thread, and two connections that come back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{Channel, Connection, ConnectionProperties, Error, Event};
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Location};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::config::{self, ConnectionConfig};
use crate::error::{is_connection, is_refusal, is_starting, transport, words};

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

/// How long a connection may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(1);

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

/// A connection that is made anew whenever it is lost.
pub(crate) struct Link {
    current: watch::Receiver<Option<Arc<Connection>>>,
    trouble: Arc<Mutex<Trouble>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Trouble {
    last: Option<String>,
    refused: Option<String>,
}

impl Link {
    fn start(
        handle: &Handle,
        config: Arc<ConnectionConfig>,
        location: &Location,
        purpose: &'static str,
    ) -> Self {
        let (sender, current) = watch::channel(None);
        let trouble: Arc<Mutex<Trouble>> = Arc::default();
        let (noted, location) = (Arc::clone(&trouble), location.to_string());
        let task = handle.spawn(supervise(config, sender, noted, location, purpose));
        Self {
            current,
            trouble,
            task,
        }
    }

    fn note(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last thing that went wrong.
    pub(crate) fn cause(&self) -> String {
        self.note().last.clone().unwrap_or_else(|| "no answer".to_owned())
    }

    /// Waits until there is a connection.
    async fn up(&self) -> Option<Arc<Connection>> {
        let mut current = self.current.clone();
        let up =
            current.wait_for(|connection| connection.as_ref().is_some_and(|one| one.status().connected()));
        up.await.ok().and_then(|connection| connection.clone())
    }

    /// A new channel, as soon as there is a connection. Waits for ever if none comes: whoever asks has a deadline.
    pub(crate) async fn channel(&self) -> Channel {
        let mut pauses = Pauses::new();
        loop {
            let Some(connection) = self.up().await else {
                return std::future::pending().await;
            };
            match connection.create_channel().await {
                Ok(channel) => return channel,
                Err(error) => {
                    self.note().last = Some(words(&error));
                    pauses.next().await;
                }
            }
        }
    }

    async fn close(&self) {
        self.task.abort();
        let connection = self.current.borrow().clone();
        if let Some(connection) = connection {
            let goodbye = connection.close(200, "done".into());
            let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects, and connects again. The client's own recovery is off: it would re-create, empty, what somebody deleted.
async fn supervise(
    config: Arc<ConnectionConfig>,
    current: watch::Sender<Option<Arc<Connection>>>,
    trouble: Arc<Mutex<Trouble>>,
    location: String,
    purpose: &'static str,
) {
    let note = |error: &Error| {
        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.last = Some(words(error));
        trouble.refused = is_refusal(error).then(|| words(error));
    };
    let (mut pauses, mut lost_at) = (Pauses::new(), None::<Instant>);
    loop {
        let connection = match connect(&config, purpose).await {
            Ok(connection) => Arc::new(connection),
            Err(error) => {
                note(&error);
                pauses.next().await;
                continue;
            }
        };
        pauses = Pauses::new();
        if let Some(lost_at) = lost_at.take() {
            let seconds = lost_at.elapsed().as_secs_f64();
            tracing::info!(
                location,
                "broker unreachable for {seconds:.1} s, reconnected to {purpose}"
            );
        }
        let mut events = std::pin::pin!(connection.events_listener());
        current.send_replace(Some(Arc::clone(&connection)));
        loop {
            let event = tokio::time::timeout(LONGEST_PAUSE, events.next()).await;
            match event {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    let reason = reason.escape_debug();
                    tracing::warn!(location, "broker takes no records (connection.blocked): {reason}");
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    tracing::info!(location, "broker takes records again")
                }
                Ok(Some(Event::Error(error))) if !connection.status().connected() => {
                    note(&error);
                    break;
                }
                Ok(None) => break,
                Ok(Some(_)) | Err(_) if connection.status().connected() => {}
                Ok(Some(_)) | Err(_) => break,
            }
        }
        lost_at = Some(Instant::now());
        current.send_replace(None);
        let cause = trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last
            .clone();
        let cause = cause.as_deref().unwrap_or("closed by the broker");
        tracing::warn!(
            location,
            "connection to {purpose} lost, connecting again: {cause}"
        );
    }
}

async fn connect(config: &ConnectionConfig, purpose: &str) -> Result<Connection, Error> {
    let tls = OwnedTLSConfig {
        identity: config
            .identity
            .clone()
            .map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key }),
        cert_chain: config.ca.clone(),
    };
    let name = format!("pypz pid {} to {purpose}", std::process::id());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connect_uri_with_config(config.uri.clone(), properties, tls, runtime).await
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
        let thread = Thread::start().map_err(|error| wrong(format!("no thread: {error}")))?;
        let link = |purpose| Link::start(&thread.handle, Arc::clone(&config), &location, purpose);
        let clients = Arc::new(Self {
            publishing: link("publish"),
            consuming: link("consume"),
            thread,
            location,
        });
        clients.connected(patience).await?;
        Ok(clients)
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
                Ok(Err(error)) => return Err(transport(channel, doing, &error)),
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
