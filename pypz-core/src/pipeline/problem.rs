//! Everything that is wrong with a pipeline, at once.

use std::fmt;
use std::sync::Arc;

use crate::error::plain;

/// Where in a pipeline file something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.escape_debug()),
            line => write!(f, "{}:{line}:{}", self.file.escape_debug(), self.column),
        }
    }
}

/// One thing that is wrong, and the mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands, if the pipeline came from a file.
    pub place: Option<Place>,
    /// The full name of the instance: `hello.writer.output`.
    pub at: String,
    /// What is wrong with it, and what to do.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: None,
            at: at.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        // Names and keys in it are from whoever wrote the file.
        write!(f, "{}: {}", plain(&self.at), plain(&self.what))
    }
}

/// Why a pipeline does not run: all its problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineError {
    /// The pipeline's name.
    pub pipeline: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(
            f,
            "pipeline '{}' has {count} problem{}",
            self.pipeline,
            if count == 1 { "" } else { "s" }
        )?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for PipelineError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_no_control_character_of_the_name_it_is_about() {
        let shown = Problem::new("pl.a\n", "there is no parameter '\u{1b}[31m' in \"it\"").to_string();
        assert_eq!(shown, r#"pl.a\n: there is no parameter '\u{1b}[31m' in "it""#);
    }
}
