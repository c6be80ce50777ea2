//! The implementation of `Parameterized`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::parse::{Model, Parameter, Part};
use crate::text;

/// Implements `Parameterized` for an operator or plugin.
pub(crate) fn implementation(model: &Model) -> TokenStream {
    let ident = &model.ident;
    let (impl_generics, type_generics, where_clause) = model.generics.split_for_impl();
    let parameters = parameters(&model.parameters);
    let set_parameter = set_parameter(&model.parameters);
    quote! {
        #[automatically_derived]
        impl #impl_generics ::pypz::__private::Parameterized for #ident #type_generics #where_clause {
            #parameters
            #set_parameter
        }
    }
}

fn parameters(parameters: &[Parameter]) -> TokenStream {
    let specs = parameters.iter().map(|Parameter { part: Part { ident, ty, doc, .. }, name, required }| {
        let type_name = text::written(ty);
        let requirement = match required {
            true => quote!(::pypz::__private::Requirement::Required),
            false => quote_spanned! {text::span(ty)=>
                ::pypz::__private::Requirement::Optional { default: ::pypz::__private::shown(&defaults.#ident) }
            },
        };
        quote! {
            ::pypz::__private::ParameterSpec {
                name: #name,
                type_name: #type_name,
                requirement: #requirement,
                doc: #doc,
            }
        }
    });
    let optional = parameters.iter().any(|parameter| !parameter.required);
    let defaults = optional.then(|| quote!(let defaults = <Self as ::core::default::Default>::default();));
    quote! {
        fn parameters() -> ::std::vec::Vec<::pypz::__private::ParameterSpec> {
            #defaults
            ::std::vec![#(#specs),*]
        }
    }
}

fn set_parameter(parameters: &[Parameter]) -> TokenStream {
    let names = parameters.iter().map(|parameter| &parameter.name);
    let arms = parameters.iter().map(
        |Parameter {
             part: Part { ident, ty, .. },
             name,
             ..
         }| {
            let type_name = text::written(ty);
            quote_spanned! {text::span(ty)=>
                #name => self.#ident = ::pypz::__private::read::<#ty>(name, #type_name, value)?,
            }
        },
    );
    let unknown =
        quote!(::core::result::Result::Err(::pypz::__private::unknown_parameter(name, &[#(#names),*])));
    // Without parameters the value has no use, and rustc would say so.
    let (value, body) = match parameters {
        [] => (quote!(_value), unknown),
        _ => {
            let body = quote! {
                match name {
                    #(#arms)*
                    _ => return #unknown,
                }
                ::core::result::Result::Ok(())
            };
            (quote!(value), body)
        }
    };
    quote! {
        fn set_parameter(
            &mut self,
            name: &str,
            #value: &::pypz::__private::Value,
        ) -> ::core::result::Result<(), ::pypz::__private::ParameterError> {
            #body
        }
    }
}
