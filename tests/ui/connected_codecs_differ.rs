use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer {
    output: OutputPort<String, Json>,
}

#[derive(OperatorSpec, Default)]
struct Reader {
    input: InputPort<String, Text>,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

impl Operator for Reader {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {
    let mut hello = Pipeline::new("hello");
    let writer = hello.operator::<Writer>("writer");
    let reader = hello.operator::<Reader>("reader");
    hello.connect(writer.output(), reader.input());
}
