//! Operator types by spec name.

use pypz::operator::{operator_for, registered};
use pypz::parameter::Requirement;
use pypz::port::Direction;
use pypz::prelude::*;

use crate::problems;

macro_rules! operators {
    ($($(#[$attribute:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $ty:ty),* })*) => {
        $(
            #[derive(OperatorSpec, Default)]
            $(#[$attribute])*
            struct $name { $($(#[$of_field])* $field: $ty),* }

            impl Operator for $name {
                async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
                    Ok(Progress::Done)
                }
            }
        )*
    };
}

operators! {
    Plain { input: InputPort<i64> }
    /// Cuts.
    #[operator(spec = "garden.tools:Shears")]
    Shears {
        /// What grows.
        hedge: InputPort<String>,
        bin: OutputPort<u32, Json>,
        /// How short.
        #[parameter(required, name = "maxHeight")] max_height: u32,
        #[parameter] slow: bool
    }
    #[operator(spec = "garden.tools:Twice")]
    First {}
    #[operator(spec = "garden.tools:Twice")]
    Second {}
}

#[derive(OperatorSpec, Default)]
struct Sieve<T: Send + Default + 'static> {
    held: T,
}

impl<T: Send + Default + 'static> Operator for Sieve<T> {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let _ = &self.held;
        Ok(Progress::Done)
    }
}

pypz::register_operator!(Sieve<u8> as "garden.tools:FineSieve");

#[test]
fn a_type_is_registered_under_its_module_and_name_or_under_what_it_is_told() {
    let plain = operator_for("files.registry:Plain").unwrap().unwrap();
    assert!(plain.type_name().ends_with("registry::Plain"));
    let shears = operator_for("garden.tools:Shears").unwrap().unwrap();
    let description = shears.describe();
    let ports: Vec<_> = description
        .ports
        .iter()
        .map(|port| (port.name, port.direction, port.doc))
        .collect();
    assert_eq!(
        ports,
        [
            ("hedge", Direction::Input, "What grows."),
            ("bin", Direction::Output, "")
        ]
    );
    assert_eq!(
        shears.schemas(),
        [("hedge", Some("\"string\"".to_owned())), ("bin", None)]
    );
    let parameters: Vec<_> = description
        .parameters
        .iter()
        .map(|spec| (spec.name, spec.type_name, spec.requirement.clone()))
        .collect();
    let default = "false".to_owned();
    assert_eq!(
        parameters,
        [
            ("maxHeight", "u32", Requirement::Required),
            ("slow", "bool", Requirement::Optional { default })
        ]
    );
}

#[test]
fn a_type_with_generics_is_registered_only_if_somebody_asks_for_it() {
    assert!(operator_for("files.registry:Sieve").unwrap().is_none());
    let fine = operator_for("garden.tools:FineSieve").unwrap().unwrap();
    assert!(fine.type_name().ends_with("Sieve<u8>"));
    assert!(registered().keys().all(|spec| !spec.contains('<')));
}

#[test]
fn two_types_of_one_spec_name_are_refused_by_both_their_names() {
    let error = operator_for("garden.tools:Twice").unwrap_err().to_string();
    let said =
        problems("name: p\nspec:\n  nestedInstances:\n  - name: a\n    spec: {name: 'garden.tools:Twice'}\n");
    for text in [error, said.join("\n")] {
        for part in ["garden.tools:Twice", "registry::First", "registry::Second"] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("yaml:5:18: "), "{said:?}");
}
