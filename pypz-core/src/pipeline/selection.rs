//! Which part of a pipeline a process runs.

use std::fmt;
use std::str::FromStr;

/// An operator with all its replicas (`clean`), or one of them (`clean@2`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The operator.
    pub operator: String,
    /// The group index: 0 is the principal, 2 the replica that is called `clean_1` on the wire. `None` for all.
    pub index: Option<u32>,
}

/// Why a selection was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not OPERATOR or OPERATOR@INDEX, as in clean or clean@2")]
pub struct SelectionError(String);

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let refused = || SelectionError(text.escape_debug().take(80).collect());
        let (operator, index) = match text.split_once('@') {
            None => (text, None),
            Some((operator, index)) => (operator, Some(index.parse().map_err(|_| refused())?)),
        };
        if operator.is_empty() {
            return Err(refused());
        }
        Ok(Self {
            operator: operator.to_owned(),
            index,
        })
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}@{index}", self.operator),
            None => f.write_str(&self.operator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_or_one_of_its_replicas_is_selected() {
        for text in ["clean", "clean@0", "clean@12"] {
            assert_eq!(text.parse::<Selection>().unwrap().to_string(), text);
        }
        for text in ["", "@1", "clean@", "clean@-1", "clean@x", "clean@1@2"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }
}
