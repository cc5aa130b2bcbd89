//! TLS to collectors: the system's authorities, or those of a file, and a certificate of our own.

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that say whom to trust and who we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    /// Authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Files of our certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// What they say now. The error names the file.
    pub fn read(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = rustls::RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err("no certificate authorities found; give some with ca=FILE".to_owned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let private =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
                builder
                    .with_client_auth_cert(certificates(chain)?, private)
                    .map_err(|error| format!("{}: {error}", chain.display()))?
            }
        };
        Ok(Arc::new(config))
    }
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed =
        |error: rustls::pki_types::pem::Error| format!("{}: {error}; expected PEM certificates", path.display());
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}
