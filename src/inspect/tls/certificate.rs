//! The server's certificate, which travels in the clear up to TLS 1.2 (RFC 5246 section 7.4.2).

use crate::inspect::Reader;
use std::collections::HashSet;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The server's own certificate: the first of its Certificate message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Subject: `C=RU, O=AO Kaspersky Lab, CN=...`, in the order of the certificate.
    pub subject: String,
    /// Issuer, the same.
    pub issuer: String,
    /// Serial number in hexadecimal: `0A:1B`.
    pub serial: String,
    /// Common name of the subject and DNS names of the subjectAltName extension, lower case; wildcards as `*.example`.
    pub names: Vec<String>,
}

impl Certificate {
    /// Reads the body of a Certificate message; `None` when its first certificate is incomplete or no X.509.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        reader.u24()?;
        let length = usize::try_from(reader.u24()?).ok()?;
        let (_, certificate) = X509Certificate::from_der(reader.take(length)?).ok()?;
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let alternative = alternative.iter().flat_map(|extension| &extension.value.general_names);
        let mut names = Vec::new();
        // A certificate may hold thousands of names, so they are not compared one by one.
        let mut seen = HashSet::new();
        for name in common.chain(alternative.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })) {
            let name = name.to_ascii_lowercase();
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: certificate.raw_serial_as_string().to_ascii_uppercase(),
            names,
        })
    }
}
