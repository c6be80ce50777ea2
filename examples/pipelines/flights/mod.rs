//! The flights job: how punctual each carrier was, and each airport's busiest day.
//!
//! ```text
//! source ── lines, in turn ──► clean x N ─┬─ flights, by carrier ──► carriers x N ─┐
//!                                         └─ flights, to all ──────► airports x 3 ─┴─► report
//! ```

mod airports;
mod carriers;
mod clean;
mod report;
mod source;

use std::path::PathBuf;

use pypz::prelude::*;

use self::airports::{AIRPORTS, Airports};
use self::carriers::Carriers;
use self::clean::Clean;
pub(crate) use self::clean::report_skipped;
use self::report::Report;
use self::source::Source;
use crate::options::{self, Common};

/// What `flights` understands.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// The departures, CSV or gzipped CSV [default: January 2013, which comes with the example]
    #[arg(long, value_name = "FILE.csv[.gz]")]
    input: Option<PathBuf>,
    /// Where to write the result as JSON, besides the table
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// Counts malformed lines instead of failing at the first
    #[arg(long)]
    skip_malformed: bool,
}

/// A line of the input, and where it stands, so that whoever cannot read it can say where.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
struct Line {
    file: String,
    number: i64,
    text: String,
}

/// A departure, as far as it matters here.
#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Flight {
    carrier: String,
    origin: String,
    /// As in `2013-01-02`.
    date: String,
    cancelled: bool,
    /// Delays are in minutes; there is none if the flight did not depart, or did not arrive.
    departure_delay: Option<i32>,
    arrival_delay: Option<i32>,
}

/// One carrier's figures, on the wire and in the report.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
struct CarrierSummary {
    carrier: String,
    flights: i64,
    cancelled: i64,
    departure_delay_mean: Option<f64>,
    arrival_delay_mean: Option<f64>,
    arrival_delay_max: Option<i32>,
}

/// One airport's figures, on the wire and in the report.
#[derive(Debug, Serialize, Deserialize, AvroSchema)]
struct AirportSummary {
    origin: String,
    flights: i64,
    busiest_day: String,
    busiest_day_flights: i64,
}

/// Builds the pipeline. One port of `clean` feeds two operators, each partitioned in its own way.
pub(crate) fn pipeline(options: &Options, common: &Common) -> Pipeline {
    let mut flights = Pipeline::new(common.pipeline_name("flights"));
    let source = flights.operator::<Source>("source");
    let clean = flights.operator::<Clean>("clean").replicas(common.replicas);
    let carriers = flights.operator::<Carriers>("carriers").replicas(common.replicas);
    let airports = flights
        .operator::<Airports>("airports")
        .replicas(AIRPORTS.len() as u32);
    let report = flights.operator::<Report>("report");

    flights.connect(source.lines(), clean.lines());
    flights.connect(clean.flights(), carriers.flights()).by_key();
    flights.connect(clean.flights(), airports.flights()).broadcast();
    flights.connect(carriers.summaries(), report.carriers());
    flights.connect(airports.summaries(), report.airports());

    let input = options.input.clone();
    source
        .input(input.unwrap_or_else(|| options::data("flights-2013-01.csv.gz")))
        .rate(common.rate);
    clean.skip_malformed(options.skip_malformed);
    report.output(options.output.clone());
    flights
}
