//! What lapin says, as errors of a channel.

use lapin::{Error, ErrorKind};
use pypz_core::ChannelError;
use pypz_core::channel::Location;

/// An error of a channel's objects: that the broker does not let us is its own kind.
pub(crate) fn transport(location: &Location, channel: &str, doing: &str, error: &Error) -> ChannelError {
    match is_refusal(error) {
        true => ChannelError::Authentication {
            location: location.to_string(),
            reason: format!("{channel}: {doing}: {}", words(error)),
        },
        false => ChannelError::Transport {
            channel: channel.to_owned(),
            reason: format!("{doing}: {}", words(error)),
        },
    }
}

/// The error in one line, without control characters.
pub(crate) fn words(error: &Error) -> String {
    let text = match error.kind() {
        ErrorKind::ProtocolError(said) => said.get_message().to_string(),
        ErrorKind::IOError(io) => io.to_string(),
        _ => error.to_string(),
    };
    text.escape_debug().to_string()
}

/// The broker's reply code (AMQP 0-9-1, 1.2 "Constants").
fn code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(said) => Some(said.get_id()),
        _ => None,
    }
}

/// Whether the broker does not let us in: refused, or no such virtual host.
pub(crate) fn is_refusal(error: &Error) -> bool {
    const ACCESS_REFUSED: u16 = 403;
    const NOT_ALLOWED: u16 = 530;
    matches!(code(error), Some(ACCESS_REFUSED | NOT_ALLOWED)) || is_tls(error)
}

fn is_tls(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::IOError(io) => {
            let text = io.to_string();
            let ours = [
                "certificate",
                "InvalidContentType",
                "KeyMismatch",
                "PEM",
                "no items found",
            ];
            let alert = text.contains("received fatal alert") && !text.contains("InternalError");
            alert || ours.iter().any(|word| text.contains(word))
        }
        _ => false,
    }
}

/// What an error of a connection that is being made leaves out.
pub(crate) fn hint(error: &Error, scheme: &str) -> &'static str {
    const NO_TLS: &str = ": the broker hung up or spoke something else: does this port speak TLS (amqps://)?";
    let io = match error.kind() {
        ErrorKind::IOError(io) => io,
        ErrorKind::ParsingError(_) if scheme == "amqp" => return NO_TLS,
        _ => return "",
    };
    let text = io.to_string();
    if text.contains("InvalidContentType") {
        return ": this port does not speak TLS, try amqp://";
    }
    if text.contains("alert") && (text.contains("Certificate") || text.contains("UnknownCA")) {
        return ": the broker wants a client certificate that it trusts (clientCertificate, clientKey)";
    }
    let hung_up = matches!(
        io.kind(),
        std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::UnexpectedEof
    );
    match (hung_up, scheme) {
        (true, "amqps") => {
            ": the broker hung up: does it want a client certificate (clientCertificate, clientKey)?"
        }
        (true, _) => NO_TLS,
        _ => "",
    }
}

/// Whether an object exists with other properties.
pub(crate) fn is_mismatch(error: &Error) -> bool {
    const PRECONDITION_FAILED: u16 = 406;
    code(error) == Some(PRECONDITION_FAILED)
}

/// Whether an object is exclusive to another connection.
pub(crate) fn is_locked(error: &Error) -> bool {
    const RESOURCE_LOCKED: u16 = 405;
    code(error) == Some(RESOURCE_LOCKED)
}

/// Whether an object is not there. A durable one whose node has just started is not there for a moment, too.
pub(crate) fn is_missing(error: &Error) -> bool {
    const NOT_FOUND: u16 = 404;
    code(error) == Some(NOT_FOUND)
}

/// Whether an object is held by a node that is not up yet.
pub(crate) fn is_starting(error: &Error) -> bool {
    let text = words(error);
    (is_missing(error) && (text.contains("down") || text.contains("inaccessible")))
        || text.contains("timeout")
}

/// Whether the connection is gone, so that asking again on a new one may help.
pub(crate) fn is_connection(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(said) => {
            const CONNECTION_FORCED: u16 = 320;
            const INTERNAL_ERROR: u16 = 541;
            matches!(said.get_id(), CONNECTION_FORCED | INTERNAL_ERROR)
        }
        _ => true,
    }
}
