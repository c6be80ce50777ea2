//! Named points at which a process can be made to die, for tests of what a restart finds. Without the feature `fail-points`
//! there are none.

/// The points that everybody passes, whatever the transport.
pub const POINTS: [&str; 15] = [
    "resources.create",
    "resources.created",
    "ports.joined",
    "ports.opened",
    "running.returned",
    "commit.due",
    "settle",
    "settled",
    "ports.close",
    "outputs.closed",
    "ports.closed",
    "resources.delete",
    "resources.deleted",
    "round.commit",
    "round.committed",
];

/// The points of `kafka://`.
pub const KAFKA: [&str; 11] = [
    "kafka.topics.created",
    "kafka.topics.deleted",
    "kafka.produce",
    "kafka.produced",
    "kafka.commit",
    "kafka.committed",
    "kafka.status",
    "kafka.transaction.initialised",
    "kafka.transaction.drained",
    "kafka.transaction.offsets",
    "kafka.transaction.committed",
];

/// The points of `amqp://`.
pub const RABBITMQ: [&str; 9] = [
    "rabbitmq.exchange.declared",
    "rabbitmq.queues.declared",
    "rabbitmq.queue.deleted",
    "rabbitmq.publish",
    "rabbitmq.published",
    "rabbitmq.confirmed",
    "rabbitmq.acknowledge",
    "rabbitmq.acknowledged",
    "rabbitmq.status",
];

/// Passes a point. With the feature `fail-points` the process aborts at the pass that `PYPZ_FAIL_AT` names: `settle:2` for the
/// second one of the point `settle`. Otherwise nothing happens.
#[cfg(feature = "fail-points")]
pub fn pass(point: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WHERE: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);

    let named = WHERE.get_or_init(|| {
        let text = std::env::var("PYPZ_FAIL_AT").ok()?;
        let (point, pass) = text.split_once(':')?;
        Some((point.to_owned(), pass.parse().ok()?))
    });
    if let Some((named, pass)) = named
        && named == point
        && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *pass
    {
        std::process::abort();
    }
}

/// Passes a point. With the feature `fail-points` the process aborts at the pass that `PYPZ_FAIL_AT` names; this is a build
/// without it, in which nothing happens.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub const fn pass(_point: &'static str) {}
