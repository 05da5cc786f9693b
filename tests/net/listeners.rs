//! What a listener asks the application, where it listens, which certificate it shows.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use voxwire::net::{
    ClientAuth, Endpoint, ListenError, Listener, ListenerOptions, Notice, Options, Question, Verdict, core,
    server_config,
};
use voxwire::proto::handshake::{HandshakeLimits, Origins, RequestError, Response};

use crate::support::{Inbox, PATIENCE, connect_with, listen, listener_options, target, url_of};
use crate::tls::{Files, trusting};

const UPGRADE: &str = "GET /a?b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: x, y\r\n";
const PLAIN: &str = "GET /health HTTP/1.1\r\nHost: h\r\n";

fn send(listener: &Listener, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(listener.addresses()[0]).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    write!(stream, "{head}\r\n").expect("sent");
    stream
}

/// All that comes back, until the server hangs up.
fn answer(mut stream: impl Read) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8(answer).expect("text")
}

/// The head that comes back.
fn head(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a byte");
        bytes.extend(byte);
    }
    String::from_utf8(bytes).expect("text")
}

fn asking(inbox: &Inbox, connection: Options) -> Arc<Listener> {
    listen(inbox, ListenerOptions { ask: true, connection: connection.into(), ..listener_options() })
}

fn question(inbox: &Inbox) -> Arc<Question> {
    match inbox.next() {
        Notice::Asked(question) => question,
        other => panic!("no question: {other:?}"),
    }
}

fn withdrawn(inbox: &Inbox) -> (u64, bool) {
    match inbox.next() {
        Notice::Withdrawn { question, late } => (question, late),
        other => panic!("not withdrawn: {other:?}"),
    }
}

fn ok() -> Verdict {
    Verdict::Respond(Response { status: 200, headers: Vec::new(), body: b"fine".to_vec() })
}

