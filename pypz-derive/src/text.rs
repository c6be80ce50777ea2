//! Names, doc comments and types as text.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Type};

/// The name of a field, without `r#`.
pub(crate) fn unraw(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The doc comment in one line.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let words: Vec<String> = lines.flat_map(|line| words_of(&line)).collect();
    words.join(" ")
}

fn words_of(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The type as one writes it: `HashMap<String, u64>`, not `HashMap < String , u64 >`.
pub(crate) fn written(ty: &Type) -> String {
    let tokens = ty.to_token_stream().to_string();
    let mut text = String::new();
    for word in tokens.split_whitespace() {
        let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '\'');
        let after_sign = text.ends_with([',', ';', '+', '=']) || text.ends_with("->");
        let between_words = text.ends_with(joins) && word.starts_with(joins);
        if after_sign || between_words || matches!(word, "+" | "=" | "->") {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Where the type stands, for errors; names in the generated code still mean what they mean in the rest of it.
pub(crate) fn span(ty: &Type) -> Span {
    ty.span().resolved_at(Span::call_site())
}
