//! A value that is used but never shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// A text that never appears in logs, errors or descriptions.
///
/// `Debug` and `Display` print `***`; there is no `Serialize`. [`Secret::expose`] is the one way to the text.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The keys of a map with `***` for each value, for a `Debug` of what may hold secrets.
pub(crate) fn hidden<K: Ord, V>(map: &BTreeMap<K, V>) -> BTreeMap<&K, Secret> {
    map.keys().map(|key| (key, Secret::default())).collect()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