fn empty(listener: &Listener) {
    let until = Instant::now() + PATIENCE;
    while listener.connections() > 0 {
        assert!(Instant::now() < until, "a place is still taken");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_question_tells_the_request_and_takes_one_answer() {
    let inbox = Inbox::new();
    let listener = asking(&inbox, Options::default());
    let stream = send(&listener, UPGRADE);
    let asked = question(&inbox);
    assert_eq!((asked.method.as_str(), asked.path.as_str(), asked.host.as_str()), ("GET", "/a?b", "h"));
    assert!(asked.upgrade);
    assert_eq!(asked.protocols, ["x", "y"]);
    assert_eq!(asked.peer, Some(stream.local_addr().expect("an address")));
    // What cannot be sent is told to whoever asks for it, and there is another try.
    let bad = Verdict::GoOn { protocol: Some(Some("z".to_owned())), headers: Vec::new() };
    assert!(matches!(asked.answer(bad), Err(RequestError::ProtocolNotOffered { .. })));
    let inject = vec![("X".to_owned(), "a\r\nb".to_owned())];
    let bad = Verdict::GoOn { protocol: None, headers: inject.clone() };
    assert!(matches!(asked.answer(bad), Err(RequestError::HeaderValue { .. })));
    let bad = Verdict::Respond(Response { status: 200, headers: inject, body: Vec::new() });
    assert!(matches!(asked.answer(bad), Err(RequestError::HeaderValue { .. })));
    let headers = vec![("Set-Cookie".to_owned(), "a=b".to_owned())];
    asked.answer(Verdict::GoOn { protocol: Some(Some("y".to_owned())), headers }).expect("a good answer");
    asked.answer(ok()).expect("too late, and no harm");
    let response = head(&stream);
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    assert!(response.contains("Sec-WebSocket-Protocol: y\r\n") && response.contains("Set-Cookie: a=b\r\n"));
    inbox.incoming().start();
    assert_eq!(inbox.open(), "y");
    listener.close(Duration::ZERO);
}

#[test]
fn plain_http_is_asked_about_too() {
    let inbox = Inbox::new();
    let listener = asking(&inbox, Options::default());
    for (verdict, status) in [(ok(), "200 OK"), (Verdict::default(), "426 Upgrade Required")] {
        let stream = send(&listener, PLAIN);
        let asked = question(&inbox);
        assert!(!asked.upgrade);
        asked.answer(verdict).expect("a good answer");
        assert!(answer(stream).starts_with(&format!("HTTP/1.1 {status}\r\n")));
    }
    empty(&listener);
    listener.close(Duration::ZERO);
}

#[test]
fn a_question_that_is_let_go_is_answered_with_500() {
    let inbox = Inbox::new();
    let listener = asking(&inbox, Options::default());
    let stream = send(&listener, UPGRADE);
    drop(question(&inbox));
    assert!(answer(stream).starts_with("HTTP/1.1 500 "));
    listener.close(Duration::ZERO);
}

#[test]
fn whoever_decides_hears_when_nobody_waits() {
    let inbox = Inbox::new();
    let patient = Options { handshake_timeout: None, ..Options::default() };
    let listener = asking(&inbox, patient);
    let stream = send(&listener, UPGRADE);
    let asked = question(&inbox);
    stream.shutdown(Shutdown::Both).expect("an end");
    assert_eq!(withdrawn(&inbox), (asked.id, false));
    asked.answer(ok()).expect("no harm");
    empty(&listener);

    let stream = send(&listener, UPGRADE);
    let asked = question(&inbox);
    listener.close(PATIENCE);
    assert_eq!(withdrawn(&inbox), (asked.id, false));
    assert!(matches!(inbox.next(), Notice::Stopped));
    assert_eq!(answer(stream), "");

    let hasty = Options { handshake_timeout: Some(Duration::from_millis(100)), ..Options::default() };
    let listener = asking(&inbox, hasty);
    let stream = send(&listener, UPGRADE);
    let asked = question(&inbox);
    assert!(answer(stream).starts_with("HTTP/1.1 503 "));
    assert_eq!(withdrawn(&inbox), (asked.id, true));
    listener.close(Duration::ZERO);
}

#[test]
fn origins_and_limits_are_checked_without_asking() {
    let inbox = Inbox::new();
    let origins = Some(Origins { allowed: vec!["https://a.example".to_owned()], absent: false });
    let limits = HandshakeLimits { max_headers: 7, ..HandshakeLimits::default() };
    let listener = listen(&inbox, ListenerOptions { ask: true, origins, limits, ..listener_options() });
    let stream = send(&listener, &format!("{UPGRADE}Origin: https://evil.example\r\n"));
    assert!(answer(stream).starts_with("HTTP/1.1 403 "));
    match inbox.next() {
        Notice::Refused { status: 403, reason, peer: Some(_) } => assert!(reason.contains("evil"), "{reason}"),
        other => panic!("not refused: {other:?}"),
    }
    assert!(answer(send(&listener, &format!("{UPGRADE}A: 1\r\nB: 1\r\n"))).starts_with("HTTP/1.1 431 "));
    let stream = send(&listener, &format!("{UPGRADE}Origin: https://a.example\r\n"));
    question(&inbox).answer(Verdict::default()).expect("a good answer");
    assert!(head(&stream).starts_with("HTTP/1.1 101 "));
    listener.close(Duration::ZERO);
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("voxwire-listen-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_file_of_a_unix_socket_comes_and_goes() {
    let folder = Folder::new("unix");
    let path = folder.0.join("socket");
    let inbox = Inbox::new();
    let bind = || {
        let endpoint = Endpoint::Unix { path: path.clone(), mode: None };
        Listener::bind(core().expect("a core"), inbox.mailbox(), endpoint, listener_options())
    };
    let listener = bind().expect("a socket");
    assert!(listener.addresses().is_empty());
    assert!(matches!(bind(), Err(ListenError::Taken { .. })));
    let mut stream = UnixStream::connect(&path).expect("a connection");
    write!(stream, "{PLAIN}\r\n").expect("sent");
    assert!(answer(stream).starts_with("HTTP/1.1 426 "));
    listener.close(Duration::ZERO);
    assert!(!path.exists());

    // What a dead server left is replaced, what is no socket is not.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    let listener = bind().expect("a socket");
    UnixStream::connect(&path).expect("a connection");
    listener.close(Duration::ZERO);
    std::fs::write(&path, "data").expect("written");
    assert!(matches!(bind(), Err(ListenError::NoSocket { .. })));
    assert_eq!(std::fs::read(&path).expect("still there"), b"data");
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let (old, new) = (Files::new("localhost"), Files::new("localhost"));
    let config = |files: &Files| {
        server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config")
    };
    let at_server = Inbox::new();
    let listener = listen(&at_server, ListenerOptions { tls: Some(config(&old)), ..listener_options() });
    let url = url_of(&listener).replace("ws://127.0.0.1", "wss://localhost");
    let connect = |files: &Files| {
        let inbox = Inbox::new();
        let mut target = target(&url);
        target.tls = Some(trusting(files).expect("a client config"));
        let connection = connect_with(&inbox, target, Options::default());
        at_server.incoming().start();
        inbox.open();
        at_server.open();
        (connection, inbox)
    };
    let (first, _) = connect(&old);
    listener.set_tls(config(&new));
    let (second, _) = connect(&new);
    for connection in [&first, &second] {
        connection.send_text("still there").expect("sent");
        assert_eq!(at_server.text(), "still there");
    }
    first.abort();
    second.abort();
    listener.close(Duration::ZERO);
}
