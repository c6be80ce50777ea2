//! Where a channel lives.

use std::fmt;

/// What is passed through to a transport's client: key and value.
pub type ChannelConfig = std::collections::BTreeMap<String, String>;

/// Why a location was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channelLocation '{shown}' is not SCHEME://ADDRESS, as in memory:// or kafka://localhost:9092")]
pub struct LocationError {
    shown: String,
}

/// A parsed `channelLocation`: `memory://`, `kafka://host:port[,host:port]`, `amqp://user:password@host:port/vhost`.
///
/// `Display` and `Debug` hide the password.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    scheme: String,
    rest: String,
}

impl Location {
    /// Parses a location. The scheme must be there; what follows it is the transport's business.
    ///
    /// # Errors
    ///
    /// [`LocationError`] repeats the text without a password or control characters.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let scheme_is_plain = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        };
        match text.split_once("://") {
            Some((scheme, rest)) if scheme_is_plain(scheme) && !rest.chars().any(char::is_control) => {
                Ok(Self {
                    scheme: scheme.to_ascii_lowercase(),
                    rest: rest.to_owned(),
                })
            }
            _ => Err(LocationError {
                shown: hide_password(text).escape_debug().take(120).collect(),
            }),
        }
    }

    /// The location that needs nothing: `memory://`.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            scheme: "memory".to_owned(),
            rest: String::new(),
        }
    }

    /// What stands before `://`, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands behind `://`, credentials included.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.rest
    }
}

fn hide_password(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((credentials, address)) => {
            let user_from = credentials.find("://").map_or(0, |at| at + 3);
            match credentials[user_from..].find(':') {
                Some(colon) => format!("{}:***@{address}", &credentials[..user_from + colon]),
                None => text.to_owned(),
            }
        }
        None => hide_port(text),
    }
}

/// Hides what stands in the place of a port and is none: somebody may have left out the host behind a password.
fn hide_port(text: &str) -> String {
    let from = text.find("://").map_or(0, |at| at + 3);
    let shown = |host: &str| match host.split_once(':') {
        Some((name, port)) if !name.starts_with('[') && !begins_with_a_number(port) => format!("{name}:***"),
        _ => host.to_owned(),
    };
    let hosts: Vec<String> = text[from..].split(',').map(shown).collect();
    format!("{}{}", &text[..from], hosts.join(","))
}

fn begins_with_a_number(text: &str) -> bool {
    let number = text.split('/').next().unwrap_or_default();
    number.chars().all(|c| c.is_ascii_digit())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hide_password(&format!("{}://{}", self.scheme, self.rest)))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_not_even_in_a_refusal() {
        for text in [
            "amqp://user:hunter2@host:5672/vhost",
            "amqp:user:hunter2@host",
            "://a:hunter2@b",
            "amqp://a:hunter2@b@c",
            "amqp://user:hunter2",
            "amqp://user:hunter2/vhost",
            "kafka://a:1,user:hunter2",
            "user:hunter2",
            "amqp://user:x:hunter2",
        ] {
            let shown = match Location::parse(text) {
                Ok(location) => format!("{location} {location:?}"),
                Err(error) => error.to_string(),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for plain in [
            "kafka://a:1,b:2",
            "amqp://localhost",
            "amqp://host:5672/vhost",
            "amqp://[::1]",
            "amqp://[::1]:5672/",
            "memory://",
        ] {
            assert_eq!(Location::parse(plain).unwrap().to_string(), plain);
        }
        assert_eq!(Location::parse("KAFKA://a:1").unwrap().to_string(), "kafka://a:1");
    }

    #[test]
    fn a_location_without_a_scheme_is_refused() {
        for text in ["", "localhost:9092", "://x", "1a://x", "kafka://a\nb"] {
            assert!(Location::parse(text).is_err(), "{text:?}");
        }
    }
}
