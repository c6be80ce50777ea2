//! TLS and SASL: what the user's properties promise must be what the clients do.

use pypz_core::channel::{ChannelConfig, Pem, pem_problem};

/// What every client of a location needs to be let in, whichever port it was said at.
const CONNECTION: [&str; 6] = [
    "security.protocol",
    "ssl.",
    "sasl.",
    "enable.ssl.certificate.verification",
    "enable.sasl.",
    "https.ca.",
];

/// Whether a property says how connections are made.
pub(crate) fn is_of_connections(key: &str) -> bool {
    CONNECTION.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether connections are made without TLS and SASL.
pub(crate) fn is_plaintext(config: &ChannelConfig) -> bool {
    config
        .get("security.protocol")
        .is_none_or(|protocol| protocol.eq_ignore_ascii_case("plaintext"))
}

/// What is wrong with the files that a configuration names, and properties that would have no effect: a password beside
/// a connection that does not ask for it is a connection without one.
pub(crate) fn problems(config: &ChannelConfig) -> Vec<String> {
    let protocol = config
        .get("security.protocol")
        .map_or("plaintext", String::as_str)
        .to_ascii_lowercase();
    let mut problems = Vec::new();
    for (prefix, wants) in [("ssl.", "ssl"), ("sasl.", "sasl")] {
        let idle = config.keys().find(|key| key.starts_with(prefix));
        if let Some(key) = idle.filter(|_| !protocol.contains(wants)) {
            problems.push(format!(
                "channelConfig: '{}' has no effect: set 'security.protocol' to {}",
                key.escape_debug(),
                match wants {
                    "ssl" => "SSL or SASL_SSL",
                    _ => "SASL_SSL, or to SASL_PLAINTEXT, which encrypts nothing",
                }
            ));
        }
    }
    for (setting, wanted) in [
        ("ssl.ca.location", Pem::Certificates),
        ("ssl.certificate.location", Pem::Certificates),
        ("ssl.key.location", Pem::Key),
    ] {
        let Some(path) = config.get(setting) else {
            continue;
        };
        // An authority may be a directory, or looked for where systems keep theirs.
        let is_no_file = path == "probe" || std::path::Path::new(path).is_dir();
        if !(setting == "ssl.ca.location" && is_no_file) {
            problems.extend(pem_problem(setting, path, wanted));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_plain_unless_its_protocol_says_more() {
        for (protocol, is_plain) in [
            (None, true),
            (Some("plaintext"), true),
            (Some("PLAINTEXT"), true),
            (Some("SASL_PLAINTEXT"), false),
            (Some("ssl"), false),
            (Some("sasl_ssl"), false),
        ] {
            let config = protocol.map(|protocol| ("security.protocol".to_owned(), protocol.to_owned()));
            assert_eq!(
                is_plaintext(&config.into_iter().collect()),
                is_plain,
                "{protocol:?}"
            );
        }
    }

    fn config(given: &[(&str, &str)]) -> ChannelConfig {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        given.iter().map(owned).collect()
    }

    #[test]
    fn a_password_or_a_certificate_that_nobody_would_use_is_refused() {
        let problems = |given: &[(&str, &str)]| problems(&config(given)).join("; ");
        let idle = problems(&[("sasl.password", "hunter2"), ("sasl.username", "u")]);
        assert!(
            idle.contains("'sasl.password' has no effect") && !idle.contains("hunter2"),
            "{idle}"
        );
        let half = problems(&[
            ("security.protocol", "SASL_PLAINTEXT"),
            ("ssl.ca.location", "probe"),
        ]);
        assert!(half.contains("'ssl.ca.location' has no effect"), "{half}");
        let good = problems(&[
            ("security.protocol", "sasl_ssl"),
            ("sasl.password", "x"),
            ("ssl.ca.location", "probe"),
        ]);
        assert_eq!(good, "");
    }
}
