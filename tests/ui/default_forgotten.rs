use pypz::prelude::*;

#[derive(OperatorSpec)]
struct Writer {
    output: OutputPort<String>,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
