//! What must hold for bytes from anybody: one function a target, which panics where a promise is broken.
//!
//! Two drivers try them. `tests/inputs.rs` gives each 10,000 inputs, mutated from `corpus/` by a seed, and is an ordinary
//! test; `cargo fuzz` has the binaries of `fuzz_targets/` search for as long as it is let.
//!
//! | target | what reads the bytes | what holds |
//! | --- | --- | --- |
//! | [`avro`] | the codec [`pypz::Avro`] with derived types | as an Avro reader of our own reads them, or an error |
//! | [`json_records`] | the codec [`pypz::Json`] with the same types | what was decoded is encoded and decoded to the same |
//! | [`status`] | the status wire and a machine | what is heard is encoded to the same; the machine's own words are readable |
//! | [`pipeline_yaml`], [`pipeline_json`] | pipeline files | what was written of a file that was read is read to the same |
//! | [`names`] | names and locations | what is accepted is accepted again; what is shown has no control character |
//! | [`templates`] | `${env:NAME}` in parameters | text without templates stays as it is |
//! | [`headers`] | keys, headers and timestamps in RabbitMQ's packs | what was packed comes out again |
//! | [`packs`] | RabbitMQ's packs and message ids | what was unpacked is packed and unpacked to the same |

mod avro;
mod corpus;
mod drive;
mod mutate;
mod names;
mod packs;
mod pipeline_file;
mod reference;
mod samples;
mod status;
mod templates;
mod types;

pub use avro::{avro, json_records};
pub use corpus::{corpus, replay, write_samples};
pub use drive::drive;
pub use mutate::Mutator;
pub use names::names;
pub use packs::{headers, packs};
pub use pipeline_file::{pipeline_json, pipeline_yaml};
pub use samples::samples;
pub use status::status;
pub use templates::templates;

/// A target: tries one input.
pub type Target = fn(&[u8]) -> Verdict;

/// What became of an input that broke no promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It meant something.
    Accepted,
    /// It was an error.
    Refused,
}

/// All targets by name.
pub const TARGETS: [(&str, Target); 9] = [
    ("avro", avro),
    ("json_records", json_records),
    ("status", status),
    ("pipeline_yaml", pipeline_yaml),
    ("pipeline_json", pipeline_json),
    ("names", names),
    ("templates", templates),
    ("headers", headers),
    ("packs", packs),
];

/// Panics if a text that is shown has a control character other than the new lines of a list.
fn must_be_plain(shown: &str) {
    assert!(
        !shown.chars().any(|c| c.is_control() && c != '\n'),
        "a control character is shown: {shown:?}"
    );
}
