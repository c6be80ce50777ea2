#![doc = include_str!("../README.md")]

pub use pypz_core::*;
pub use pypz_derive::{OperatorSpec, PluginSpec};

/// Apache Kafka as a transport (feature `kafka`).
#[cfg(feature = "kafka")]
pub use pypz_kafka_io as kafka;

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
}
