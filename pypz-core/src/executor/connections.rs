//! What the replicas of a process share: one connection a location, one session a channel.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::channel::{ChannelSession, ChannelSpec, Connection, ControlThread, Location, transport_for};
use crate::error::ChannelError;

/// The channels at a location, and how opening the connection went: whoever comes after a failure does not try again.
type AtLocation = (
    Vec<Arc<ChannelSpec>>,
    OnceCell<Result<Arc<dyn Connection>, ChannelError>>,
);

pub(super) struct Connections {
    by_location: HashMap<Location, AtLocation>,
    sessions: HashMap<String, OnceCell<ChannelSession>>,
    control: ControlThread,
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
                log,
                self.control.runtime(),
            ))
        };
        cell.get_or_try_init(start).await.cloned()
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
