//! The transport and its connection, as the core asks for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{
    ChannelReader, ChannelSpec, ChannelWriter, Connection, StatusLog, Transport, TransportRegistration,
};

use crate::clients::Clients;
use crate::reader::RabbitMqChannelReader;
use crate::status::RabbitMqStatusLog;
use crate::writer::RabbitMqChannelWriter;
use crate::{config, look, plain, queues};

/// Channels on RabbitMQ: `amqp://user:password@host:port/vhost`, and `amqps://…` with the feature `tls`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RabbitMqTransport;

inventory::submit!(TransportRegistration::new(&RabbitMqTransport));

#[async_trait]
impl Transport for RabbitMqTransport {
    fn schemes(&self) -> &'static [&'static str] {
        &["amqp", "amqps"]
    }

    fn keeps_dead_letters(&self) -> bool {
        true
    }

    fn is_log(&self) -> bool {
        false
    }

    fn problems(&self, spec: &ChannelSpec) -> Vec<String> {
        let mut problems = config::problems(spec);
        problems.extend(queues::name_problem(spec));
        problems.extend(plain::problem(spec));
        problems
    }

    async fn connect(
        &self,
        channels: &[Arc<ChannelSpec>],
        patience: Duration,
    ) -> Result<Arc<dyn Connection>, ChannelError> {
        let clients = Clients::connect(channels, patience).await?;
        Ok(Arc::new(RabbitMqConnection(Mutex::new(Some(clients)))))
    }
}

/// The clients of one location, until it is closed.
struct RabbitMqConnection(Mutex<Option<Arc<Clients>>>);

impl RabbitMqConnection {
    fn clients(&self) -> Result<Arc<Clients>, ChannelError> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .as_ref()
            .map(Arc::clone)
            .ok_or_else(|| ChannelError::Transport {
                channel: "rabbitmq".to_owned(),
                reason: "the connection is closed".to_owned(),
            })
    }
}

#[async_trait]
impl Connection for RabbitMqConnection {
    fn reader(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelReader>, ChannelError> {
        let reader = RabbitMqChannelReader::new(self.clients()?, Arc::clone(channel), index);
        Ok(Box::new(reader))
    }

    fn writer(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        let writer = RabbitMqChannelWriter::new(self.clients()?, Arc::clone(channel), index);
        Ok(Box::new(writer))
    }

    fn dead_letters(
        &self,
        channel: &Arc<ChannelSpec>,
        _index: u32,
    ) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        let writer = RabbitMqChannelWriter::of_dead_letters(self.clients()?, Arc::clone(channel));
        Ok(Box::new(writer))
    }

    async fn status(&self, channel: &Arc<ChannelSpec>) -> Result<Option<Box<dyn StatusLog>>, ChannelError> {
        let clients = self.clients()?;
        look::exists(&clients, channel, channel.timing.patience).await?;
        Ok(Some(Box::new(RabbitMqStatusLog::open(&clients, channel))))
    }

    async fn exists(&self, channel: &Arc<ChannelSpec>) -> Result<bool, ChannelError> {
        let clients = self.clients()?;
        look::is_there_now(&clients, channel).await
    }

    async fn close(&self) {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(clients) = clients {
            clients.close().await;
        }
    }
}
