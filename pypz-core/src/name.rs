//! Names: parsed once, valid afterwards.

use std::fmt;
use std::sync::Arc;

/// The longest instance name that is accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no characters.
    #[error("a name must not be empty")]
    Empty,
    /// The name is longer than [`MAX_NAME_BYTES`].
    #[error("name '{name}' has {bytes} characters, the limit is {MAX_NAME_BYTES}")]
    TooLong {
        /// The beginning of the refused name, control characters escaped.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// The name has a character that the rule forbids.
    #[error(
        "name '{name}' has the forbidden character {character:?}: a name starts with a letter or '_' and goes on with letters, digits, '_' or '-'"
    )]
    Forbidden {
        /// The refused name, control characters escaped.
        name: String,
        /// The first character that is not allowed where it stands.
        character: char,
    },
}

/// The name of a pipeline, operator, port or plugin.
///
/// The rule is pypz's, anchored at both ends: a letter or `_`, then letters, digits, `_` or `-` (ASCII), at
/// most [`MAX_NAME_BYTES`] of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceName(Arc<str>);

impl InstanceName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which rule the name breaks.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let shown = || {
            name.chars()
                .take(MAX_NAME_BYTES)
                .flat_map(char::escape_debug)
                .collect::<String>()
        };
        let forbidden = name.char_indices().find(|&(at, c)| {
            !(c.is_ascii_alphabetic() || c == '_' || (at > 0 && (c.is_ascii_digit() || c == '-')))
        });
        match forbidden {
            _ if name.is_empty() => Err(NameError::Empty),
            Some((_, character)) => Err(NameError::Forbidden {
                name: shown(),
                character,
            }),
            None if name.len() > MAX_NAME_BYTES => Err(NameError::TooLong {
                name: shown(),
                bytes: name.len(),
            }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the replica with this index in its replication group, as it stands on the wire.
    ///
    /// Index 0 is the principal and keeps its own name; index 2 of `clean` is `clean_1`.
    #[must_use]
    pub fn replica(&self, index: u32) -> String {
        match index {
            0 => self.0.to_string(),
            _ => format!("{}_{}", self.0, index - 1),
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Joins names to a full name: `pipeline.operator.port`.
#[must_use]
pub fn full_name(parts: &[&str]) -> String {
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_follows_the_rule_from_its_first_to_its_last_character() {
        for good in ["a", "_", "_9", "Writer-1", "x_y-Z0", &"n".repeat(63)] {
            assert_eq!(InstanceName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "9a",
            "-a",
            "a b",
            "a\n",
            "a.b",
            "ä",
            "a/../b",
            "${x}",
            "a\u{1b}[31m",
            &"n".repeat(64),
        ] {
            assert!(InstanceName::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_second_replica_of_clean_is_called_clean_1_on_the_wire() {
        let clean = InstanceName::parse("clean").unwrap();
        assert_eq!(
            [clean.replica(0), clean.replica(1), clean.replica(2)],
            ["clean", "clean_0", "clean_1"]
        );
    }

    proptest! {
        #[test]
        fn a_refusal_never_repeats_a_control_character(name in ".{0,80}") {
            if let Err(error) = InstanceName::parse(&name) {
                prop_assert!(!error.to_string().chars().any(char::is_control));
            }
        }
    }
}
