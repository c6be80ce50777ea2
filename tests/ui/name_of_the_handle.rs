use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer {
    replicas: OutputPort<String, Text>,
    #[parameter]
    name: String,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
