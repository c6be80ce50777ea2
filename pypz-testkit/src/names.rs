//! Names that no other test has.

use uuid::Uuid;

/// A pipeline name that begins with `stem` and is never given twice.
#[must_use]
pub fn unique(stem: &str) -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{stem}-{}", &id[id.len() - 12..])
}
