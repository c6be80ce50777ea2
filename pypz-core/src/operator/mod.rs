//! Operators: what users write.

mod context;
mod erased;
mod registry;
mod spec;

use std::future::Future;

pub use context::Context;
pub(crate) use erased::{ErasedOperator, Factory};
pub use registry::{AmbiguousSpec, OperatorRegistration, operator_for, registered};
pub use spec::{
    InputPorts, OperatorDescription, OperatorSpec, OutputPorts, PluginDescription, PluginSpec, Plugins,
};

/// What `on_running` asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    Again,
    /// Call again until all inputs have ended; then the operator is done.
    UntilInputsEnd,
    /// The operator is done, whatever its inputs hold.
    Done,
}

/// When input positions are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Commit {
    /// After `on_running` returned and all outputs that were sent until then are acknowledged.
    #[default]
    AfterRunning,
    /// After the operator said [`Context::commit`], that call returned, and all outputs that were sent until then are
    /// acknowledged. For operators that keep in memory what they have not sent yet, a sum for instance.
    Manual,
}

/// Where an operator's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threading {
    /// As a task among others, on the threads of the runtime. It should not block them for long.
    #[default]
    Shared,
    /// On a thread of its own, which it may block as long as it likes.
    Dedicated,
}

/// A step of a pipeline: retrieves records from its input ports, sends records to its output ports.
///
/// A struct becomes an operator by `#[derive(OperatorSpec, Default)]`, which finds its ports, plugins and parameters,
/// and by this trait. Of a replicated operator each replica is a value of its own, made by `Default`.
///
/// # Lifecycle
///
/// 1. Parameters are set, services started, resources created.
/// 2. Input ports open, then output ports (which waits for their readers), then [`Operator::on_init`].
/// 3. [`Operator::on_running`] is called again and again, until it says [`Progress::Done`], or
///    [`Progress::UntilInputsEnd`] and all inputs have ended.
/// 4. [`Operator::on_shutdown`]: ports are still open, so what was kept in memory can be sent now.
/// 5. Outputs are flushed, input positions committed, ports closed, resources deleted, services shut down.
///
/// An error of any hook, or of a port, ends the operator: [`Operator::on_error`] hears of it, peers are told its
/// words, nothing is deleted, and the process exits with the code of the step. When SIGTERM or SIGINT arrives,
/// `retrieve` hands out empty batches, a source's `send` returns an error that it passes on, and
/// [`Operator::on_interrupt`] is called in place of [`Operator::on_shutdown`] if the inputs had not ended.
///
/// # Right and wrong
///
/// ```no_run
/// # use pypz_core::{Context, InputPort, Operator, OperatorSpec, OutputPort, Progress, Result};
/// # struct Upper<S>(InputPort<String>, OutputPort<String>, S);
/// // Right: hands on one batch a call, so that positions are committed, and drains when asked.
/// # async fn right(input: &mut InputPort<String>, output: &mut OutputPort<String>) -> Result<Progress> {
/// let batch = input.retrieve().await?;
/// output.send_all(batch.into_iter().map(|text| text.to_uppercase()).collect::<Vec<_>>()).await?;
/// Ok(Progress::UntilInputsEnd)
/// # }
/// // Wrong: never returns, so that nothing is committed before the very end, and an empty batch (the end, or a
/// // signal) makes it spin.
/// # async fn wrong(input: &mut InputPort<String>, output: &mut OutputPort<String>) -> Result<Progress> {
/// loop {
///     for text in input.retrieve().await? {
///         output.send(text.to_uppercase()).await?;
///     }
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operator",
    label = "not an operator",
    note = "write `impl Operator for {Self}` with `on_running`, and `#[derive(OperatorSpec, Default)]` above the struct"
)]
pub trait Operator: OperatorSpec {
    /// When input positions are committed.
    const COMMIT: Commit = Commit::AfterRunning;

    /// Where the operator's code runs.
    const THREADING: Threading = Threading::Shared;

    /// Prepares the operator; ports are open.
    fn on_init(&mut self, _cx: &Context) -> impl Future<Output = crate::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Does a piece of the work.
    fn on_running(&mut self, cx: &Context) -> impl Future<Output = crate::Result<Progress>> + Send;

    /// Finishes; ports are open, and inputs have ended or the operator said [`Progress::Done`].
    fn on_shutdown(&mut self, _cx: &Context) -> impl Future<Output = crate::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Hears that a signal ends the operator before its end. What it sends now is flushed; inputs that are not committed
    /// will be read again.
    fn on_interrupt(&mut self, _cx: &Context) -> impl Future<Output = crate::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Hears of the error that ends the operator, its own or a port's.
    fn on_error(&mut self, _cx: &Context, _error: &anyhow::Error) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}
