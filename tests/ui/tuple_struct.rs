use pypz::prelude::*;

#[derive(OperatorSpec, Default)]
struct Writer(OutputPort<String>);

#[derive(OperatorSpec)]
enum Either {
    Left,
    Right,
}

#[derive(OperatorSpec)]
struct Borrowing<'a> {
    text: &'a str,
}

fn main() {}
