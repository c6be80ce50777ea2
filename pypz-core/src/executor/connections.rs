//! What the replicas of a process share: one connection a location, one session a channel.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OnceCell, watch};

use crate::channel::{ChannelSession, ChannelSpec, Connection, ControlThread, Location, transport_for};
use crate::error::ChannelError;
use crate::protocol::Process;

use super::joining::is_volatile;

/// The channels at a location, and how opening the connection went: whoever comes after a failure does not try again.
type AtLocation = (
    Vec<Arc<ChannelSpec>>,
    OnceCell<Result<Arc<dyn Connection>, ChannelError>>,
);

pub(super) struct Connections {
    by_location: HashMap<Location, AtLocation>,
    sessions: HashMap<String, OnceCell<ChannelSession>>,
    control: ControlThread,
    process: Process,
    first: Option<FirstChannel>,
}

/// The channel on which a process claims before it claims on the others, so that of two processes with the same members one
/// gets them all.
struct FirstChannel {
    name: String,
    taken: watch::Sender<bool>,
}

impl FirstChannel {
    /// A channel whose run this process opens, so that it waits for nobody else; the first of them by name, so that all
    /// processes with the same members choose the same.
    fn of(channels: &[Arc<ChannelSpec>]) -> Option<Self> {
        let mut lasting: Vec<&Arc<ChannelSpec>> =
            channels.iter().filter(|channel| !is_volatile(channel)).collect();
        lasting.sort_by_key(|channel| (!channel.local_readers.contains(&0), channel.name().to_owned()));
        let first = lasting.first().filter(|_| lasting.len() > 1)?;
        Some(Self {
            name: first.name().to_owned(),
            taken: watch::Sender::new(false),
        })
    }
}

impl Connections {
    pub(super) fn new(channels: &[Arc<ChannelSpec>]) -> std::io::Result<Self> {
        let mut by_location: HashMap<Location, AtLocation> = HashMap::new();
        for channel in channels {
            by_location
                .entry(channel.location.clone())
                .or_default()
                .0
                .push(Arc::clone(channel));
        }
        let sessions = channels
            .iter()
            .map(|channel| (channel.name().to_owned(), OnceCell::new()))
            .collect();
        Ok(Self {
            by_location,
            sessions,
            control: ControlThread::start()?,
            process: Process::current(),
            first: FirstChannel::of(channels),
        })
    }

    /// The connection for a channel; the first who asks opens it.
    pub(super) async fn connection(
        &self,
        channel: &ChannelSpec,
    ) -> Result<Arc<dyn Connection>, ChannelError> {
        let unplanned = || ChannelError::Configuration {
            port: channel.name().to_owned(),
            reason: "the channel is not part of the plan".to_owned(),
        };
        let (channels, cell) = self.by_location.get(&channel.location).ok_or_else(unplanned)?;
        let transport = transport_for(&channel.location).map_err(|reason| ChannelError::Configuration {
            port: channel.name().to_owned(),
            reason,
        })?;
        cell.get_or_init(|| transport.connect(channels, channel.timing.patience))
            .await
            .clone()
    }

    /// The session of a channel; the first who asks starts it, once the channel exists.
    pub(super) async fn session(&self, channel: &Arc<ChannelSpec>) -> Result<ChannelSession, ChannelError> {
        let connection = self.connection(channel).await?;
        let Some(cell) = self.sessions.get(channel.name()) else {
            let (channel, reason) = (
                channel.name().to_owned(),
                "the channel is not part of the plan".to_owned(),
            );
            return Err(ChannelError::Transport { channel, reason });
        };
        let start = || async {
            let log = connection.status(channel).await?;
            Ok(ChannelSession::start(
                Arc::clone(channel),
                self.process.clone(),
                log,
                self.control.runtime(),
            ))
        };
        cell.get_or_try_init(start).await.cloned()
    }

    /// Waits until this process has a member on its first channel, for as long as others who want the same may have to be
    /// challenged; who was replaced there is on this channel, too.
    pub(super) async fn turn(&self, session: &ChannelSession) {
        let spec = session.spec();
        let Some(first) = self.first.as_ref().filter(|first| first.name != spec.name()) else {
            return;
        };
        let mut taken = first.taken.subscribe();
        let turn = async { taken.wait_for(|taken| *taken).await.is_ok() };
        if tokio::time::timeout(spec.timing.challenge * 2, turn)
            .await
            .is_err()
        {
            tracing::debug!(
                channel = spec.name(),
                "claims before there is a member on {}",
                first.name
            );
        }
        if let Some(first) = self.sessions.get(&first.name).and_then(OnceCell::get) {
            session.learn_replaced(&first.replaced());
        }
    }

    /// Notes that this process has a member on a channel.
    pub(super) fn took(&self, channel: &ChannelSpec) {
        if let Some(first) = self.first.as_ref().filter(|first| first.name == channel.name()) {
            first.taken.send_replace(true);
        }
    }

    /// Where futures run that user code cannot hold up.
    pub(super) const fn runtime(&self) -> &tokio::runtime::Handle {
        self.control.runtime()
    }

    /// Ends the session of a channel whose objects are about to be deleted, once plain writers have closed.
    pub(super) async fn end_session(&self, channel: &ChannelSpec) {
        if let Some(session) = self.sessions.get(channel.name()).and_then(OnceCell::get) {
            session.plain_writers_left().await;
            session.end();
        }
    }

    /// Closes everything, after the last replica is gone.
    pub(super) async fn close(&self) {
        for session in self.sessions.values().filter_map(OnceCell::get) {
            session.end();
        }
        let connected = self.by_location.values().filter_map(|(_, cell)| cell.get());
        let open = connected.filter_map(|connected| connected.as_ref().ok());
        futures::future::join_all(open.map(|connection| connection.close())).await;
    }
}
