//! Pipeline files: pypz's YAML and JSON, read, checked and written.
//!
//! A file is read in three steps: its text becomes a tree with the place of everything, within limits; the tree becomes
//! the graph that [`super::Pipeline`] builds in code, too; and that is checked as any other. Problems of all steps come
//! together, each with its place.

mod connect;
mod emit;
mod fields;
mod instance;
mod json;
mod load;
mod node;
mod parameters;
mod pypz;
mod python;
mod scalar;
mod stubs;
mod write;
mod yaml;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::fields::Problems;
use self::node::{Builder, Fault, MAX_BYTES, Mark, Node};
use super::builder::Pipeline;
use super::handle::lock;
use super::problem::PipelineError;

type Format = fn(&str, &mut Builder) -> Result<Node, Fault>;

impl Pipeline {
    /// Reads a pipeline from a file: JSON if its name ends in `.json`, YAML otherwise.
    ///
    /// An operator whose spec name no Rust type is registered under is somebody else's: its ports and replicas are
    /// there, and it is not run here.
    ///
    /// # Errors
    ///
    /// [`PipelineError`] lists all problems with file, line and column: what cannot be read, unknown fields, keys that
    /// stand twice, values of another type, operators and ports that are not there; and with them all that
    /// [`Pipeline::validate`] finds. A file that reads well may still be refused by [`Pipeline::validate`], which every
    /// run does first, for what may be set until then.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PipelineError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let format: Format = if is_json { json::parse } else { yaml::parse };
        let text = read(path).map_err(|what| of_file(&name, what))?;
        parse(&text, &name, format)
    }

    /// Reads a pipeline from YAML.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::from_file`]; the file is called `yaml`.
    pub fn from_yaml(text: &str) -> Result<Self, PipelineError> {
        parse(text, "yaml", yaml::parse)
    }

    /// Reads a pipeline from JSON.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::from_file`]; the file is called `json`.
    pub fn from_json(text: &str) -> Result<Self, PipelineError> {
        parse(text, "json", json::parse)
    }

    /// Writes the pipeline as YAML that pypz-python reads, too.
    ///
    /// Templates such as `${env:PASSWORD}` are written as they were given.
    ///
    /// # Errors
    ///
    /// [`PipelineError`] if an operator's type is not registered, or shares its spec name with another, or if a
    /// [`crate::Secret`] would be written in clear.
    pub fn to_yaml(&self) -> Result<String, PipelineError> {
        write::document(&lock(&self.graph)).map(|value| emit::yaml(&value))
    }

    /// Writes the pipeline as JSON that pypz-python reads, too.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::to_yaml`].
    pub fn to_json(&self) -> Result<String, PipelineError> {
        write::document(&lock(&self.graph)).map(|value| format!("{value:#}\n"))
    }

    /// Classes of pypz-python for the operators that run in Rust: module's path and text. It builds the whole pipeline
    /// from the same file and finds them there, with ports, schemas and parameters, and no code.
    ///
    /// # Errors
    ///
    /// [`PipelineError`] if an operator has no spec name, or one class cannot stand for two operators.
    pub fn stubs(&self) -> Result<Vec<(PathBuf, String)>, PipelineError> {
        stubs::modules(&lock(&self.graph))
    }

    /// Moves all channels to another place: whatever was said of `channelLocation`, by code or file, is forgotten.
    pub fn relocate(&mut self, location: &str) -> &mut Self {
        let mut graph = lock(&self.graph);
        for own in graph.assignments.values_mut() {
            own.retain(|key, _| crate::parameter::cascade::split(key).1 != "channelLocation");
        }
        graph.assignments.retain(|_, own| !own.is_empty());
        graph.assign(">>channelLocation", location.into());
        drop(graph);
        self
    }
}

/// Reads at most one byte more than a file may have, whatever it is.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("it is not UTF-8 from its byte {} on", at + 1)
    })
}

fn too_long() -> String {
    format!("it has more than {MAX_BYTES} bytes, the most of a pipeline file")
}

/// A problem of the file as a whole.
fn of_file(name: &str, what: String) -> PipelineError {
    let mut problems = Problems::new(name);
    problems.note(Mark { line: 0, column: 0 }, "pipeline", what);
    PipelineError {
        pipeline: node::shown(name),
        problems: problems.found,
    }
}

fn parse(text: &str, name: &str, format: Format) -> Result<Pipeline, PipelineError> {
    if text.len() > MAX_BYTES {
        return Err(of_file(name, too_long()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::new(name);
    let mut builder = Builder::default();
    let root = format(text, &mut builder);
    let (root, last) = match root {
        Ok(root) => (Some(root), None),
        Err(fault) => (None, Some(fault)),
    };
    for fault in builder.faults.into_iter().chain(last) {
        problems.note(fault.at, "pipeline", fault.what);
    }
    let Some(root) = root else {
        return Err(PipelineError {
            pipeline: node::shown(name),
            problems: problems.found,
        });
    };
    let mut graph = load::load(&root, &mut problems);
    let found = !problems.found.is_empty();
    graph.problems = problems.found;
    let pipeline = Pipeline::of(graph);
    match found {
        false => Ok(pipeline),
        // What else is wrong is told at once; the plan has the problems that were found here among its own.
        true => Err(pipeline
            .plan(None)
            .err()
            .unwrap_or_else(|| of_file(name, "it cannot be read".to_owned()))),
    }
}
