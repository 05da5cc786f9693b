//! TLS settings: which authorities are trusted, which certificate is shown. Built once, shared by connections.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What is wrong with TLS settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM of the kind that was expected.
    #[error("{field}: {path:?} {problem}")]
    File {
        /// The setting.
        field: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `key_file` without `cert_file` or the other way round.
    #[error("{given} is given without {missing}: a client certificate needs both")]
    Half {
        /// The setting that is there.
        given: &'static str,
        /// The setting that is not.
        missing: &'static str,
    },
    /// The system has no trust store that can be read.
    #[error("no certificate authority found in the system's trust store ({0}); name one with ca_file")]
    NoRoots(String),
    /// Certificate and key do not fit, or the like.
    #[error("{field}: {source}")]
    Rustls {
        /// The setting.
        field: &'static str,
        /// What rustls said.
        source: rustls::Error,
    },
}

/// A client's settings: trusts `ca_file`, or the system's authorities without one.
pub fn client_config(
    ca: Option<&Path>,
    cert: Option<&Path>,
    key: Option<&Path>,
) -> Result<Arc<ClientConfig>, TlsError> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let plain = ca.is_none() && cert.is_none() && key.is_none();
    if let Some(config) = SYSTEM.get().filter(|_| plain) {
        return Ok(Arc::clone(config));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Rustls { field: "tls", source })?
        .with_root_certificates(match ca {
            Some(path) => roots_of("ca_file", path)?,
            None => system_roots()?,
        });
    let mut config = match (cert, key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates("cert_file", cert)?, private_key(key)?)
            .map_err(|source| TlsError::Rustls { field: "cert_file", source })?,
        (Some(_), None) => return Err(TlsError::Half { given: "cert_file", missing: "key_file" }),
        (None, Some(_)) => return Err(TlsError::Half { given: "key_file", missing: "cert_file" }),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    if plain {
        return Ok(Arc::clone(SYSTEM.get_or_init(|| config)));
    }
    Ok(config)
}

/// A server's settings; with `client_ca`, clients must show a certificate of that authority.
pub fn server_config(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Rustls { field: "tls", source })?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots_of("client_ca_file", path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| bad_file("client_ca_file", path, &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates("cert_file", cert)?, private_key(key)?)
        .map_err(|source| TlsError::Rustls { field: "cert_file", source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(TlsError::NoRoots(errors));
    }
    Ok(roots)
}

fn roots_of(field: &'static str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(field, path)? {
        roots.add(certificate).map_err(|source| TlsError::Rustls { field, source })?;
    }
    Ok(roots)
}

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| bad_file(field, path, &e))?;
    if found.is_empty() {
        return Err(bad_file(field, path, &"holds no PEM certificate"));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| bad_file("key_file", path, &e))
}

fn bad_file(field: &'static str, path: &Path, problem: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { field, path: path.display().to_string(), problem: problem.to_string() }
}

/// The words a user needs out of an error of a TLS handshake.
pub(super) fn reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => inner.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the peer closed the connection during the handshake".into()
        }
        None => error.to_string(),
    }
}
