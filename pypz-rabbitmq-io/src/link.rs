//! A connection that comes back: its supervisor, and what went wrong last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{Channel, Connection, ConnectionProperties, Error, Event};
use pypz_core::channel::Location;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::clients::Pauses;
use crate::config::ConnectionConfig;
use crate::error::{hint, is_refusal, words};

/// How often the state of a connection is looked at that says nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a connection may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that is made anew whenever it is lost.
pub(crate) struct Link {
    current: watch::Receiver<Option<Arc<Connection>>>,
    trouble: Arc<Mutex<Trouble>>,
    stop: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

/// Why there is no connection.
#[derive(Default)]
pub(crate) struct Trouble {
    last: Option<String>,
    /// The broker's refusal, until it lets us in.
    pub(crate) refused: Option<String>,
}

impl Link {
    pub(crate) fn start(
        handle: &Handle,
        config: Arc<ConnectionConfig>,
        location: &Location,
        purpose: &'static str,
    ) -> Self {
        let (sender, current) = watch::channel(None);
        let trouble: Arc<Mutex<Trouble>> = Arc::default();
        let stop = Arc::new(Notify::new());
        let supervisor = Supervisor {
            config,
            current: sender,
            trouble: Arc::clone(&trouble),
            stop: Arc::clone(&stop),
            location: location.clone(),
            purpose,
        };
        let task = handle.spawn(supervisor.run());
        Self {
            current,
            trouble,
            stop,
            task,
        }
    }

    pub(crate) fn note(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last thing that went wrong.
    pub(crate) fn cause(&self) -> String {
        self.note().last.clone().unwrap_or_else(|| "no answer".to_owned())
    }

    /// Waits until there is a connection.
    pub(crate) async fn up(&self) -> Option<Arc<Connection>> {
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

    pub(crate) async fn close(&self) {
        // An attempt that is under way uses our runtime on a thread of the client, which panics if that is gone.
        self.stop.notify_one();
        let mut current = self.current.clone();
        let connection = current.borrow().clone();
        let _ = tokio::time::timeout(GOODBYE, current.wait_for(|_| false)).await;
        self.task.abort();
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

/// What a supervisor knows of its link.
struct Supervisor {
    config: Arc<ConnectionConfig>,
    current: watch::Sender<Option<Arc<Connection>>>,
    trouble: Arc<Mutex<Trouble>>,
    stop: Arc<Notify>,
    location: Location,
    purpose: &'static str,
}

impl Supervisor {
    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, error: &Error, hint: &str) {
        let mut trouble = self.trouble();
        let cause = format!("{}{hint}", words(error));
        if is_refusal(error) {
            trouble.refused = Some(cause.clone());
        }
        trouble.last = Some(cause);
    }

    /// Connects, and connects again. The client's own recovery is off: it would re-create, empty, what somebody deleted.
    async fn run(self) {
        let (location, purpose) = (self.location.to_string(), self.purpose);
        let (mut pauses, mut lost_at) = (Pauses::new(), None::<Instant>);
        loop {
            let connection = match connect(&self.config, purpose).await {
                Ok(connection) => Arc::new(connection),
                Err(error) => {
                    self.note(&error, hint(&error, self.location.scheme()));
                    tokio::select! {
                        () = pauses.next() => continue,
                        () = self.stop.notified() => return,
                    }
                }
            };
            self.trouble().refused = None;
            pauses = Pauses::new();
            if let Some(lost_at) = lost_at.take() {
                let seconds = lost_at.elapsed().as_secs_f64();
                tracing::info!(
                    location,
                    "broker unreachable for {seconds:.1} s, reconnected to {purpose}"
                );
            }
            self.current.send_replace(Some(Arc::clone(&connection)));
            tokio::select! {
                error = lost(&connection, &location) => {
                    if let Some(error) = error {
                        self.note(&error, "");
                    }
                }
                () = self.stop.notified() => return,
            }
            lost_at = Some(Instant::now());
            self.current.send_replace(None);
            let cause = self.trouble().last.clone();
            let cause = cause.as_deref().unwrap_or("closed by the broker");
            tracing::warn!(
                location,
                "connection to {purpose} lost, connecting again: {cause}"
            );
        }
    }
}

/// Waits until the connection is lost, and logs what the broker says until then.
async fn lost(connection: &Connection, location: &str) -> Option<Error> {
    let mut events = std::pin::pin!(connection.events_listener());
    loop {
        match tokio::time::timeout(LOOK_AGAIN, events.next()).await {
            Ok(Some(Event::ConnectionBlocked(reason))) => {
                let reason = reason.escape_debug();
                tracing::warn!(location, "broker takes no records (connection.blocked): {reason}");
            }
            Ok(Some(Event::ConnectionUnblocked)) => {
                tracing::info!(location, "broker takes records again");
            }
            Ok(Some(Event::Error(error))) if !connection.status().connected() => return Some(error),
            Ok(None) => return None,
            Ok(Some(_)) | Err(_) if connection.status().connected() => {}
            Ok(Some(_)) | Err(_) => return None,
        }
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
