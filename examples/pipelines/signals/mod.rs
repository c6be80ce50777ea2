//! The signals job: trailing averages, and how far the values stray from them.
//!
//! ```text
//!          ┌─► window4 ──┐
//! source ──┼─► window13 ─┼─► compare
//!          └─► window52 ─┘
//! ```

mod compare;
mod source;
mod window;

use std::path::PathBuf;

use pypz::prelude::*;

use self::compare::Compare;
use self::source::Source;
use self::window::Window;
use crate::options::{self, Common};

/// What `signals` understands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The windows to average over, in weeks that have a value
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4,13,52",
          value_parser = clap::value_parser!(u32).range(1..))]
    windows: Vec<u32>,
    /// The signal, CSV of date and value [default: Mauna Loa, 1958 to 2001, which comes with the example]
    #[arg(long, value_name = "FILE.csv")]
    input: Option<PathBuf>,
    /// Where to write the result as JSON, besides the table
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

/// What was measured in a week.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
struct Measurement {
    date: String,
    value: Option<f64>,
}

/// One window's figures, on the wire and in the result.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
struct Summary {
    window: i64,
    /// How many full windows there were.
    points: i64,
    last_average: Option<f64>,
    /// The residual is the value minus the average of the window that it ends.
    residual_mean: Option<f64>,
    residual_std: Option<f64>,
}

/// Builds the pipeline, whose shape depends on the options: an operator for each window. One output port feeds them all,
/// and they all feed one input port.
pub(crate) fn pipeline(options: &Options, common: &Common) -> Pipeline {
    let mut signals = Pipeline::new(common.pipeline_name("signals"));
    let source = signals.operator::<Source>("source");
    let compare = signals.operator::<Compare>("compare");
    for length in &options.windows {
        let window = signals
            .operator::<Window>(&format!("window{length}"))
            .length(*length);
        signals.connect(source.measurements(), window.measurements());
        signals.connect(window.summary(), compare.summaries());
    }

    let input = options.input.clone();
    source
        .input(input.unwrap_or_else(|| options::data("co2-weekly.csv")))
        .rate(common.rate);
    compare.output(options.output.clone());
    signals
}
