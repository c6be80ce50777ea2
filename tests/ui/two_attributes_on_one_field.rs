use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer {
    #[parameter]
    #[plugin]
    database: u64,
    #[parameter]
    #[parameter(required)]
    limit: u64,
    #[parameter]
    output: OutputPort<String>,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
