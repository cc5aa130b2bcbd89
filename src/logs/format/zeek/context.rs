//! What logs of one Zeek tell each other.

use crate::skim::Key;
use foldhash::fast::FixedState;
use kaspector::matching::SignatureSet;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Certificates that are kept. They all may match, so there are few.
const CERTIFICATES_MAX: usize = 1 << 14;
/// QUIC connections that are remembered; then those told earlier are forgotten, half of them at once.
const QUIC_MAX: usize = 1 << 16;

/// A certificate of x509.
#[derive(Debug)]
pub struct Certificate {
    /// As Suricata spells names: `O=Example Ltd, CN=www.example`.
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
}

/// What lines of one log say about those of another.
#[derive(Debug, Default)]
pub struct Context {
    signatures: Option<Arc<SignatureSet>>,
    /// By fingerprint, or by the identifier that older Zeeks refer to.
    certificates: HashMap<String, Arc<Certificate>, FixedState>,
    quic: HashSet<u64, FixedState>,
    quic_earlier: HashSet<u64, FixedState>,
    /// Those of certificates that were kept lately.
    keys: Vec<Key>,
}

impl Context {
    pub fn new(signatures: &Arc<SignatureSet>) -> Self {
        Self { signatures: Some(Arc::clone(signatures)), ..Self::default() }
    }

    /// Keeps a certificate that may match.
    pub fn add_certificate(&mut self, id: String, certificate: Certificate) {
        let Some(signatures) = &self.signatures else { return };
        let names = [&certificate.subject, &certificate.issuer];
        let common = crate::tls::common_names(&certificate.subject);
        let named = common.chain(certificate.names.iter().map(String::as_str)).any(|name| {
            let name = name.to_ascii_lowercase();
            signatures.match_name(name.strip_prefix("*.").unwrap_or(&name)).is_some()
        });
        let matters = named || names.into_iter().any(|name| signatures.may_match_certificate_text(name));
        if matters && self.certificates.len() < CERTIFICATES_MAX {
            self.keys.push(Key::certificate(&id));
            self.certificates.insert(id, Arc::new(certificate));
        }
    }

    /// The key of a certificate that was kept, to be watched.
    pub fn take_key(&mut self) -> Option<Key> {
        self.keys.pop()
    }

    pub fn certificate(&self, id: &str) -> Option<Arc<Certificate>> {
        self.certificates.get(id).cloned()
    }

    /// Remembers that a connection is QUIC's, so that what ssl says of it is said already.
    pub fn add_quic(&mut self, flow: u64) {
        if self.quic.len() >= QUIC_MAX / 2 {
            self.quic_earlier = std::mem::take(&mut self.quic);
        }
        self.quic.insert(flow);
    }

    pub fn is_quic(&self, flow: u64) -> bool {
        self.quic.contains(&flow) || self.quic_earlier.contains(&flow)
    }
}
