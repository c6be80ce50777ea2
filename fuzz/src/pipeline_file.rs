//! Pipeline files.

use pypz::{Context, InputPort, Json, Operator, OutputPort, Pipeline, PipelineError, Progress};
use pypz_derive::OperatorSpec;

use crate::{Verdict, must_be_plain};

/// An operator that files may name, so that there are parameters and ports of ours to be wrong about.
#[derive(OperatorSpec, Default)]
#[operator(spec = "shop:Prices")]
struct Prices {
    orders: InputPort<String>,
    priced: OutputPort<Vec<i64>, Json>,
    #[parameter(required)]
    rate: f64,
    #[parameter]
    rounds: u8,
}

impl Operator for Prices {
    async fn on_running(&mut self, _cx: &Context) -> pypz::Result<Progress> {
        for order in self.orders.retrieve().await? {
            let scaled = order.len() as f64 * self.rate;
            self.priced
                .send(vec![scaled as i64; usize::from(self.rounds)])
                .await?;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Reads YAML, and what is written of it.
pub fn pipeline_yaml(bytes: &[u8]) -> Verdict {
    try_file(bytes, Pipeline::from_yaml)
}

/// Reads JSON, and what is written of it.
pub fn pipeline_json(bytes: &[u8]) -> Verdict {
    try_file(bytes, Pipeline::from_json)
}

fn try_file(bytes: &[u8], read: fn(&str) -> Result<Pipeline, PipelineError>) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Verdict::Refused;
    };
    let pipeline = match read(text) {
        Ok(pipeline) => pipeline,
        Err(error) => {
            must_be_plain(&error.to_string());
            return Verdict::Refused;
        }
    };
    must_be_plain(&pipeline.describe());
    must_be_plain(&pipeline.describe_mermaid());
    if let Err(error) = pipeline.validate() {
        must_be_plain(&error.to_string());
    }
    match (pipeline.to_yaml(), pipeline.to_json()) {
        (Ok(yaml), Ok(json)) => {
            let again = |format: &str, read: Result<Pipeline, PipelineError>| match read {
                Ok(again) => {
                    assert_eq!(
                        again.to_json().ok().as_ref(),
                        Some(&json),
                        "{format} is read to something else:\n{yaml}"
                    );
                }
                Err(error) => panic!("what was written as {format} is not read: {error}\n{yaml}"),
            };
            again("YAML", Pipeline::from_yaml(&yaml));
            again("JSON", Pipeline::from_json(&json));
        }
        (Err(error), Err(_)) => must_be_plain(&error.to_string()),
        (yaml, json) => panic!("written as one of both only: {yaml:?} {json:?}"),
    }
    Verdict::Accepted
}
