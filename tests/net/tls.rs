//! wss: our client and server with certificates made for the test, and the errors a user reads.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use voxwire::net::{
    Authorities, ClientAuth, ClientTls, Failure, ListenerOptions, Notice, Options, Trust, Versions, client_config,
    server_config,
};

use crate::support::{Inbox, connect_with, listen, listener_options, roomy, target};

pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// A certificate authority and a server certificate for `name`, as PEM files.
    pub fn new(name: &str) -> Self {
        // Tests run side by side, and several want a certificate of the same name.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("voxwire-tls-{}-{number}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("the authority of {name}"));
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec![name.to_owned()]).expect("parameters").signed_by(&key, &ca);
        let files = Self { folder };
        std::fs::write(files.path("ca.pem"), ca.pem()).expect("written");
        std::fs::write(files.path("cert.pem"), certificate.expect("signed").pem()).expect("written");
        std::fs::write(files.path("key.pem"), key.serialize_pem()).expect("written");
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn trusting(files: &Files) -> std::result::Result<std::sync::Arc<rustls::ClientConfig>, voxwire::net::TlsError> {
    client_config(&ClientTls { authorities: Authorities::File(files.path("ca.pem")), ..ClientTls::default() })
}

#[test]
fn messages_of_every_size_go_through_tls() {
    let files = Files::new("localhost");
    let at_server = Inbox::new();
    let tls = server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config");
    let options = ListenerOptions { tls: Some(tls), connection: roomy().into(), ..listener_options() };
    let listener = listen(&at_server, options);
    let at_client = Inbox::new();
    let mut target = target(&format!("wss://localhost:{}/", listener.addresses()[0].port()));
    target.tls = Some(trusting(&files).expect("a client config"));
    let client = connect_with(&at_client, target, roomy());
    let server = at_server.incoming();
    server.start();
    at_server.open();
    at_client.open();
    for size in [0, 1, 16_384, 100_000, 3_000_000] {
        let data: Vec<u8> = (0..size).map(|n| (n * 7) as u8).collect();
        client.send_binary(&data).expect("sent");
        let Notice::Binary(back) = at_server.next() else { panic!("{size} bytes") };
        assert!(back == data, "{size} bytes");
        server.send_binary(&back).expect("sent");
        assert!(matches!(at_client.next(), Notice::Binary(back) if back == data), "{size} bytes");
    }
    client.close(Some(1000), "");
    assert!(at_client.closed().was_clean);
    assert!(at_server.closed().was_clean);
}

#[test]
fn an_untrusted_or_misnamed_certificate_is_refused_with_the_reason() {
    let files = Files::new("somebody.else");
    let at_server = Inbox::new();
    let tls = server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config");
    let listener = listen(&at_server, ListenerOptions { tls: Some(tls), ..listener_options() });
    let url = format!("wss://localhost:{}/", listener.addresses()[0].port());
    let other = Files::new("other.authority");
    for (ca, reason) in [(&other, "UnknownIssuer"), (&files, "somebody.else")] {
        let inbox = Inbox::new();
        let mut target = target(&url);
        target.tls = Some(trusting(ca).expect("a client config"));
        connect_with(&inbox, target, Options::default());
        let error = inbox.error();
        assert!(matches!(&error, Failure::Tls { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_missing_file_names_the_setting() {
    let file = |path: &str| Some(path.into());
    let ca = ClientTls { authorities: Authorities::File("/no/such/file".into()), ..ClientTls::default() };
    let error = client_config(&ca).map(drop).unwrap_err();
    assert!(error.to_string().starts_with("ca_file: \"/no/such/file\""), "{error}");
    let half = ClientTls { cert_file: file("/no/such/file"), ..ClientTls::default() };
    let error = client_config(&half).map(drop).unwrap_err();
    assert!(error.to_string().contains("cert_file is given without key_file"), "{error}");
}

/// Connects to a server that shows the certificate of `files`, whose name is not `localhost`.
fn connects(files: &Files, settings: &ClientTls) -> Result<(), Failure> {
    let at_server = Inbox::new();
    let tls = server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config");
    let listener = listen(&at_server, ListenerOptions { tls: Some(tls), ..listener_options() });
    let inbox = Inbox::new();
    let mut target = target(&format!("wss://localhost:{}/", listener.addresses()[0].port()));
    target.tls = Some(client_config(settings).expect("a client config"));
    let client = connect_with(&inbox, target, Options::default());
    let result = match inbox.next() {
        Notice::Open { .. } => Ok(()),
        Notice::Error(failure) => Err(failure),
        other => panic!("{other:?}"),
    };
    client.abort();
    result
}

#[test]
fn trust_is_what_was_asked_for() {
    let (files, other) = (Files::new("not.this.host"), Files::new("one.more.authority"));
    let with = |trust: Trust, ca: &Files| ClientTls {
        authorities: Authorities::File(ca.path("ca.pem")),
        trust,
        ..ClientTls::default()
    };
    assert!(connects(&files, &with(Trust::Full, &files)).is_err(), "the name is wrong");
    connects(&files, &with(Trust::AnyName, &files)).expect("the chain is right");
    assert!(connects(&files, &with(Trust::AnyName, &other)).is_err(), "the chain is wrong");
    connects(&files, &with(Trust::Anybody, &other)).expect("nothing is checked");

    let der = CertificateDer::from_pem_file(files.path("cert.pem")).expect("a certificate");
    let digest = ring::digest::digest(&ring::digest::SHA256, &der).as_ref().to_vec();
    connects(&files, &with(Trust::Pinned(digest.clone()), &other)).expect("it is the certificate");
    let error = connects(&other, &with(Trust::Pinned(digest), &other)).unwrap_err().to_string();
    assert!(error.contains("fingerprint is"), "{error}");
}

#[test]
fn versions_are_what_was_asked_for() {
    let files = Files::new("localhost");
    for versions in [Versions::Both, Versions::Only12, Versions::Only13] {
        let authorities = Authorities::File(files.path("ca.pem"));
        connects(&files, &ClientTls { authorities, versions, ..ClientTls::default() }).expect("a version in common");
    }
}
