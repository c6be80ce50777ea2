#![doc = include_str!("../README.md")]

pub use pypz_core::*;
pub use pypz_derive::{OperatorSpec, PluginSpec};

/// Apache Kafka as a transport (feature `kafka`).
#[cfg(feature = "kafka")]
pub use pypz_kafka_io as kafka;

/// RabbitMQ as a transport (feature `rabbitmq`).
#[cfg(feature = "rabbitmq")]
pub use pypz_rabbitmq_io as rabbitmq;

/// Everything a pipeline's source file needs: `use pypz::prelude::*`.
pub mod prelude {
    pub use std::process::ExitCode;

    pub use apache_avro::AvroSchema;
    pub use pypz_core::{
        Avro, Batch, Commit, Context, ExecutionMode, InputPort, Json, Operator, OutputPort, Partitioning,
        Pipeline, Progress, Raw, Record, Result, Secret, Text, Threading,
    };
    pub use pypz_derive::{OperatorSpec, PluginSpec};
    pub use serde::{Deserialize, Serialize};

    #[cfg(feature = "kafka")]
    pub use pypz_kafka_io::{KafkaInputPort, KafkaOutputPort};

    #[cfg(feature = "rabbitmq")]
    pub use pypz_rabbitmq_io::{RabbitMqInputPort, RabbitMqOutputPort};
}

/// The pages of the book, so that their code is compiled and run as documentation tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../docs/first-steps.md")]
    mod first_steps {}
    #[doc = include_str!("../docs/operators-and-ports.md")]
    mod operators_and_ports {}
    #[doc = include_str!("../docs/channels-and-promises.md")]
    mod channels_and_promises {}
    #[doc = include_str!("../docs/security.md")]
    mod security {}
    #[doc = include_str!("../docs/migration.md")]
    mod migration {}
    #[cfg(feature = "files")]
    #[doc = include_str!("../docs/pipeline-files.md")]
    mod pipeline_files {}
}
