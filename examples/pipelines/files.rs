//! Pipelines of files: YAML and JSON as pypz has them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use pypz::{ExitStatus, Pipeline};

use crate::options::{Common, Job};
use crate::{flights, output};

/// What `run` understands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The file; JSON if its name ends in .json, YAML otherwise
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Sets a parameter in place of what the file says; the value is JSON, or else a text
    #[arg(long, value_name = "OPERATOR.PARAMETER=VALUE")]
    set: Vec<String>,
}

/// What can be done with a file besides running it.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Prints all that is wrong with a file, with line and column
    Validate { file: PathBuf },
    /// Prints the pipeline of a file in words
    Describe { file: PathBuf },
    /// Writes Python classes for the operators of a file that run in Rust: ports, schemas, parameters, no code
    Stubs {
        file: PathBuf,
        /// The folder to write the modules into
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Prints the file of a job
    Show {
        job: BuiltIn,
        #[arg(long, default_value = "yaml")]
        format: Format,
    },
}

/// The jobs that come with the example.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BuiltIn {
    Hello,
    Flights,
    Signals,
    Fanout,
}

/// What a file is written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Yaml,
    Json,
}

/// Reads the pipeline that is to run.
pub(crate) fn pipeline(options: &Options) -> Result<Pipeline> {
    let mut pipeline = Pipeline::from_file(&options.file)?;
    for assignment in &options.set {
        let Some((name, value)) = assignment.split_once('=') else {
            bail!("--set wants OPERATOR.PARAMETER=VALUE");
        };
        let text = || serde_json::Value::from(value);
        pipeline.set_parameter(name, serde_json::from_str(value).unwrap_or_else(|_| text()));
    }
    Ok(pipeline)
}

/// Does what is asked and returns the exit status of the process.
pub(crate) fn run(command: &Command, common: &Common) -> Result<ExitStatus> {
    match command {
        Command::Validate { file } => {
            let pipeline = placed(file, common)?;
            pipeline.validate()?;
            output::line(&format!(
                "{}: pipeline '{}' is valid",
                file.display(),
                pipeline.name()
            ));
        }
        Command::Describe { file } => output::line(placed(file, common)?.describe().trim_end()),
        Command::Stubs { file, out } => write_stubs(&placed(file, common)?, out)?,
        Command::Show { job, format } => {
            let mut pipeline = built_in(*job, common)?;
            pipeline.relocate(common.location());
            let text = match format {
                Format::Yaml => pipeline.to_yaml(),
                Format::Json => pipeline.to_json(),
            };
            output::line(text?.trim_end());
        }
    }
    Ok(ExitStatus::Done)
}

/// The pipeline of a file, where it is asked to be.
fn placed(file: &Path, common: &Common) -> Result<Pipeline> {
    let mut pipeline = Pipeline::from_file(file)?;
    if let Some(location) = &common.location {
        pipeline.relocate(location);
    }
    Ok(pipeline)
}

fn built_in(job: BuiltIn, common: &Common) -> Result<Pipeline> {
    use clap::Parser;

    let name = match job {
        BuiltIn::Hello => "hello",
        BuiltIn::Flights => return Ok(flights::pipeline(&flights::Options::default(), common)),
        BuiltIn::Signals => "signals",
        BuiltIn::Fanout => "fanout",
    };
    // The defaults of its options are those of the command line.
    match crate::Options::try_parse_from(["pipelines", name])?.command {
        Some(crate::Command::Job(job)) if !matches!(job, Job::Run(_)) => crate::pipeline(&job, common),
        _ => bail!("{name} is no job"),
    }
}

/// Writes each module, unless somebody's own file stands there.
fn write_stubs(pipeline: &Pipeline, out: &Path) -> Result<()> {
    let stubs = pipeline.stubs()?;
    for (path, text) in &stubs {
        let path = out.join(path);
        let mark = text.lines().next();
        let there = fs::read_to_string(&path).ok();
        if there.is_some_and(|there| there.lines().next() != mark) {
            bail!(
                "{} is there and was not written by this command: choose another --out",
                path.display()
            );
        }
    }
    for (path, text) in &stubs {
        let path = out.join(path);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        output::line(&path.display().to_string());
    }
    Ok(())
}
