//! What librdkafka says, as errors of a channel.

use pypz_core::ChannelError;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// An error of a channel's objects or clients.
pub(crate) fn transport(channel: &str, doing: &str, error: &KafkaError) -> ChannelError {
    ChannelError::Transport {
        channel: channel.to_owned(),
        reason: format!("{doing}: {}", words(error)),
    }
}

/// The error in one line, without control characters.
pub(crate) fn words(error: &KafkaError) -> String {
    error.to_string().escape_debug().to_string()
}

/// Whether the broker refuses us, which no retry mends.
pub(crate) const fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::IllegalSASLState
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

/// Whether the error says that a topic or partition is not there.
pub(crate) fn is_missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
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
        error.rdkafka_error_code(),
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
