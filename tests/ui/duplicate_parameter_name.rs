use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer {
    output: OutputPort<String, Text>,
    #[parameter]
    limit: u64,
    #[parameter(name = "limit")]
    other: u64,
    #[parameter(name = "output")]
    target: String,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
