//! The spec name by which pipeline files mean an operator, and the registration under it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, LitStr};

use crate::attributes;
use crate::parse::Model;
use crate::text;

const WRITE: &str = "write #[operator(spec = \"flights.operators:Carriers\")]";

/// The name that the attribute above the struct gives, if there is one.
pub(crate) fn spec(input: &DeriveInput) -> syn::Result<Option<LitStr>> {
    let mut spec: Option<LitStr> = None;
    let ours = input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("operator"));
    for attribute in ours {
        attributes::nested(attribute, WRITE, |meta| match attributes::key(meta).as_str() {
            "spec" => {
                let text: LitStr = meta.value()?.parse()?;
                attributes::once(meta, spec.replace(text).is_some())
            }
            other => Err(meta.error(format!("unknown key `{other}`"))),
        })?;
        if spec.is_none() {
            return Err(syn::Error::new_spanned(attribute, WRITE));
        }
    }
    let Some(spec) = spec else { return Ok(None) };
    if !is_spec(&spec.value()) {
        let message = format!("a spec name is module:Class, as Python names them: {WRITE}");
        return Err(syn::Error::new_spanned(spec, message));
    }
    if !input.generics.params.is_empty() {
        let message = "a struct with generics is as many types as they stand for: register each with pypz::register_operator!(Type<...> as \"module:Class\")";
        return Err(syn::Error::new_spanned(spec, message));
    }
    Ok(Some(spec))
}

/// Whether it is `package.module:Class`, of Python's words.
fn is_spec(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.split_once(':')
        .is_some_and(|(module, class)| module.split('.').all(is_word) && is_word(class))
}

/// Registers the type, if it is one: a struct with generics is many.
pub(crate) fn submission(model: &Model) -> Option<TokenStream> {
    if !model.generics.params.is_empty() {
        return None;
    }
    let ident = &model.ident;
    let registration = quote_spanned!(ident.span()=> ::pypz::__private::OperatorRegistration);
    let registration = match &model.spec {
        Some(spec) => quote!(#registration::named::<#ident>(#spec)),
        None => {
            let class = text::unraw(ident);
            quote_spanned!(ident.span().resolved_at(proc_macro2::Span::call_site())=>
                #registration::of::<#ident>(::core::module_path!(), #class))
        }
    };
    Some(quote_spanned!(model.ident.span()=> ::pypz::__private::inventory::submit! { #registration }))
}
