//! Operators that send, take and survive what does not decode.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use pypz::{Avro, Codec, Context, InputPort, Operator, OutputPort, Progress, Raw, Record, Result};
use pypz_derive::OperatorSpec;

/// How many records are sent at a time.
const BATCH: usize = 50;

/// What the sinks of each pipeline were given.
static TAKEN: LazyLock<Mutex<HashMap<String, Vec<u64>>>> = LazyLock::new(Mutex::default);

/// What the sinks of a pipeline were given until now.
pub(crate) fn taken(pipeline: &str) -> Vec<u64> {
    TAKEN.lock().unwrap().get(pipeline).cloned().unwrap_or_default()
}

/// Whether a record decodes.
pub(crate) const fn good(number: u64, every: u64) -> bool {
    number % every != every - 1
}

/// Bytes that are no Avro `long`, and say which record it is: each promises one more.
pub(crate) fn poison(number: u64) -> Vec<u8> {
    (0..5).map(|group| 0x80 | (number >> (7 * group)) as u8).collect()
}

/// Sends numbers as bytes, each `every`th of which is poison.
#[derive(OperatorSpec, Default)]
pub(crate) struct Mixed {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    count: u64,
    #[parameter(required)]
    every: u64,
}

impl Operator for Mixed {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let mut codec = <Avro as Codec<u64>>::new()?;
        let mut records = Vec::new();
        for number in 0..self.count {
            records.push(if good(number, self.every) {
                let mut bytes = Vec::new();
                codec.encode(&number, &mut bytes)?;
                Record::new(bytes)
            } else {
                Record::new(poison(number))
                    .with_key("key")
                    .with_header("kind", "poison")
            });
            if records.len() == BATCH {
                self.output.send_all(std::mem::take(&mut records)).await?;
            }
        }
        self.output.send_all(records).await?;
        cx.advance("done");
        Ok(Progress::Done)
    }
}

/// Never runs: it stands for the source whose records are numbers to whoever reads them.
#[derive(OperatorSpec, Default)]
pub(crate) struct Typed {
    output: OutputPort<u64>,
}

impl Operator for Typed {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        anyhow::bail!("this operator runs in another execution, as another one")
    }
}

/// Never runs: it stands for the reader whose records are bytes to whoever sends them.
#[derive(OperatorSpec, Default)]
pub(crate) struct Elsewhere {
    input: InputPort<Vec<u8>, Raw>,
}

impl Operator for Elsewhere {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        anyhow::bail!("this operator runs in another execution, as another one")
    }
}

/// Notes what it is given.
#[derive(OperatorSpec, Default)]
pub(crate) struct Sink {
    input: InputPort<u64>,
}

impl Operator for Sink {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        let mut taken = TAKEN.lock().unwrap();
        taken.entry(cx.pipeline().to_owned()).or_default().extend(batch);
        Ok(Progress::UntilInputsEnd)
    }
}

/// Passes records on; the first one of the pipeline that sees the record `failsAt` fails behind its batch.
#[derive(OperatorSpec, Default)]
pub(crate) struct Relay {
    input: InputPort<u64>,
    output: OutputPort<u64>,
    #[parameter(name = "failsAt", required)]
    fails_at: u64,
}

static FAILED: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);

impl Operator for Relay {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let batch: Vec<u64> = self.input.retrieve().await?.into_iter().collect();
        let sees = batch.contains(&self.fails_at);
        self.output.send_all(batch).await?;
        if sees {
            let mut failed = FAILED.lock().unwrap();
            if !failed.iter().any(|pipeline| pipeline == cx.pipeline()) {
                failed.push(cx.pipeline().to_owned());
                anyhow::bail!("this relay has had enough");
            }
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Sends one number.
#[derive(OperatorSpec, Default)]
pub(crate) struct One {
    output: OutputPort<u64>,
}

impl Operator for One {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.output.send(0).await?;
        Ok(Progress::Done)
    }
}

/// Fails on whatever it gets, unless it is told to be good.
#[derive(OperatorSpec, Default)]
pub(crate) struct Fail {
    input: InputPort<u64>,
    #[parameter(name = "isGood")]
    is_good: bool,
}

impl Operator for Fail {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        if !self.is_good && !batch.is_empty() {
            anyhow::bail!("no {} records", batch.len());
        }
        Ok(Progress::UntilInputsEnd)
    }
}
