//! RabbitMQ with TLS, users and client certificates.

use crate::{Config, Site, is_overdue, is_refused, works, works_as};

fn site() -> Site {
    Site::new("secure-rabbitmq")
}

fn is_said(case: &str, location: &str, config: &Config, word: &str) {
    let shown = "pypz:***@127.0.0.1:";
    is_refused(case, 125, location, config, &[shown, word]);
}

#[test]
fn records_travel_over_tls_with_and_without_a_client_certificate() {
    let site = site();
    works(&site.location(), &site.config(&[]));
    let config = site.config(&[
        ("clientCertificate", &site.certificate("clientCertificate")),
        ("clientKey", &site.certificate("clientKey")),
    ]);
    works(&site.listener("clientCertificate"), &config);
}

#[test]
fn a_wrong_password_an_unknown_user_and_a_user_without_rights_are_refused_soon() {
    let site = site();
    let (location, config) = (site.location(), site.config(&[]));
    let wrong = location.replacen(":open-sesame@", ":sesame@", 1);
    is_said("wrong password", &wrong, &config, "ACCESS_REFUSED");
    let vhost = format!("{location}nowhere");
    is_said("unknown vhost", &vhost, &config, "vhost nowhere not found");
    for (case, user, words) in [
        (
            "unknown user",
            "nobody".to_owned(),
            ["nobody:***@", "ACCESS_REFUSED"],
        ),
        (
            "no rights",
            site.text(&["userWithoutRights"]),
            ["stranger:***@", "access to queue"],
        ),
    ] {
        let location = location.replacen("pypz:", &format!("{user}:"), 1);
        is_refused(case, 125, &location, &config, &words);
    }
}

#[test]
fn a_certificate_that_proves_nothing_is_refused_soon() {
    let site = site();
    let foreign = site.certificate("foreignCa");
    for (case, location, authority, word) in [
        ("expired", site.listener("expired"), None, "certificate expired"),
        (
            "other host",
            site.listener("wrongHost"),
            None,
            "certificate not valid for name",
        ),
        (
            "foreign authority",
            site.location(),
            Some(foreign.as_str()),
            "UnknownIssuer",
        ),
        (
            "the system's authorities",
            site.location(),
            Some(""),
            "UnknownIssuer",
        ),
    ] {
        let changed: Vec<_> = authority
            .into_iter()
            .map(|file| ("caCertificate", file))
            .collect();
        is_said(case, &location, &site.config(&changed), word);
    }
}

#[test]
fn a_client_without_a_certificate_that_is_trusted_is_refused_soon() {
    let site = site();
    for (case, certificate, key) in [
        ("no certificate", String::new(), String::new()),
        (
            "foreign certificate",
            site.certificate("foreignClientCertificate"),
            site.certificate("foreignClientKey"),
        ),
        (
            "a key of another certificate",
            site.certificate("clientCertificate"),
            site.certificate("foreignClientKey"),
        ),
    ] {
        let config = site.config(&[("clientCertificate", &certificate), ("clientKey", &key)]);
        let word = if case.starts_with("a key") {
            "KeyMismatch"
        } else {
            "wants a client certificate"
        };
        is_said(case, &site.listener("clientCertificate"), &config, word);
    }
}

#[test]
fn a_client_that_speaks_another_protocol_never_falls_back_and_says_what_it_met() {
    let site = site();
    let plain = site.listener("plaintext").replacen("amqp:", "amqps:", 1);
    is_said(
        "TLS at plaintext",
        &plain,
        &site.config(&[]),
        "does not speak TLS",
    );
    let tls = site.location().replacen("amqps:", "amqp:", 1);
    let words = [
        "amqp://pypz:***@127.0.0.1:",
        "does this port speak TLS (amqps://)?",
    ];
    is_overdue("plaintext at TLS", &tls, &Config::new(), &words);
}

#[test]
fn properties_that_secure_nothing_are_refused_at_start() {
    let site = site();
    let (key, nothing) = (site.certificate("clientKey"), "/no/such/file.pem");
    for (case, changed, word) in [
        ("no file", ("caCertificate", nothing), "No such file"),
        (
            "no certificate",
            ("caCertificate", key.as_str()),
            "holds no certificate",
        ),
        (
            "half an identity",
            ("clientKey", key.as_str()),
            "needs 'clientCertificate'",
        ),
    ] {
        let words = ["channelConfig", word];
        is_refused(case, 64, &site.location(), &site.config(&[changed]), &words);
    }
    let words = ["'caCertificate' has no effect", "amqps://"];
    is_refused(
        "no TLS",
        64,
        &site.listener("plaintext"),
        &site.config(&[]),
        &words,
    );
}

#[test]
fn a_user_with_the_rights_of_the_book_does_all_that_a_pipeline_does() {
    let site = site();
    let config = site.config(&[]);
    let location = site
        .location()
        .replacen("pypz:", &format!("{}:", site.text(&["worker"])), 1);
    works_as(&site.text(&["workersPrefix"]), &location, &config);
}
