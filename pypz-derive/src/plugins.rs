//! Plugins: what an operator says of its own, and what a plugin says of itself.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::parse::{Model, Part, Plugin};
use crate::{parameters, ports, text};

/// Everything that `#[derive(PluginSpec)]` generates.
pub(crate) fn generate(model: &Model) -> TokenStream {
    let parameterized = parameters::implementation(model);
    let ident = &model.ident;
    let (impl_generics, type_generics, where_clause) = model.generics.split_for_impl();
    quote! {
        #parameterized

        #[automatically_derived]
        impl #impl_generics ::pypz::__private::PluginSpec for #ident #type_generics #where_clause {}
    }
}

/// A vector with the description of each plugin.
pub(crate) fn descriptions(plugins: &[Plugin]) -> TokenStream {
    let descriptions = plugins.iter().map(
        |Plugin {
             part: Part { name, ty, .. },
             depends_on,
         }| {
            quote_spanned! {text::span(ty)=>
                ::pypz::__private::PluginDescription {
                    name: #name,
                    depends_on: &[#(#depends_on),*],
                    parameters: <#ty as ::pypz::__private::Parameterized>::parameters(),
                }
            }
        },
    );
    quote!(::std::vec![#(#descriptions),*])
}

/// The methods `plugins` and `set_plugin_parameter`.
pub(crate) fn accessors(plugins: &[Plugin]) -> TokenStream {
    let borrowed = ports::borrowed(
        plugins.iter().map(|plugin| &plugin.part),
        &quote!(::pypz::__private::Plugins<'_>),
    );
    let names = plugins.iter().map(|plugin| &plugin.part.name);
    let arms = plugins.iter().map(
        |Plugin {
             part: Part { ident, name, ty, .. },
             ..
         }| {
            quote_spanned! {text::span(ty)=>
                #name => ::pypz::__private::Parameterized::set_parameter(&mut self.#ident, name, value),
            }
        },
    );
    // Without plugins the parameters of the method have no use, and rustc would say so.
    let (name, value) = match plugins {
        [] => (quote!(_name), quote!(_value)),
        _ => (quote!(name), quote!(value)),
    };
    quote! {
        fn plugins(&mut self) -> ::pypz::__private::Plugins<'_> {
            #borrowed
        }

        fn set_plugin_parameter(
            &mut self,
            plugin: &str,
            #name: &str,
            #value: &::pypz::__private::Value,
        ) -> ::core::result::Result<(), ::pypz::__private::ParameterError> {
            match plugin {
                #(#arms)*
                _ => ::core::result::Result::Err(::pypz::__private::unknown_parameter(plugin, &[#(#names),*])),
            }
        }
    }
}
