//! What a run does with resources.

use std::fmt;
use std::str::FromStr;

/// pypz's five execution modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ExecutionMode {
    /// Does nothing at all.
    Skip,
    /// Creates resources, runs, deletes resources.
    #[default]
    Standard,
    /// Creates resources and runs; what is on the broker stays.
    WithoutResourceDeletion,
    /// Creates resources and ends.
    ResourceCreationOnly,
    /// Deletes what an earlier run left, unless records in it are unread; works from a cold start.
    ResourceDeletionOnly,
}

impl ExecutionMode {
    /// All modes.
    pub const ALL: [Self; 5] = [
        Self::Skip,
        Self::Standard,
        Self::WithoutResourceDeletion,
        Self::ResourceCreationOnly,
        Self::ResourceDeletionOnly,
    ];

    /// The mode's name on the command line: `without-resource-deletion`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Standard => "standard",
            Self::WithoutResourceDeletion => "without-resource-deletion",
            Self::ResourceCreationOnly => "resource-creation-only",
            Self::ResourceDeletionOnly => "resource-deletion-only",
        }
    }
}

impl fmt::Display for ExecutionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExecutionMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| {
                format!(
                    "there is no mode '{}': the modes are {}",
                    text.escape_debug(),
                    known()
                )
            })
    }
}
