use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer {
    #[parameter(default = 3)]
    record_count: u64,
    #[port(sideways)]
    output: u64,
}

#[derive(PluginSpec, Default)]
struct Database {
    #[parameter(secret)]
    password: Secret,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
