//! What librdkafka says, as errors of a channel.

use pypz_core::ChannelError;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// An error of a channel's objects or clients. A topic that is not there, although the channel is open, was deleted.
pub(crate) fn transport(channel: &str, doing: &str, error: &KafkaError) -> ChannelError {
    if is_missing(error) {
        return ChannelError::Mismatch {
            object: format!("topic {channel}"),
            reason: format!("{doing}: it was deleted by someone else ({})", words(error)),
        };
    }
    ChannelError::Transport {
        channel: channel.to_owned(),
        reason: format!("{doing}: {}", words(error)),
    }
}

/// The error in one line, without control characters.
pub(crate) fn words(error: &KafkaError) -> String {
    error.to_string().escape_debug().to_string()
}

/// The error's code; that of an administrator's request is no other.
fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Whether the broker does not let us do this, which no retry mends.
pub(crate) fn is_denied(error: &KafkaError) -> bool {
    matches!(
        code(error),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
        )
    )
}

/// Whether the broker does not let us in, or we do not trust it.
pub(crate) fn is_refusal(error: &KafkaError, reason: &str) -> bool {
    let refused = |code| {
        matches!(
            code,
            RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SSL
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::UnsupportedSASLMechanism
                | RDKafkaErrorCode::IllegalSASLState
        )
    };
    code(error).is_some_and(refused) || is_denied(error) || is_alert(reason)
}

/// Whether the broker sent a TLS alert: librdkafka takes one that comes after the handshake, for the want of a client's
/// certificate for instance, for a lost connection.
fn is_alert(reason: &str) -> bool {
    const CLOSE_NOTIFY: u32 = 0;
    const INTERNAL_ERROR: u32 = 80;
    let Some((_, number)) = reason.split_once("SSL alert number ") else {
        return false;
    };
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .is_ok_and(|number: u32| ![CLOSE_NOTIFY, INTERNAL_ERROR].contains(&number))
}

/// What a reason of librdkafka leaves out.
pub(crate) fn hint(reason: &str) -> &'static str {
    if reason.contains("certificate verify failed") {
        ": the broker's certificate is expired, made for another host, or signed by an authority that is not trusted"
    } else if is_alert(reason) && reason.contains("certificate") {
        ": the broker wants a client certificate that it trusts (ssl.certificate.location, ssl.key.location)"
    } else if reason.contains("Disconnected") && !reason.contains("in state CONNECT)") {
        ": the broker hung up: is security.protocol what this listener speaks?"
    } else {
        ""
    }
}

/// Whether the error says that a topic or partition is not there.
pub(crate) fn is_missing(error: &KafkaError) -> bool {
    matches!(
        code(error),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// Whether the broker may answer when it is asked again.
pub(crate) fn is_transient(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code(error),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::UnknownTopic
                | Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::WaitingForCoordinator
                | Code::NetworkException
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_gone_is_a_mismatch_and_a_broker_that_is_gone_is_not() {
        let gone = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
        let error = transport("pl.clean.lines", "asking for the end", &gone);
        assert!(matches!(error, ChannelError::Mismatch { .. }), "{error}");
        let away = KafkaError::MetadataFetch(RDKafkaErrorCode::AllBrokersDown);
        let error = transport("pl.clean.lines", "asking for the end", &away);
        assert!(matches!(error, ChannelError::Transport { .. }), "{error}");
    }
}
