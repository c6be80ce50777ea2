//! What plain pypz-python has on the broker beside the topics: the consumer groups of its status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Delivery};
use pypz_core::protocol::Side;

use crate::clients::{Clients, LOOK_AGAIN, REQUEST, blocking, insistently};
use crate::topics::status_topic;

/// How long pypz-python's writers have to go after their `Closed`: the last poll of one takes up to 10 s, its port 5 s more.
const LEAVE: Duration = Duration::from_secs(20);

/// The group by which each plain writer reads the readers' status; it is in there until its clients are closed.
pub(crate) fn groups(spec: &ChannelSpec) -> impl Iterator<Item = String> {
    let (channel, status) = (spec.name(), status_topic(spec.name(), Side::Readers));
    spec.plain_writers()
        .map(move |writer| format!("{channel}@{writer}.{status}"))
}

/// What plain peers cannot do on a channel.
pub(crate) fn problem(spec: &ChannelSpec) -> Option<String> {
    (spec.delivery == Delivery::ByKey && spec.plain_writers().next().is_some()).then(|| {
        "partitioning byKey needs writers that all run in Rust: pypz-python's go round robin".to_owned()
    })
}

/// Waits until no plain writer polls the channel any more, so that nothing is deleted under it. One that does not go in time
/// costs a warning: all that it sent is read.
pub(crate) async fn left(clients: &Arc<Clients>, spec: &ChannelSpec) -> Result<(), ChannelError> {
    let start = Instant::now();
    for group in groups(spec) {
        let (held, asked) = (Arc::clone(clients), group.clone());
        let gone = blocking(move || {
            loop {
                let list = insistently(REQUEST, || {
                    held.admin.inner().fetch_group_list(Some(&asked), REQUEST)
                })?;
                let found = list.groups().iter().find(|found| found.name() == asked);
                if found.is_none_or(|found| found.members().is_empty()) {
                    return Ok(true);
                }
                if start.elapsed() > LEAVE {
                    return Ok(false);
                }
                std::thread::park_timeout(LOOK_AGAIN);
            }
        });
        let gone = gone
            .await
            .map_err(|error| clients.failed(spec.name(), "looking for pypz-python's groups", &error))?;
        if !gone {
            tracing::warn!(
                channel = spec.name(),
                "group {group} still has members: the topics go without it"
            );
        }
    }
    Ok(())
}
