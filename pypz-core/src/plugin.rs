//! Plugins: what stands beside an operator and takes part in its lifecycle.
//!
//! A field of an operator marked `#[plugin]` is a plugin; `#[plugin(depends_on = ["database"])]` makes it start after
//! another one and end before it. Each kind has its place:
//!
//! | kind | start | end |
//! | --- | --- | --- |
//! | [`Service`] | before everything | after everything |
//! | [`ResourceHandler`] | creates before ports open (principal only) | deletes after ports closed (principal only) |
//! | input and output ports | before `on_init` | after `on_shutdown` |
//! | [`Extended`] | right before `on_init` | right after `on_shutdown` |
//!
//! Logging is a `tracing` layer, not a plugin: operators, ports and channels name themselves in spans and fields.

use async_trait::async_trait;

use crate::Result;

/// Something beside an operator. A plugin says of which kinds it is by overriding the methods that return itself.
///
/// ```
/// use async_trait::async_trait;
/// use pypz_core::plugin::{Plugin, Service};
///
/// #[derive(Default)]
/// struct Database;
///
/// #[async_trait]
/// impl Service for Database {
///     async fn start(&mut self) -> pypz_core::Result<()> { Ok(()) }
///     async fn shut_down(&mut self) -> pypz_core::Result<()> { Ok(()) }
/// }
///
/// impl Plugin for Database {
///     // Right: it is a service. Without this line its `start` would never be called.
///     fn as_service(&mut self) -> Option<&mut dyn Service> { Some(self) }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin",
    label = "not a plugin",
    note = "write `impl Plugin for {Self}`, which says of which kinds it is, and `#[derive(PluginSpec, Default)]` above the struct"
)]
pub trait Plugin: Send {
    /// Itself, if it handles resources.
    fn as_resource_handler(&mut self) -> Option<&mut dyn ResourceHandler> {
        None
    }

    /// Itself, if it is a service.
    fn as_service(&mut self) -> Option<&mut dyn Service> {
        None
    }

    /// Itself, if it extends the execution.
    fn as_extended(&mut self) -> Option<&mut dyn Extended> {
        None
    }
}

/// Runs beside the operator for its whole life. An error of `start` ends the run with exit 110, one of `shut_down` with 111.
#[async_trait]
pub trait Service: Send {
    /// Starts it. Called once; what started is shut down also when the run fails later.
    async fn start(&mut self) -> Result<()>;

    /// Shuts it down. Called once after a `start` that returned Ok.
    async fn shut_down(&mut self) -> Result<()>;
}

/// Creates and deletes what the operator needs outside the process. Called on the principal only, as its mode says; both
/// must be idempotent, for a run may start from what another one left. Errors end the run with exit 112 and 113.
#[async_trait]
pub trait ResourceHandler: Send {
    /// Creates what is not there.
    async fn create(&mut self) -> Result<()>;

    /// Deletes what is there. Not called after an error: a failed run keeps its resources.
    async fn delete(&mut self) -> Result<()>;
}

/// Acts around the operator's own hooks. Errors end the run with exit 114 and 116.
#[async_trait]
pub trait Extended: Send {
    /// Called right before `on_init`.
    async fn before_execution(&mut self) -> Result<()>;

    /// Called right after `on_shutdown`, if `before_execution` was called.
    async fn after_execution(&mut self) -> Result<()>;
}
