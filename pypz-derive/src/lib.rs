//! The derive macros of pypz: `#[derive(OperatorSpec)]` and `#[derive(PluginSpec)]`.
//!
//! They are used through the `pypz` crate, which exports them beside the traits that they implement; the generated code
//! refers to `::pypz`, so that crate must be a dependency under its own name.

mod attributes;
mod check;
mod errors;
mod handle;
mod operator;
mod parameters;
mod parse;
mod plugins;
mod ports;
mod registration;
mod text;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse_macro_input};

use errors::Errors;
use parse::{Model, Subject};

/// Makes a struct with named fields an operator: finds its ports, plugins and parameters.
///
/// # Fields
///
/// | field | what it is |
/// | --- | --- |
/// | type's name ends in `InputPort` or `OutputPort` | a port |
/// | `#[port(input)]`, `#[port(output)]` | a port whose type is an alias of another name |
/// | `#[parameter]` | an optional parameter, called like the field; its default is the field's value in `Default` |
/// | `#[parameter(required)]` | a parameter without which the pipeline does not run |
/// | `#[parameter(name = "recordCount")]` | a parameter with a name of its own; goes together with `required` |
/// | `#[plugin]` | a plugin: its type implements `Plugin` and derives `PluginSpec` |
/// | `#[plugin(depends_on = ["database"])]` | a plugin that starts after those fields' plugins and ends before them |
/// | any other | the operator's own state |
///
/// ```text
/// /// Sends greetings.
/// #[derive(OperatorSpec, Default)]
/// struct Writer {
///     output: OutputPort<Greeting>,
///     /// Number of greetings to send.
///     #[parameter(required, name = "recordCount")]
///     record_count: u64,
///     #[plugin]
///     database: Database,
///     sent: u64,
/// }
/// ```
///
/// Doc comments of the struct, its ports and its parameters become their descriptions.
///
/// # What is needed
///
/// The struct implements `Default` (each replica is made by it) and `Operator`. The type of a parameter implements
/// serde's `Serialize` and `Deserialize`, and `Debug` if it is optional, to show its default.
///
/// # Pipeline files
///
/// The type is registered under a name by which pipeline files mean it: its module and itself, as in
/// `flights.operators:Carriers`, or what `#[operator(spec = "flights.operators:Carriers")]` above the struct says. A
/// struct with generics is not registered; `pypz::register_operator!` does that for what its generics stand for.
///
/// # The handle
///
/// `Pipeline::operator::<Writer>` returns a `WriterHandle`, which needs no import. It has one method a port
/// (`output()`), one setter a parameter, called like its field (`record_count(3)`), and `replicas(4)` and `name()`.
#[proc_macro_derive(OperatorSpec, attributes(operator, port, plugin, parameter))]
pub fn derive_operator_spec(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input, Subject::Operator).into()
}

/// Makes a struct the parameters' side of a plugin; what the plugin does is said by `Plugin` and its kinds.
///
/// ```text
/// #[derive(PluginSpec, Default)]
/// struct Database {
///     /// Where it listens.
///     #[parameter(required)]
///     address: String,
///     /// Its password, which never shows.
///     #[parameter(name = "databasePassword")]
///     password: Secret,
///     connection: Option<Connection>,
/// }
/// ```
///
/// `#[parameter]`, `#[parameter(required)]` and `#[parameter(name = "...")]` mean what they mean in an operator; all other
/// fields are the plugin's own state. The struct implements `Default`.
#[proc_macro_derive(PluginSpec, attributes(parameter))]
pub fn derive_plugin_spec(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input, Subject::Plugin).into()
}

/// Generates the code for what could be understood, beside the errors for what could not: one mistake in an attribute
/// should not also be reported as a missing trait.
fn expand(input: &DeriveInput, subject: Subject) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let code = Model::parse(input, subject, &mut errors).map(|model| {
        let code = match subject {
            Subject::Operator => operator::generate(&model),
            Subject::Plugin => plugins::generate(&model),
        };
        // A block of its own keeps the handle's name out of the user's module; it is `pub` there, whatever the operator
        // is, because an associated type may not be more private than its trait.
        quote! {
            #[doc(hidden)]
            #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unnameable_types, unreachable_pub)]
            const _: () = { #code };
        }
    });
    let errors = errors.into_compile_error();
    quote!(#code #errors)
}
