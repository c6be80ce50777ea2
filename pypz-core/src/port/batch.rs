//! Many records at once.

use std::ops::Deref;

use crate::channel::{Details, ValueBatch};
use crate::record::Record;

/// What [`super::InputPort::retrieve`] hands out: the values at hand, in order.
///
/// Empty when nothing more will come, or when the pipeline drains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T>(Vec<T>);

impl<T> Batch<T> {
    pub(super) const fn new(values: Vec<T>) -> Self {
        Self(values)
    }

    /// The values as a vector.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// What [`super::OutputPort::send_all`] takes: a vector of values or of records, or a batch as it was retrieved.
pub trait IntoBatch<T> {
    /// The values in order, with details where a record has some. A vector of values moves as a whole.
    fn into_batch(self) -> ValueBatch<T>;
}

impl<T> IntoBatch<T> for Vec<T> {
    fn into_batch(self) -> ValueBatch<T> {
        ValueBatch {
            values: self,
            details: None,
        }
    }
}

impl<T> IntoBatch<T> for Batch<T> {
    fn into_batch(self) -> ValueBatch<T> {
        self.0.into_batch()
    }
}

impl<T> IntoBatch<T> for Vec<Record<T>> {
    fn into_batch(self) -> ValueBatch<T> {
        let bare = self
            .iter()
            .all(|record| record.key.is_none() && record.headers.is_empty() && record.timestamp.is_none());
        if bare {
            return ValueBatch {
                values: self.into_iter().map(|record| record.value).collect(),
                details: None,
            };
        }
        let (values, details) = self
            .into_iter()
            .map(
                |Record {
                     value,
                     key,
                     headers,
                     timestamp,
                     ..
                 }| {
                    (
                        value,
                        Details {
                            key,
                            headers,
                            timestamp,
                            id: None,
                        },
                    )
                },
            )
            .unzip();
        ValueBatch {
            values,
            details: Some(details),
        }
    }
}
