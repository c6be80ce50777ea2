//! What a port type says of itself before anything runs.

use std::any::type_name;

/// Which way records go through a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the operator.
    Input,
    /// Out of it.
    Output,
}

/// A port as its operator declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct PortDescription {
    /// The field's name.
    pub name: &'static str,
    /// Which way records go.
    pub direction: Direction,
    /// The Rust type of the records.
    pub record: &'static str,
    /// The codec's type.
    pub codec: &'static str,
    /// The schemes that the port is pinned to; `None` for any.
    pub schemes: Option<&'static [&'static str]>,
    /// What it is for, from the field's doc comment.
    pub doc: &'static str,
}

/// A type that can stand as a port in an operator. Implemented by [`super::InputPort`] and [`super::OutputPort`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a port",
    label = "not a port",
    note = "a field whose type's name ends in `InputPort` or `OutputPort` is taken for a port; rename the type if it is none"
)]
pub trait PortSpec {
    /// The type of its records.
    type Record: Send + 'static;
    /// How they are encoded.
    type Codec: Send + 'static;
    /// The transports it is pinned to.
    type Pin: Pin;
    /// Which way they go.
    const DIRECTION: Direction;

    /// The schema of the records as text, if the codec has one.
    #[must_use]
    fn schema() -> Option<String> {
        None
    }

    /// Describes the port.
    #[must_use]
    fn describe(name: &'static str, doc: &'static str) -> PortDescription {
        PortDescription {
            name,
            direction: Self::DIRECTION,
            record: type_name::<Self::Record>(),
            codec: type_name::<Self::Codec>(),
            schemes: Self::Pin::SCHEMES,
            doc,
        }
    }
}

/// The transports that a port may live on. The third parameter of a port: `InputPort<T, Avro, Anywhere>`.
pub trait Pin: Send + Sync + 'static {
    /// The schemes it is bound to; `None` for any.
    const SCHEMES: Option<&'static [&'static str]>;
}

/// Transports that are logs: a record keeps its place, which is the same for everybody and can be read again.
///
/// What needs order or replay asks for this, so that it does not compile on a queue, nor on a port whose transport is
/// only known at run time.
#[diagnostic::on_unimplemented(
    message = "a port of `{Self}` is not known to be on a log, and this needs one",
    label = "needs a port that is pinned to a log",
    note = "on a queue a record has no offset, replicas that compete keep no order, and what was acknowledged never comes again",
    note = "pin the port to a log, as `KafkaInputPort<T>` is, or do without offsets"
)]
pub trait LogPin: Pin {}

/// Any transport: `channelLocation` decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anywhere;

impl Pin for Anywhere {
    const SCHEMES: Option<&'static [&'static str]> = None;
}
