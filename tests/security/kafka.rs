//! Apache Kafka with TLS, SCRAM, client certificates and an authorizer.

use crate::{Config, Site, is_overdue, is_refused, works, works_as};

const WHERE: &str = "kafka://127.0.0.1:";

fn site() -> Site {
    Site::new("secure-kafka")
}

/// TLS with a certificate in place of a password.
fn mutual(site: &Site, certificate: &str, key: &str) -> Config {
    let [certificate, key] = [certificate, key].map(|name| match name {
        "" => String::new(),
        name => site.certificate(name),
    });
    site.config(&[
        ("security.protocol", "SSL"),
        ("sasl.mechanism", ""),
        ("sasl.username", ""),
        ("sasl.password", ""),
        ("ssl.certificate.location", &certificate),
        ("ssl.key.location", &key),
    ])
}

#[test]
fn records_travel_over_tls_with_a_password_or_with_a_certificate() {
    let site = site();
    works(&site.location(), &site.config(&[]));
    let certificate = mutual(&site, "clientCertificate", "clientKey");
    works(&site.listener("clientCertificate"), &certificate);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_soon() {
    let site = site();
    let words = [WHERE, "Authentication failed"];
    for (case, changed) in [
        ("wrong password", ("sasl.password", "sesame")),
        ("unknown user", ("sasl.username", "nobody")),
    ] {
        is_refused(case, 125, &site.location(), &site.config(&[changed]), &words);
    }
    let mechanism = site.config(&[("sasl.mechanism", "PLAIN")]);
    let words = [WHERE, "Unsupported SASL mechanism"];
    is_refused("mechanism", 125, &site.location(), &mechanism, &words);
}

#[test]
fn a_certificate_that_proves_nothing_is_refused_soon() {
    let site = site();
    let foreign = site.certificate("foreignCa");
    for (case, location, changed) in [
        ("expired", site.listener("expired"), vec![]),
        ("other host", site.listener("wrongHost"), vec![]),
        (
            "foreign authority",
            site.location(),
            vec![("ssl.ca.location", foreign.as_str())],
        ),
        (
            "the system's authorities",
            site.location(),
            vec![("ssl.ca.location", "")],
        ),
    ] {
        let words = [
            WHERE,
            "certificate verify failed",
            "expired, made for another host, or signed by an authority that is not trusted",
        ];
        is_refused(case, 125, &location, &site.config(&changed), &words);
    }
}

#[test]
fn a_client_without_a_certificate_that_is_trusted_is_refused_soon() {
    let site = site();
    for (case, certificate, key) in [
        ("no certificate", "", ""),
        (
            "foreign certificate",
            "foreignClientCertificate",
            "foreignClientKey",
        ),
    ] {
        let words = [WHERE, "alert", "wants a client certificate"];
        let config = mutual(&site, certificate, key);
        is_refused(case, 125, &site.listener("clientCertificate"), &config, &words);
    }
}

#[test]
fn a_user_without_rights_is_refused_soon_and_by_topic() {
    let site = site();
    let stranger = site.text(&["userWithoutRights"]);
    let config = site.config(&[("sasl.username", &stranger)]);
    let words = [WHERE, "topic secure-", "reader.input", "authorization failed"];
    is_refused("no rights", 125, &site.location(), &config, &words);
}

#[test]
fn a_client_that_speaks_another_protocol_never_falls_back_and_says_what_it_met() {
    let site = site();
    let words = ["hung up", "security.protocol"];
    let plain = Config::new();
    is_overdue("plaintext at TLS", &site.location(), &plain, &words);
    let listener = site.listener("plaintext");
    is_overdue("TLS at plaintext", &listener, &site.config(&[]), &words);
}

#[test]
fn properties_that_secure_nothing_are_refused_at_start() {
    let site = site();
    let (key, nothing) = (site.certificate("clientKey"), "/no/such/file.pem");
    for (case, changed, word) in [
        ("no file", vec![("ssl.ca.location", nothing)], "No such file"),
        (
            "no certificate",
            vec![("ssl.ca.location", key.as_str())],
            "holds no certificate",
        ),
        ("no protocol", vec![("security.protocol", "")], "has no effect"),
        (
            "no TLS",
            vec![("security.protocol", "SASL_PLAINTEXT")],
            "'ssl.ca.location' has no effect",
        ),
    ] {
        let words = ["channelConfig", word];
        is_refused(case, 64, &site.location(), &site.config(&changed), &words);
    }
}

#[test]
fn a_user_with_the_rights_of_the_book_does_all_that_a_pipeline_does() {
    let site = site();
    let config = site.config(&[("sasl.username", &site.text(&["worker"]))]);
    let location = site.location();
    works_as(&site.text(&["workersPrefix"]), &location, &config);
}
