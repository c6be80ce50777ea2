//! Operator types by spec name, so that a pipeline file can name them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Factory, Operator, OperatorDescription, OperatorSpec};

/// An operator type that files can name. `#[derive(OperatorSpec)]` registers each type that has no generics; of one that
/// has them, [`register_operator!`](crate::register_operator) registers what it is told.
///
/// What it costs is a static a type and a function pointer that is called once, before `main`; the description is built
/// when somebody asks for it.
pub struct OperatorRegistration {
    name: SpecName,
    type_name: fn() -> &'static str,
    describe: fn() -> OperatorDescription,
    schemas: fn() -> Vec<(&'static str, Option<String>)>,
    #[cfg_attr(
        not(feature = "files"),
        allow(dead_code, reason = "only files make operators by name")
    )]
    pub(crate) factory: Factory,
}

enum SpecName {
    /// As `#[operator(spec = "...")]` says.
    Said(&'static str),
    /// The Rust module and the type.
    OfType {
        module: &'static str,
        class: &'static str,
    },
}

/// Two types are registered under one spec name, so that a file which names it would mean either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "spec '{spec}' is the name of {}: give each one of its own with #[operator(spec = \"module:Class\")]",
    .types.join(" and of ")
)]
pub struct AmbiguousSpec {
    /// The name.
    pub spec: String,
    /// The Rust types.
    pub types: Vec<&'static str>,
}

impl OperatorRegistration {
    /// Registers a type under the name of its module and itself: `flights::operators` and `Carriers` become
    /// `flights.operators:Carriers`.
    #[must_use]
    pub const fn of<T: Operator>(module: &'static str, class: &'static str) -> Self {
        Self::new::<T>(SpecName::OfType { module, class })
    }

    /// Registers a type under a name of its own.
    #[must_use]
    pub const fn named<T: Operator>(spec: &'static str) -> Self {
        Self::new::<T>(SpecName::Said(spec))
    }

    const fn new<T: Operator>(name: SpecName) -> Self {
        Self {
            name,
            type_name: std::any::type_name::<T>,
            describe: <T as OperatorSpec>::describe,
            schemas: <T as OperatorSpec>::schemas,
            factory: || Box::new(T::default()),
        }
    }

    /// The name that a file gives the type: `module:Class`.
    #[must_use]
    pub fn spec(&self) -> String {
        match self.name {
            SpecName::Said(spec) => spec.to_owned(),
            SpecName::OfType { module, class } => format!("{}:{class}", module.replace("::", ".")),
        }
    }

    /// The Rust type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Its ports, plugins and parameters.
    #[must_use]
    pub fn describe(&self) -> OperatorDescription {
        (self.describe)()
    }

    /// The schema of each port's records, by the port's name; `None` where the codec has none.
    #[must_use]
    pub fn schemas(&self) -> Vec<(&'static str, Option<String>)> {
        (self.schemas)()
    }
}

impl std::fmt::Debug for OperatorRegistration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorRegistration")
            .field("spec", &self.spec())
            .field("type", &self.type_name())
            .finish_non_exhaustive()
    }
}

inventory::collect!(OperatorRegistration);

/// All operator types of this program that files can name, by that name.
#[must_use]
pub fn registered() -> &'static BTreeMap<String, Vec<&'static OperatorRegistration>> {
    static REGISTERED: OnceLock<BTreeMap<String, Vec<&'static OperatorRegistration>>> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for registration in inventory::iter::<OperatorRegistration> {
            by_name.entry(registration.spec()).or_default().push(registration);
        }
        by_name
    })
}

/// The operator type of this name, if this program has one.
///
/// # Errors
///
/// [`AmbiguousSpec`] names the types if there are several.
pub fn operator_for(spec: &str) -> Result<Option<&'static OperatorRegistration>, AmbiguousSpec> {
    match registered().get(spec).map_or(&[][..], Vec::as_slice) {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        several => {
            let mut types: Vec<_> = several.iter().map(|one| one.type_name()).collect();
            types.sort_unstable();
            Err(AmbiguousSpec {
                spec: spec.to_owned(),
                types,
            })
        }
    }
}

/// Registers an operator type under a spec name, so that a pipeline file can name it. The derive does so for every type
/// without generics; this is for the others.
///
/// ```
/// # use pypz_core as pypz;
/// # use pypz_core::{Context, Operator, OperatorSpec, Progress, Result};
/// # struct Window<const WEEKS: u32>;
/// # macro_rules! example { () => {
/// pypz::register_operator!(Window<4> as "signals.operators:Window4");
/// # } }
/// ```
#[macro_export]
macro_rules! register_operator {
    ($operator:ty as $spec:literal) => {
        $crate::__private::inventory::submit! {
            $crate::__private::OperatorRegistration::named::<$operator>($spec)
        }
    };
}
