use pypz::prelude::*;

#[derive(PluginSpec, Default)]
struct Database {
    output: OutputPort<String, Text>,
}

fn main() {}
