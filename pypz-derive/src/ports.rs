//! Ports: which fields are ports, their descriptions, and access to them for the executor.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

use crate::parse::{Part, Port};
use crate::text;

/// Which way records go through a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Into the operator.
    Input,
    /// Out of it.
    Output,
}

impl Direction {
    /// The direction in words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    /// The direction of the ports of this type, if its name says that it is a port's.
    pub(crate) fn of(ty: &Type) -> Option<Self> {
        match ty {
            Type::Path(path) => {
                let name = path.path.segments.last()?.ident.to_string();
                let input = name.ends_with("InputPort").then_some(Self::Input);
                input.or_else(|| name.ends_with("OutputPort").then_some(Self::Output))
            }
            // What a `macro_rules!` macro handed on.
            Type::Group(group) => Self::of(&group.elem),
            Type::Paren(paren) => Self::of(&paren.elem),
            _ => None,
        }
    }
}

/// A vector with the description of each port.
pub(crate) fn descriptions(ports: &[Port]) -> TokenStream {
    let descriptions = ports.iter().map(
        |Port {
             part: Part { name, ty, doc, .. },
             ..
         }| { quote!(<#ty as ::pypz::__private::PortSpec>::describe(#name, #doc)) },
    );
    quote!(::std::vec![#(#descriptions),*])
}

/// The method `schemas`.
pub(crate) fn schemas(ports: &[Port]) -> TokenStream {
    let schemas = ports.iter().map(
        |Port {
             part: Part { name, ty, .. },
             ..
         }| { quote!((#name, <#ty as ::pypz::__private::PortSpec>::schema())) },
    );
    quote! {
        fn schemas() -> ::std::vec::Vec<(&'static str, ::core::option::Option<::std::string::String>)> {
            ::std::vec![#(#schemas),*]
        }
    }
}

/// The methods `input_ports` and `output_ports`.
pub(crate) fn accessors(ports: &[Port]) -> TokenStream {
    let of = |direction| {
        ports
            .iter()
            .filter(move |port| port.direction == direction)
            .map(|port| &port.part)
    };
    let inputs = borrowed(of(Direction::Input), &quote!(::pypz::__private::InputPorts<'_>));
    let outputs = borrowed(of(Direction::Output), &quote!(::pypz::__private::OutputPorts<'_>));
    quote! {
        fn input_ports(&mut self) -> ::pypz::__private::InputPorts<'_> {
            #inputs
        }

        fn output_ports(&mut self) -> ::pypz::__private::OutputPorts<'_> {
            #outputs
        }
    }
}

/// A vector of the type with name and mutable borrow of each part.
pub(crate) fn borrowed<'a>(parts: impl Iterator<Item = &'a Part>, vector: &TokenStream) -> TokenStream {
    let mut pushes = parts
        .map(|Part { ident, name, ty, .. }| {
            quote_spanned!(text::span(ty)=> borrowed.push((#name, &mut self.#ident));)
        })
        .peekable();
    if pushes.peek().is_none() {
        return quote!(::std::vec::Vec::new());
    }
    quote! {
        let mut borrowed: #vector = ::std::vec::Vec::new();
        #(#pushes)*
        borrowed
    }
}
