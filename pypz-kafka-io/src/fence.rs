//! Who may write in the transactions of an operator: whoever was there before is fenced first.
//!
//! The transactional id is made from the operator and the replicas that live together, so a restart of the same process
//! fences the one before. Whoever held one of the replicas in other company had another id: those are fenced one by one
//! (`init_transactions` of each).

use std::sync::Arc;
use std::time::{Duration, Instant};

use pypz_core::channel::TransactionScope;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode;

use crate::clients::{Clients, REQUEST, insistently};
use crate::config;
use crate::deliveries::Deliveries;
use crate::producer::PolledProducer;

/// How many ids are fenced at once: each takes a client of its own for a moment.
const FENCED_AT_ONCE: usize = 16;

pub(crate) type TransactionalProducer = PolledProducer<Deliveries>;

/// The transactional id of replicas that live together: `pl.clean@0-3,7`.
fn transactional_id(operator: &str, replicas: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for replica in replicas {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *replica => *last = *replica,
            _ => ranges.push((*replica, *replica)),
        }
    }
    let shown: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    format!("{operator}@{}", shown.join(","))
}

/// Fences whoever was here before. Returns the producer of those who are here now. Blocks.
pub(crate) fn fence(
    clients: &Clients,
    scope: &TransactionScope,
    earlier: &[Vec<u32>],
    patience: Duration,
) -> Result<TransactionalProducer, KafkaError> {
    let ours: Vec<u32> = scope.replicas.keys().copied().collect();
    let id = transactional_id(&scope.operator, &ours);
    let others: Vec<String> = earlier
        .iter()
        .filter(|replicas| **replicas != ours && replicas.iter().any(|replica| ours.contains(replica)))
        .map(|replicas| transactional_id(&scope.operator, replicas))
        .collect();
    let fence_one = |id: &str| match initialize(clients, scope, id, patience) {
        // Somebody else fences it at the same time.
        Err(error) if is_fenced(&error) => Ok(()),
        done => done.map(drop),
    };
    std::thread::scope(|threads| {
        let ours = threads.spawn(|| initialize(clients, scope, &id, patience));
        for share in others.chunks(FENCED_AT_ONCE) {
            let fenced: Vec<_> = share.iter().map(|id| threads.spawn(|| fence_one(id))).collect();
            for fenced in fenced {
                fenced
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
        }
        ours.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A producer of this id, after which none before it can write any more. Blocks.
fn initialize(
    clients: &Clients,
    scope: &TransactionScope,
    id: &str,
    patience: Duration,
) -> Result<TransactionalProducer, KafkaError> {
    let config = config::transactional(clients, scope, id);
    let context = Deliveries::new(Arc::clone(&clients.trouble));
    let producer = TransactionalProducer::from_config_and_context(&config, context)?;
    // Metadata first: the first question about the coordinator otherwise takes half a second.
    for channel in &scope.outputs {
        insistently(patience, || {
            producer.client().fetch_metadata(Some(channel.name()), REQUEST)
        })?;
    }
    let start = Instant::now();
    loop {
        match producer.init_transactions(REQUEST.min(patience)) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && start.elapsed() < patience => {}
            done => return done.map(|()| producer),
        }
    }
}

fn is_fenced(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(
        error.rdkafka_error_code(),
        Some(Fenced | InvalidProducerEpoch | ProducerFenced)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_the_replicas_that_live_together() {
        for (replicas, id) in [
            (&[0][..], "pl.clean@0"),
            (&[0, 1, 2, 3, 7], "pl.clean@0-3,7"),
            (&[1, 3, 5, 6], "pl.clean@1,3,5-6"),
        ] {
            assert_eq!(transactional_id("pl.clean", replicas), id);
        }
    }
}
