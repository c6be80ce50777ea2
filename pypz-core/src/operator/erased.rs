//! The object-safe twin of [`Operator`], which the executor holds.

use async_trait::async_trait;
use serde_json::Value;

use super::{Commit, Context, InputPorts, Operator, OperatorSpec, OutputPorts, Plugins, Progress, Threading};
use crate::Result;
use crate::parameter::{ParameterError, Parameterized};

/// Makes one replica.
pub(crate) type Factory = fn() -> Box<dyn ErasedOperator>;

#[async_trait]
pub(crate) trait ErasedOperator: Send {
    fn commit(&self) -> Commit;
    fn threading(&self) -> Threading;
    fn input_ports(&mut self) -> InputPorts<'_>;
    fn output_ports(&mut self) -> OutputPorts<'_>;
    fn plugins(&mut self) -> Plugins<'_>;
    fn set_parameter(&mut self, name: &str, value: &Value) -> Result<(), ParameterError>;
    fn set_plugin_parameter(&mut self, plugin: &str, name: &str, value: &Value)
    -> Result<(), ParameterError>;
    async fn on_init(&mut self, cx: &Context) -> Result<()>;
    async fn on_running(&mut self, cx: &Context) -> Result<Progress>;
    async fn on_shutdown(&mut self, cx: &Context) -> Result<()>;
    async fn on_interrupt(&mut self, cx: &Context) -> Result<()>;
    async fn on_error(&mut self, cx: &Context, error: &anyhow::Error);
}

#[async_trait]
impl<T: Operator> ErasedOperator for T {
    fn commit(&self) -> Commit {
        T::COMMIT
    }

    fn threading(&self) -> Threading {
        T::THREADING
    }

    fn input_ports(&mut self) -> InputPorts<'_> {
        OperatorSpec::input_ports(self)
    }

    fn output_ports(&mut self) -> OutputPorts<'_> {
        OperatorSpec::output_ports(self)
    }

    fn plugins(&mut self) -> Plugins<'_> {
        OperatorSpec::plugins(self)
    }

    fn set_parameter(&mut self, name: &str, value: &Value) -> Result<(), ParameterError> {
        Parameterized::set_parameter(self, name, value)
    }

    fn set_plugin_parameter(
        &mut self,
        plugin: &str,
        name: &str,
        value: &Value,
    ) -> Result<(), ParameterError> {
        OperatorSpec::set_plugin_parameter(self, plugin, name, value)
    }

    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        Operator::on_init(self, cx).await
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        Operator::on_running(self, cx).await
    }

    async fn on_shutdown(&mut self, cx: &Context) -> Result<()> {
        Operator::on_shutdown(self, cx).await
    }

    async fn on_interrupt(&mut self, cx: &Context) -> Result<()> {
        Operator::on_interrupt(self, cx).await
    }

    async fn on_error(&mut self, cx: &Context, error: &anyhow::Error) {
        Operator::on_error(self, cx, error).await;
    }
}
