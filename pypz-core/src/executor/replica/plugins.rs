//! What a replica does beside its operator: services, resources, and hooks around the execution.

use super::Replica;
use crate::Result;
use crate::error::ChannelError;
use crate::executor::Outcome;
use crate::executor::services::start_order;
use crate::fail_point;
use crate::operator::ErasedOperator;
use crate::plugin::Plugin;

impl Replica {
    pub(super) async fn start_services(&mut self) -> Result<Outcome> {
        for name in start_order(&self.planned.plugins) {
            if let Some(service) = plugin(&mut self.operator, name).and_then(Plugin::as_service) {
                service
                    .start()
                    .await
                    .map_err(|error| error.context(format!("service {name}")))?;
                self.services.push(name);
            }
        }
        Ok(Outcome::Done)
    }

    pub(super) async fn shut_down_services(&mut self) -> Result<Outcome> {
        while let Some(name) = self.services.pop() {
            if let Some(service) = plugin(&mut self.operator, name).and_then(Plugin::as_service) {
                service
                    .shut_down()
                    .await
                    .map_err(|error| error.context(format!("service {name}")))?;
            }
        }
        Ok(Outcome::Done)
    }

    pub(super) async fn create_resources(&mut self) -> Result<Outcome> {
        if !self.is_principal() {
            return Ok(Outcome::Done);
        }
        fail_point::pass("resources.create");
        for input in &self.planned.inputs {
            let connection = self.shared.connections.connection(&input.channel).await?;
            connection.reader(&input.channel, 0)?.create_resources().await?;
        }
        fail_point::pass("resources.created");
        for name in start_order(&self.planned.plugins) {
            if let Some(handler) = plugin(&mut self.operator, name).and_then(Plugin::as_resource_handler) {
                handler
                    .create()
                    .await
                    .map_err(|error| error.context(format!("resource handler {name}")))?;
            }
        }
        Ok(Outcome::Done)
    }

    pub(super) async fn delete_resources(&mut self) -> Result<Outcome> {
        if !self.is_principal() {
            return Ok(Outcome::Done);
        }
        fail_point::pass("resources.delete");
        for name in start_order(&self.planned.plugins).into_iter().rev() {
            if let Some(handler) = plugin(&mut self.operator, name).and_then(Plugin::as_resource_handler) {
                handler
                    .delete()
                    .await
                    .map_err(|error| error.context(format!("resource handler {name}")))?;
            }
        }
        for input in &self.planned.inputs {
            self.shared.connections.end_session(&input.channel).await;
            let connection = self.shared.connections.connection(&input.channel).await?;
            match connection.reader(&input.channel, 0)?.delete_resources().await {
                Err(kept @ ChannelError::Unread { .. }) if input.ends_cycle => tracing::info!("{kept}"),
                deleted => deleted?,
            }
        }
        fail_point::pass("resources.deleted");
        Ok(Outcome::Done)
    }

    pub(super) async fn leave_plugins(&mut self) -> Result<()> {
        while let Some(name) = self.extended.pop() {
            if let Some(extended) = plugin(&mut self.operator, name).and_then(Plugin::as_extended) {
                extended
                    .after_execution()
                    .await
                    .map_err(|error| error.context(format!("plugin {name}")))?;
            }
        }
        Ok(())
    }
}

pub(super) fn plugin<'a>(
    operator: &'a mut Box<dyn ErasedOperator>,
    name: &str,
) -> Option<&'a mut dyn Plugin> {
    operator
        .plugins()
        .into_iter()
        .find(|(of, _)| *of == name)
        .map(|(_, plugin)| plugin)
}
