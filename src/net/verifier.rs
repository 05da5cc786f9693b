//! Server certificates that are checked in another way than by chain and name, because the user asked for it.
//! Signatures are always checked: whoever shows a certificate must have its key.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, hash::Hash, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::hex::hex;

/// What makes a server's certificate good.
pub(super) enum Rule {
    /// A chain to a trusted authority, whatever the name.
    AnyName(Arc<WebPkiServerVerifier>),
    /// Exactly this certificate (digest of its DER form), whoever issued it and whatever its name.
    Pinned { digest: Vec<u8>, hash: &'static dyn Hash },
    /// Anything: the connection is encrypted, but nobody knows with whom.
    Anybody,
}

/// Checks certificates by a [`Rule`].
pub(super) struct Verifier {
    pub(super) rule: Rule,
    pub(super) provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.rule {
            Rule::Anybody => Ok(ServerCertVerified::assertion()),
            Rule::Pinned { digest, hash } => {
                let found = hash.hash(end_entity);
                if found.as_ref() == digest {
                    return Ok(ServerCertVerified::assertion());
                }
                let (found, expected) = (hex(found.as_ref()), hex(digest));
                Err(Error::General(format!("the certificate's fingerprint is {found}; expected {expected}")))
            }
            // rustls checks the chain first and the name last, so a wrong name means that all else is right.
            Rule::AnyName(chain) => {
                match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                    )) => Ok(ServerCertVerified::assertion()),
                    result => result,
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
