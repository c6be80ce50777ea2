//! Certificates for the secure brokers: a certificate authority of our own, and what a client must refuse.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use super::write;

/// The common name of the client's certificate, which is its principal on Kafka.
pub(super) const CLIENT: &str = "pypz-client";

/// The certificates of the secure brokers, as PEM files in one directory.
///
/// A server's and a client's file holds the private key first and then the certificate, which is what Kafka takes.
#[derive(Debug)]
pub(super) struct Certificates(PathBuf);

impl Certificates {
    /// Returns the certificates for the brokers under `all`; makes them if they are not there.
    pub(super) fn made(all: &Path) -> Result<Self> {
        let certificates = Self::at(all);
        if certificates.authority().exists() {
            return Ok(certificates);
        }
        let next = all.join(format!("certificates-{}", std::process::id()));
        make(&next)?;
        // Whoever was faster has made as good ones.
        if fs::rename(&next, &certificates.0).is_err() {
            fs::remove_dir_all(&next).with_context(|| format!("cannot remove {}", next.display()))?;
        }
        Ok(certificates)
    }

    /// Returns where the certificates are, made or not.
    pub(super) fn at(all: &Path) -> Self {
        Self(all.join("certificates"))
    }

    /// The authority that a client trusts.
    pub(super) fn authority(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// A server's key and certificate: `server`, `expired` or `elsewhere`.
    pub(super) fn server(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    /// What a client may need, by name.
    pub(super) fn to_json(&self) -> Value {
        let file = |name: &str| self.0.join(name).display().to_string();
        json!({
            "ca": file("ca.pem"),
            "foreignCa": file("foreign-ca.pem"),
            "clientCertificate": file("client.pem"),
            "clientKey": file("client.key"),
            "foreignClientCertificate": file("foreign-client.pem"),
            "foreignClientKey": file("foreign-client.key"),
        })
    }
}

/// An authority, or what one has signed.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2124, 1, 1);
    params
}

fn make(directory: &Path) -> Result<()> {
    let [authority, foreign] =
        ["ca", "foreign-ca"].map(|name| self::authority(&directory.join(format!("{name}.pem")), name));
    let (authority, foreign) = (authority?, foreign?);

    let here = || -> Result<CertificateParams> {
        let mut params = params("localhost");
        let loopback = std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(loopback),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params)
    };
    signed(directory, "server", here()?, &authority)?;

    let mut expired = here()?;
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    signed(directory, "expired", expired, &authority)?;

    let mut elsewhere = here()?;
    elsewhere.subject_alt_names = vec![SanType::DnsName("elsewhere.example".try_into()?)];
    signed(directory, "elsewhere", elsewhere, &authority)?;

    for (name, issuer) in [("client", &authority), ("foreign-client", &foreign)] {
        let mut client = params(CLIENT);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        signed(directory, name, client, issuer)?;
    }
    Ok(())
}

fn authority(file: &Path, name: &str) -> Result<Issuer<'static, KeyPair>> {
    let mut params = params(&format!("pypz test {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    write(file, &params.self_signed(&key)?.pem())?;
    Ok(Issuer::new(params, key))
}

fn signed(
    directory: &Path,
    name: &str,
    mut params: CertificateParams,
    by: &Issuer<'_, KeyPair>,
) -> Result<()> {
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, by)?;
    let key = key.serialize_pem();
    write(&directory.join(format!("{name}.key")), &key)?;
    write(
        &directory.join(format!("{name}.pem")),
        &format!("{key}{}", certificate.pem()),
    )
}
