//! The first page: writers greet, readers print.

use pypz::prelude::*;

use crate::metrics::METRICS;
use crate::options::Common;
use crate::output;
use crate::pace::Pace;

/// What `hello` understands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How many greetings each writer sends
    #[arg(long, value_name = "N", default_value_t = 30)]
    records: u64,
    /// How many writers there are
    #[arg(long, value_name = "N", default_value_t = 1)]
    writers: u32,
}

#[derive(Serialize, Deserialize, AvroSchema)]
struct Greeting {
    text: String,
}

#[derive(OperatorSpec, Default)]
struct Writer {
    output: OutputPort<Greeting>,
    /// Number of greetings to send.
    #[parameter(required, name = "recordCount")]
    record_count: u64,
    /// Greetings per second; 0 for as fast as it goes.
    #[parameter]
    rate: u64,
    pace: Option<Pace>,
    /// How many greetings were sent.
    sent: u64,
}

impl Operator for Writer {
    async fn on_init(&mut self, cx: &Context) -> Result<()> {
        self.pace = Some(Pace::new(self.rate));
        self.sent = cx.position().unwrap_or("0").parse()?;
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let turn = match &mut self.pace {
            Some(pace) => pace.turn().await as u64,
            None => 0,
        };
        for n in self.sent..self.record_count.min(self.sent + turn) {
            let text = format!("hello {n}");
            self.output.send(Greeting { text }).await?;
            METRICS.sent(1);
            self.sent += 1;
        }
        cx.advance(self.sent.to_string());
        Ok(if self.sent < self.record_count {
            Progress::Again
        } else {
            Progress::Done
        })
    }
}

#[derive(OperatorSpec, Default)]
struct Reader {
    input: InputPort<Greeting>,
}

impl Operator for Reader {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let greetings = self.input.retrieve().await?;
        METRICS.received(greetings.len());
        for greeting in greetings {
            output::line(&greeting.text);
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// `writer` → `reader` x N, in turn.
pub(crate) fn pipeline(options: &Options, common: &Common) -> Pipeline {
    let mut hello = Pipeline::new(common.pipeline_name("hello"));
    let writer = hello.operator::<Writer>("writer").replicas(options.writers);
    let reader = hello.operator::<Reader>("reader").replicas(common.replicas);
    hello.connect(writer.output(), reader.input());
    writer.record_count(options.records).rate(common.rate);
    hello
}
