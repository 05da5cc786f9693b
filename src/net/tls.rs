//! TLS settings: which authorities are trusted, which certificate is shown. Built once, shared by connections. And the
//! client's TLS handshake, whoever the peer is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, InvalidMessage, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use tokio_rustls::TlsConnector;

use crate::proto::Host;

use super::socket::Socket;
use super::verifier::{Rule, Verifier};

/// A client's TLS over a socket.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<Socket>;

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

/// Whom a client trusts to vouch for a server.
#[derive(Debug, Clone, Default)]
pub enum Authorities {
    /// The system's trust store.
    #[default]
    System,
    /// Those of a PEM file.
    File(PathBuf),
    /// These certificates (DER).
    Certificates(Vec<Vec<u8>>),
}

/// What makes a server's certificate good.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// A chain to a trusted authority, and the right name.
    #[default]
    Full,
    /// A chain to a trusted authority, whatever the name.
    AnyName,
    /// Exactly the certificate with this SHA-256 fingerprint, whoever issued it and whatever its name.
    Pinned(Vec<u8>),
    /// Anything: the connection is encrypted, but nobody knows with whom.
    Anybody,
}

/// The versions of TLS a client agrees to.
#[derive(Debug, Clone, Copy, Default)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 alone.
    Only12,
    /// 1.3 alone.
    Only13,
}

/// How a client checks servers and shows who it is.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// Whom to trust.
    pub authorities: Authorities,
    /// What to check.
    pub trust: Trust,
    /// Which versions to offer.
    pub versions: Versions,
    /// PEM file of the client's certificate chain; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its private key; needs `cert_file`.
    pub key_file: Option<PathBuf>,
}

/// The settings most connections share: full trust in the system's authorities. Read once.
pub fn default_client_config() -> Result<Arc<ClientConfig>, TlsError> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let config = client_config(&ClientTls::default())?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}

/// A client's settings.
pub fn client_config(settings: &ClientTls) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[&SupportedProtocolVersion] = match settings.versions {
        Versions::Both => &[&TLS13, &TLS12],
        Versions::Only12 => &[&TLS12],
        Versions::Only13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|source| TlsError::Rustls { field: "tls", source })?;
    let rule = match &settings.trust {
        Trust::Full => None,
        Trust::AnyName => {
            let roots = Arc::new(roots(&settings.authorities)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(Rule::AnyName(chain.map_err(|e| TlsError::NoRoots(e.to_string()))?))
        }
        Trust::Pinned(digest) => Some(Rule::Pinned { digest: digest.clone(), hash: sha256(&provider)? }),
        Trust::Anybody => Some(Rule::Anybody),
    };
    let builder = match rule {
        None => builder.with_root_certificates(roots(&settings.authorities)?),
        Some(rule) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { rule, provider })),
    };
    let mut config = match (&settings.cert_file, &settings.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates("cert_file", cert)?, private_key(key)?)
            .map_err(|source| TlsError::Rustls { field: "cert_file", source })?,
        (Some(_), None) => return Err(TlsError::Half { given: "cert_file", missing: "key_file" }),
        (None, Some(_)) => return Err(TlsError::Half { given: "key_file", missing: "cert_file" }),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, TlsError> {
    match authorities {
        Authorities::System => system_roots(),
        Authorities::File(path) => roots_of("ca_file", path),
        Authorities::Certificates(certificates) => {
            let mut roots = RootCertStore::empty();
            for der in certificates {
                let added = roots.add(CertificateDer::from(der.clone()));
                added.map_err(|source| TlsError::Rustls { field: "ca", source })?;
            }
            Ok(roots)
        }
    }
}

fn sha256(provider: &CryptoProvider) -> Result<&'static dyn Hash, TlsError> {
    let of_suite = |suite: &SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls13(suite) => Some(suite.common.hash_provider),
        SupportedCipherSuite::Tls12(_) => None,
    };
    let mut hashes = provider.cipher_suites.iter().filter_map(of_suite);
    let missing = || rustls::Error::General("this build of rustls has no SHA-256".to_owned());
    hashes
        .find(|hash| hash.algorithm() == HashAlgorithm::SHA256)
        .ok_or_else(|| TlsError::Rustls { field: "fingerprint", source: missing() })
}

/// Whether a server asks clients for a certificate.
#[derive(Debug, Clone, Copy, Default)]
pub enum ClientAuth<'a> {
    /// It does not.
    #[default]
    Off,
    /// They may show one of the authorities in this file, and no other.
    Optional(&'a Path),
    /// They must.
    Required(&'a Path),
}

/// A server's settings.
pub fn server_config(cert: &Path, key: &Path, clients: ClientAuth<'_>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Rustls { field: "tls", source })?;
    let builder = match clients {
        ClientAuth::Off => builder.with_no_client_auth(),
        ClientAuth::Optional(path) | ClientAuth::Required(path) => {
            let roots = Arc::new(roots_of("client_ca_file", path)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            if matches!(clients, ClientAuth::Optional(_)) {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier.build().map_err(|e| bad_file("client_ca_file", path, &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates("cert_file", cert)?, private_key(key)?)
        .map_err(|source| TlsError::Rustls { field: "cert_file", source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client's settings with the system's authorities. Reading them takes a while, the first time.
pub(super) async fn system_trust() -> Result<Arc<ClientConfig>, String> {
    let made = tokio::task::spawn_blocking(default_client_config).await;
    made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// The client's TLS handshake; the certificate must be for `name`, or else for the host. The error says what was wrong.
pub(super) async fn handshake(
    socket: Socket,
    config: &Arc<ClientConfig>,
    name: Option<&ServerName<'static>>,
    host: &Host,
) -> io::Result<Box<TlsStream>> {
    let name = match (name, host) {
        (Some(name), _) => name.clone(),
        (None, Host::Ip(ip)) => ServerName::from(*ip),
        (None, Host::Name(name)) => {
            let wrong = |_| io::Error::other(rustls::Error::General(format!("{name:?} is not a DNS name")));
            ServerName::try_from(name.clone()).map_err(wrong)?
        }
    };
    TlsConnector::from(Arc::clone(config)).connect(name, socket).await.map(Box::new)
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

/// Whether TLS itself refused, and not the connection below it.
pub(super) fn is_ours(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>())
}

/// The words a user needs out of an error of a TLS handshake.
pub(super) fn reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => certificate_problem(problem),
        Some(inner @ rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            format!("the peer's answer is no TLS ({inner})")
        }
        Some(inner) => inner.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the peer closed the connection during the handshake".into()
        }
        None => error.to_string(),
    }
}

/// What is wrong with a server's certificate, and what helps where the term alone does not say it.
fn certificate_problem(problem: &CertificateError) -> String {
    let (term, help) = match problem {
        CertificateError::UnknownIssuer => (
            "UnknownIssuer".into(),
            " (no authority that is trusted here issued it, or the server does not send its chain)",
        ),
        // webpki's own term for what `openssl req -x509` makes.
        CertificateError::Other(other) => match other.0.to_string() {
            term if term == "CaUsedAsEndEntity" => {
                (term, " (it is an authority's own, as self-signed ones often are; trust it by its fingerprint)")
            }
            term => (term, ""),
        },
        _ => (problem.to_string(), ""),
    };
    format!("invalid peer certificate: {term}{help}")
}
