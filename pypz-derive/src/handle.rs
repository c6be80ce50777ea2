//! The handle: an operator in a pipeline under construction.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::parse::{Model, Parameter, Part, Port};
use crate::ports::Direction;
use crate::text;

/// The name of the handle's type.
pub(crate) fn name(model: &Model) -> Ident {
    format_ident!("{}Handle", model.ident)
}

/// The handle's type with its methods. It has the generics of the operator.
pub(crate) fn definition(model: &Model) -> TokenStream {
    let (handle, generics) = (name(model), &model.generics);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let types = generics.type_params().map(|parameter| &parameter.ident);
    let doc = format!(
        "The operator `{}` in a pipeline: its ports, parameters and replicas.",
        text::unraw(&model.ident)
    );
    let shown = handle.to_string();
    let ports = model.ports.iter().map(port);
    let setters = model.parameters.iter().map(setter);
    quote! {
        #[doc = #doc]
        pub struct #handle #generics (
            ::pypz::__private::OperatorDraft,
            ::core::marker::PhantomData<fn() -> (#(#types,)*)>,
        ) #where_clause;

        impl #impl_generics #handle #type_generics #where_clause {
            #(#ports)*
            #(#setters)*

            /// Sets how many replicas there are, the principal included.
            pub fn replicas(self, replicas: u32) -> Self {
                self.0.replicas(replicas);
                self
            }

            /// The operator's name.
            pub fn name(&self) -> ::std::string::String {
                self.0.name()
            }
        }

        #[automatically_derived]
        impl #impl_generics ::core::clone::Clone for #handle #type_generics #where_clause {
            fn clone(&self) -> Self {
                Self(::core::clone::Clone::clone(&self.0), ::core::marker::PhantomData)
            }
        }

        #[automatically_derived]
        impl #impl_generics ::core::fmt::Debug for #handle #type_generics #where_clause {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_tuple(#shown).field(&self.0.name()).finish()
            }
        }
    }
}

fn port(
    Port {
        part:
            Part {
                ident,
                name,
                ty,
                docs,
                ..
            },
        direction,
    }: &Port,
) -> TokenStream {
    let (handle, method) = match direction {
        Direction::Input => (quote!(InputHandle), quote!(input)),
        Direction::Output => (quote!(OutputHandle), quote!(output)),
    };
    let doc = docs_or(docs, || format!("The {} port `{name}`.", direction.word()));
    quote_spanned! {text::span(ty)=>
        #doc
        pub fn #ident(&self) -> ::pypz::__private::#handle<
            <#ty as ::pypz::__private::PortSpec>::Record,
            <#ty as ::pypz::__private::PortSpec>::Codec,
        > {
            self.0.#method(#name)
        }
    }
}

fn setter(
    Parameter {
        part: Part { ident, ty, docs, .. },
        name,
        ..
    }: &Parameter,
) -> TokenStream {
    let doc = docs_or(docs, || format!("Sets the parameter `{}`.", name.value()));
    quote_spanned! {text::span(ty)=>
        #doc
        pub fn #ident(self, value: #ty) -> Self {
            self.0.set_parameter(#name, ::pypz::__private::IntoParameter::into_parameter(value));
            self
        }
    }
}

/// The field's own words, or ours if it has none.
fn docs_or(docs: &[syn::Attribute], ours: impl FnOnce() -> String) -> TokenStream {
    match docs {
        [] => {
            let ours = ours();
            quote!(#[doc = #ours])
        }
        docs => quote!(#(#docs)*),
    }
}
