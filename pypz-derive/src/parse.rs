//! From the fields of a struct to the parts of an operator or plugin.

use syn::{Attribute, Data, DeriveInput, Field, Fields, Generics, Ident, LitStr, Type};

use crate::attributes::Role;
use crate::check;
use crate::errors::Errors;
use crate::ports::Direction;
use crate::registration;
use crate::text;

/// What the struct is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An operator, with ports, plugins and parameters.
    Operator,
    /// A plugin, with parameters.
    Plugin,
}

/// What all parts have.
pub(crate) struct Part {
    /// The field.
    pub(crate) ident: Ident,
    /// Its name without `r#`.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: Type,
    /// Its doc comment in one line.
    pub(crate) doc: String,
    /// Its doc comment as it is written.
    pub(crate) docs: Vec<Attribute>,
}

/// A port.
pub(crate) struct Port {
    pub(crate) part: Part,
    pub(crate) direction: Direction,
}

/// A plugin.
pub(crate) struct Plugin {
    pub(crate) part: Part,
    /// Fields of the plugins that start before it.
    pub(crate) depends_on: Vec<LitStr>,
}

/// A parameter.
pub(crate) struct Parameter {
    pub(crate) part: Part,
    /// The name by which it is set; its span is where that name stands.
    pub(crate) name: LitStr,
    pub(crate) required: bool,
}

/// The parts of an operator or plugin, in the order of the fields.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) doc: String,
    /// The name of `#[operator(spec = "...")]`.
    pub(crate) spec: Option<LitStr>,
    pub(crate) ports: Vec<Port>,
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) parameters: Vec<Parameter>,
}

impl Model {
    /// Finds the parts. What is wrong goes to `errors` and is left out; `None` if the type can have no parts at all.
    pub(crate) fn parse(input: &DeriveInput, subject: Subject, errors: &mut Errors) -> Option<Self> {
        let fields = errors.keep(fields(input, subject))?;
        let mut model = Self {
            ident: input.ident.clone(),
            generics: input.generics.clone(),
            doc: text::doc(&input.attrs),
            spec: errors.keep(registration::spec(input)).flatten(),
            ports: Vec::new(),
            plugins: Vec::new(),
            parameters: Vec::new(),
        };
        for field in fields {
            if let Some(role) = errors.keep(Role::of(field, subject)) {
                model.add(field, role);
            }
        }
        check::check(&mut model, errors);
        Some(model)
    }

    fn add(&mut self, field: &Field, role: Role) {
        let Some(part) = Part::of(field) else { return };
        match role {
            Role::Port(direction) => self.ports.push(Port { part, direction }),
            Role::Plugin { depends_on } => self.plugins.push(Plugin { part, depends_on }),
            Role::Parameter { name, required } => {
                let name = name.unwrap_or_else(|| LitStr::new(&part.name, part.ident.span()));
                self.parameters.push(Parameter { part, name, required });
            }
            Role::Own => {}
        }
    }
}

impl Part {
    fn of(field: &Field) -> Option<Self> {
        let ident = field.ident.clone()?;
        Some(Self {
            name: text::unraw(&ident),
            ident,
            ty: field.ty.clone(),
            doc: text::doc(&field.attrs),
            docs: field
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("doc"))
                .cloned()
                .collect(),
        })
    }
}

/// The fields of a struct that can have parts.
fn fields(input: &DeriveInput, subject: Subject) -> syn::Result<impl Iterator<Item = &Field>> {
    let what = match subject {
        Subject::Operator => "an operator",
        Subject::Plugin => "a plugin",
    };
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = format!(
            "{what} cannot borrow, for it lives as long as the run: hold owned values (String, Arc) instead"
        );
        return Err(syn::Error::new_spanned(lifetime, message));
    }
    let refused = |kind: &str| {
        let message = format!(
            "{what} is a struct with named fields, not {kind}: write `struct {} {{ ... }}`",
            input.ident
        );
        Err(syn::Error::new_spanned(&input.ident, message))
    };
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(_) => refused("a tuple struct"),
            fields @ (Fields::Named(_) | Fields::Unit) => Ok(fields.iter()),
        },
        Data::Enum(_) => refused("an enum"),
        Data::Union(_) => refused("a union"),
    }
}
