//! The conformance suite of transports: in memory and on real brokers. It knows what each of its cases proves.

mod memory {
    use pypz_testkit::conformance::Site;

    pypz_testkit::conformance_everywhere!(Site::volatile("memory://"));
}

#[cfg(feature = "kafka")]
mod kafka {
    use pypz::kafka as _;
    use pypz_testkit::brokers;
    use pypz_testkit::conformance::Site;

    pypz_testkit::conformance!(Site::durable(format!("kafka://{}", brokers::kafka())));
    pypz_testkit::conformance_exactly_once!(Site::durable(format!("kafka://{}", brokers::kafka())));
}

#[cfg(feature = "rabbitmq")]
mod rabbitmq {
    use pypz::rabbitmq as _;
    use pypz_testkit::{brokers, conformance::Site};

    pypz_testkit::conformance!(Site::durable(brokers::rabbitmq()).competing());
}
