//! What a field is, by its attribute and the name of its type.

use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Field, LitStr, Meta, Token, bracketed};

use crate::parse::Subject;
use crate::ports::Direction;

/// What a field is.
pub(crate) enum Role {
    /// A port.
    Port(Direction),
    /// A plugin.
    Plugin { depends_on: Vec<LitStr> },
    /// A parameter; without a name it is called like the field.
    Parameter { name: Option<LitStr>, required: bool },
    /// The struct's own state.
    Own,
}

const NAMES: [&str; 3] = ["port", "plugin", "parameter"];

impl Role {
    /// Reads the attribute of a field and the name of its type.
    pub(crate) fn of(field: &Field, subject: Subject) -> syn::Result<Self> {
        let by_type = Direction::of(&field.ty);
        if let (Subject::Plugin, Some(_)) = (subject, by_type) {
            let message = "a plugin has no ports: give the port to the operator, or call the type otherwise if it is none";
            return Err(syn::Error::new_spanned(&field.ty, message));
        }
        let Some(attribute) = only_attribute(field)? else {
            return Ok(by_type.map_or(Self::Own, Self::Port));
        };
        let role = Self::by_attribute(attribute)?;
        match (&role, by_type) {
            (_, None) => Ok(role),
            (Self::Port(written), Some(named)) if *written == named => Ok(role),
            (Self::Port(_), Some(named)) => {
                let message = format!(
                    "the type's name says that this is an {} port: remove #[port(...)]",
                    named.word()
                );
                Err(syn::Error::new_spanned(attribute, message))
            }
            (_, Some(named)) => {
                let message = format!(
                    "the type's name says that this is an {} port, which is no plugin or parameter: remove the attribute",
                    named.word()
                );
                Err(syn::Error::new_spanned(attribute, message))
            }
        }
    }

    fn by_attribute(attribute: &Attribute) -> syn::Result<Self> {
        if attribute.path().is_ident("port") {
            parse_port(attribute).map(Self::Port)
        } else if attribute.path().is_ident("plugin") {
            parse_plugin(attribute).map(|depends_on| Self::Plugin { depends_on })
        } else {
            parse_parameter(attribute)
        }
    }
}

/// The one attribute of ours that a field may have.
fn only_attribute(field: &Field) -> syn::Result<Option<&Attribute>> {
    let ours = |attribute: &&Attribute| NAMES.iter().any(|name| attribute.path().is_ident(name));
    let mut attributes = field.attrs.iter().filter(ours);
    let first = attributes.next();
    match (first, attributes.next()) {
        (Some(first), Some(second)) if first.path().get_ident() == second.path().get_ident() => {
            let message = "this attribute stands here twice: write all its keys into one";
            Err(syn::Error::new_spanned(second, message))
        }
        (Some(_), Some(second)) => {
            let message =
                "a field is a port, a plugin or a parameter, and only one of them: remove one attribute";
            Err(syn::Error::new_spanned(second, message))
        }
        _ => Ok(first),
    }
}

fn parse_port(attribute: &Attribute) -> syn::Result<Direction> {
    const WRITE: &str = "write #[port(input)] or #[port(output)]";
    let mut direction = None;
    nested(attribute, WRITE, |meta| {
        let said = match key(meta).as_str() {
            "input" => Direction::Input,
            "output" => Direction::Output,
            other => return Err(meta.error(format!("unknown direction `{other}`"))),
        };
        flag(meta)?;
        once(meta, direction.replace(said).is_some())
    })?;
    direction.ok_or_else(|| syn::Error::new_spanned(attribute, format!("which way do records go? {WRITE}")))
}

fn parse_plugin(attribute: &Attribute) -> syn::Result<Vec<LitStr>> {
    let mut depends_on = None;
    nested(
        attribute,
        "write #[plugin] or #[plugin(depends_on = [\"other_field\"])]",
        |meta| match key(meta).as_str() {
            "depends_on" => {
                let items;
                let list = meta.value()?;
                bracketed!(items in list);
                let names = Punctuated::<LitStr, Token![,]>::parse_terminated(&items)?;
                once(meta, depends_on.replace(names.into_iter().collect()).is_some())
            }
            other => Err(meta.error(format!("unknown key `{other}`"))),
        },
    )?;
    Ok(depends_on.unwrap_or_default())
}

fn parse_parameter(attribute: &Attribute) -> syn::Result<Role> {
    const WRITE: &str = "write #[parameter], or in its brackets `required`, `name = \"recordCount\"` or both";
    let (mut name, mut required) = (None, false);
    nested(attribute, WRITE, |meta| match key(meta).as_str() {
        "name" => {
            let text: LitStr = meta.value()?.parse()?;
            once(meta, name.replace(text).is_some())
        }
        "required" => {
            flag(meta)?;
            once(meta, std::mem::replace(&mut required, true))
        }
        other => Err(meta.error(format!("unknown key `{other}`"))),
    })?;
    Ok(Role::Parameter { name, required })
}

/// Parses the keys in brackets, if there are any. Every error says what to write instead.
pub(crate) fn nested(
    attribute: &Attribute,
    write: &str,
    mut each: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let parsed = match attribute.meta {
        Meta::Path(_) => Ok(()),
        Meta::List(_) => attribute.parse_nested_meta(|meta| each(&meta)),
        Meta::NameValue(_) => Err(syn::Error::new_spanned(attribute, "this attribute takes no `=`")),
    };
    parsed.map_err(|error| syn::Error::new(error.span(), format!("{error}: {write}")))
}

/// The key as text.
pub(crate) fn key(meta: &ParseNestedMeta<'_>) -> String {
    let path = meta
        .path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect::<Vec<_>>();
    path.join("::")
}

/// Refuses a value behind a key that has none.
fn flag(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    match meta.input.is_empty() || meta.input.peek(Token![,]) {
        true => Ok(()),
        false => Err(meta.error(format!("`{}` takes no value", key(meta)))),
    }
}

pub(crate) fn once(meta: &ParseNestedMeta<'_>, repeated: bool) -> syn::Result<()> {
    match repeated {
        true => Err(meta.error(format!("`{}` is said twice", key(meta)))),
        false => Ok(()),
    }
}
