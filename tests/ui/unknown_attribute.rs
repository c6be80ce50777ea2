use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer {
    #[paramter]
    record_count: u64,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
