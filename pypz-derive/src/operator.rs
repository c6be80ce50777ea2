//! The implementation of `OperatorSpec`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::parse::Model;
use crate::{handle, parameters, plugins, ports, registration};

/// Everything that `#[derive(OperatorSpec)]` generates.
pub(crate) fn generate(model: &Model) -> TokenStream {
    let parameterized = parameters::implementation(model);
    let handle = handle::definition(model);
    let specification = specification(model);
    let registration = registration::submission(model);
    quote!(#parameterized #handle #specification #registration)
}

fn specification(model: &Model) -> TokenStream {
    let Model { ident, doc, .. } = model;
    let (impl_generics, type_generics, where_clause) = model.generics.split_for_impl();
    let handle = handle::name(model);
    let port_descriptions = ports::descriptions(&model.ports);
    let plugin_descriptions = plugins::descriptions(&model.plugins);
    let schemas = ports::schemas(&model.ports);
    let ports = ports::accessors(&model.ports);
    let plugins = plugins::accessors(&model.plugins);
    quote! {
        #[automatically_derived]
        impl #impl_generics ::pypz::__private::OperatorSpec for #ident #type_generics #where_clause {
            type Handle = #handle #type_generics;

            fn describe() -> ::pypz::__private::OperatorDescription {
                ::pypz::__private::OperatorDescription {
                    type_name: ::core::any::type_name::<Self>(),
                    doc: #doc,
                    ports: #port_descriptions,
                    plugins: #plugin_descriptions,
                    parameters: <Self as ::pypz::__private::Parameterized>::parameters(),
                }
            }

            #schemas

            fn handle(draft: ::pypz::__private::OperatorDraft) -> #handle #type_generics {
                #handle(draft, ::core::marker::PhantomData)
            }

            #ports
            #plugins
        }
    }
}
