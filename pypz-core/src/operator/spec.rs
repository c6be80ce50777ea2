//! What `#[derive(OperatorSpec)]` and `#[derive(PluginSpec)]` implement.

use crate::parameter::{ParameterSpec, Parameterized};
use crate::pipeline::OperatorDraft;
use crate::plugin::Plugin;
use crate::port::{ChannelInputPort, ChannelOutputPort, PortDescription};

/// Input ports of an operator, by field name.
pub type InputPorts<'a> = Vec<(&'static str, &'a mut dyn ChannelInputPort)>;

/// Output ports of an operator, by field name.
pub type OutputPorts<'a> = Vec<(&'static str, &'a mut dyn ChannelOutputPort)>;

/// Plugins of an operator, by field name.
pub type Plugins<'a> = Vec<(&'static str, &'a mut dyn Plugin)>;

/// A plugin as its operator declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginDescription {
    /// The field's name.
    pub name: &'static str,
    /// Plugins that start before it and end after it.
    pub depends_on: &'static [&'static str],
    /// Its parameters.
    pub parameters: Vec<ParameterSpec>,
}

/// What an operator type says of itself before anything runs.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorDescription {
    /// The Rust type.
    pub type_name: &'static str,
    /// What it does, from the type's doc comment.
    pub doc: &'static str,
    /// Its ports, in the order of the fields.
    pub ports: Vec<PortDescription>,
    /// Its plugins, in the order of the fields.
    pub plugins: Vec<PluginDescription>,
    /// Its parameters, in the order of the fields.
    pub parameters: Vec<ParameterSpec>,
}

/// The parts of an operator. Implemented by `#[derive(OperatorSpec)]`, not by hand.
///
/// A field whose type's name ends in `InputPort` or `OutputPort` is a port; a field marked `#[plugin]` is a plugin, a
/// field marked `#[parameter]` a parameter; all others are the operator's own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operator",
    label = "not an operator",
    note = "write `#[derive(OperatorSpec, Default)]` above `struct {Self}`"
)]
pub trait OperatorSpec: Parameterized + Default + Send + 'static {
    /// What [`crate::Pipeline::operator`] returns: one method a port, one setter a parameter, and `replicas`.
    type Handle;

    /// Describes the parts.
    fn describe() -> OperatorDescription;

    /// The schema of each port's records, by the port's name; `None` where the codec has none.
    #[must_use]
    fn schemas() -> Vec<(&'static str, Option<String>)> {
        Vec::new()
    }

    /// Makes the handle of an operator in a pipeline.
    fn handle(draft: OperatorDraft) -> Self::Handle;

    /// The input ports.
    fn input_ports(&mut self) -> InputPorts<'_>;

    /// The output ports.
    fn output_ports(&mut self) -> OutputPorts<'_>;

    /// The plugins.
    fn plugins(&mut self) -> Plugins<'_>;

    /// Sets a parameter of a plugin.
    ///
    /// # Errors
    ///
    /// [`crate::parameter::ParameterError`] if the plugin refuses it.
    fn set_plugin_parameter(
        &mut self,
        plugin: &str,
        name: &str,
        value: &serde_json::Value,
    ) -> Result<(), crate::parameter::ParameterError>;
}

/// The parameters of a plugin. Implemented by `#[derive(PluginSpec)]`.
pub trait PluginSpec: Parameterized + Default + Send + 'static {}
