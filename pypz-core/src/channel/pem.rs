//! Settings that name a file of certificates or a key.

use std::path::Path;

/// What a PEM file must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pem {
    /// One certificate or several.
    Certificates,
    /// A private key without a password.
    PlainKey,
    /// A private key, with a password or without.
    Key,
}

/// What is wrong with a setting of `channelConfig` that names a PEM file; `None` if the file holds what it must.
///
/// The path is shown unless it looks like the content of such a file, which somebody may have put in its place.
#[must_use]
pub fn pem_problem(setting: &str, path: &str, wanted: Pem) -> Option<String> {
    let shown = match path.contains('\n') || path.contains("-----") || path.len() > 1_024 {
        true => "what it holds is no path".to_owned(),
        false => Path::new(path).display().to_string().escape_debug().to_string(),
    };
    let problem = |what: &str| Some(format!("channelConfig: '{setting}': {shown}: {what}"));
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return problem(&error.to_string()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let begins = |what: &str| text.contains("-----BEGIN ") && text.contains(what);
    match wanted {
        Pem::Certificates if !begins("CERTIFICATE-----") => problem("it holds no certificate in PEM"),
        Pem::PlainKey if begins("ENCRYPTED") => {
            problem("its key is encrypted, which is not understood here: take one without a password")
        }
        Pem::Key | Pem::PlainKey if !begins("PRIVATE KEY-----") => problem("it holds no private key in PEM"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_something_else_is_named_and_its_content_never() {
        let missing = pem_problem("clientKey", "/no/such.pem", Pem::Key).unwrap();
        assert!(
            missing.contains("'clientKey': /no/such.pem: No such file"),
            "{missing}"
        );
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for wanted in [Pem::Certificates, Pem::PlainKey, Pem::Key] {
            let problem = pem_problem("x", manifest, wanted).unwrap();
            assert!(problem.ends_with("in PEM"), "{problem}");
        }
        for content in [
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
            "hunter2\nhunter2",
        ] {
            let problem = pem_problem("clientKey", content, Pem::Key).unwrap();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
