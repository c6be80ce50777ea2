use pypz::prelude::*;

#[derive(PluginSpec, Default)]
struct Database;

impl pypz::plugin::Plugin for Database {}

#[derive(OperatorSpec, Default)]
struct Writer {
    #[plugin(depends_on = ["database"])]
    cache: Database,
    #[plugin(depends_on = ["cache"])]
    database: Database,
}

impl Operator for Writer {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

fn main() {}
