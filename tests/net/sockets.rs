//! Other ways than TCP by name: a Unix socket, a socket that is there already, a chosen address of ours.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};

use tokio_tungstenite::tungstenite;
use voxwire::net::{Connection, Failure, Notice, Options, Target, Via};

use crate::support::{Inbox, connect_with, listen, listener_options, roomy, target, url_of};

/// tungstenite as an echo server on this stream, until it ends.
fn echo(stream: impl std::io::Read + std::io::Write) {
    let mut socket = tungstenite::accept(stream).unwrap_or_else(|error| panic!("no handshake: {error}"));
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            socket.send(message).expect("sent");
        }
    }
}

/// Sends messages, more than the socket holds at once, and closes.
fn talk(inbox: &Inbox, connection: &Arc<Connection>) {
    inbox.open();
    let messages: Vec<Vec<u8>> =
        [0, 1, 70_000, 3_000_000].map(|size| (0..size).map(|n| (n * 7) as u8).collect()).into();
    for data in &messages {
        connection.send_binary(data).expect("sent");
    }
    for data in &messages {
        assert!(matches!(inbox.next(), Notice::Binary(back) if back == *data), "{} bytes", data.len());
    }
    connection.close(Some(1000), "");
    let closed = inbox.closed();
    assert_eq!((closed.code, closed.was_clean), (1000, true));
}

struct Listening {
    path: PathBuf,
    server: JoinHandle<()>,
}

fn unix_echo(name: &str) -> Listening {
    let path = std::env::temp_dir().join(format!("voxwire-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a socket");
    Listening { path, server: spawn(move || echo(listener.accept().expect("a client").0)) }
}

#[test]
fn a_unix_socket_carries_messages() {
    let Listening { path, server } = unix_echo("echo");
    let inbox = Inbox::new();
    let via = Via { unix: Some(path.clone()), ..Via::default() };
    let connection = connect_with(&inbox, Target { via, ..target("ws://somewhere.invalid/") }, roomy());
    talk(&inbox, &connection);
    assert_eq!(connection.addresses(), None);
    server.join().expect("no panic");
    let _ = std::fs::remove_file(path);
}

#[test]
fn a_unix_socket_that_is_not_there() {
    let inbox = Inbox::new();
    let via = Via { unix: Some("/no/such/socket".into()), ..Via::default() };
    connect_with(&inbox, Target { via, ..target("ws://h/") }, Options::default());
    let error = inbox.error();
    assert!(matches!(&error, Failure::Connect { errno: Some(2), .. }), "{error}");
    assert!(error.to_string().contains("unix_path /no/such/socket: No such file"), "{error}");
}

#[test]
fn a_connected_socket_is_used_as_it_is() {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let server = spawn(move || echo(theirs));
    let inbox = Inbox::new();
    let socket = Some(OwnedFd::from(ours));
    let connection = connect_with(&inbox, Target { socket, ..target("ws://somewhere.invalid/") }, roomy());
    talk(&inbox, &connection);
    server.join().expect("no panic");

    let at_server = Inbox::new();
    let listener = listen(&at_server, listener_options());
    let stream = std::net::TcpStream::connect(listener.addresses()[0]).expect("connected");
    let addresses = (stream.local_addr().expect("an address"), listener.addresses()[0]);
    let inbox = Inbox::new();
    let socket = Some(OwnedFd::from(stream));
    let connection = connect_with(&inbox, Target { socket, ..target("ws://somewhere.invalid/") }, Options::default());
    at_server.incoming().start();
    inbox.open();
    assert_eq!(connection.addresses(), Some(addresses));
    connection.abort();
}

// Only there is all of 127.0.0.0/8 this machine.
#[cfg(target_os = "linux")]
#[test]
fn an_address_of_ours_is_kept_to() {
    let at_server = Inbox::new();
    let listener = listen(&at_server, listener_options());
    let free = std::net::TcpListener::bind("127.0.0.3:0").expect("a port").local_addr().expect("an address");
    for local in [std::net::SocketAddr::from(([127, 0, 0, 2], 0)), free] {
        let inbox = Inbox::new();
        let via = Via { local: Some(local), ..Via::default() };
        let target = Target { via, ..target(&url_of(&listener)) };
        let connection = connect_with(&inbox, target, Options::default());
        at_server.incoming().start();
        inbox.open();
        let (ours, _) = connection.addresses().expect("addresses");
        assert_eq!(ours.ip(), local.ip());
        assert!(local.port() == 0 || ours == local, "{ours}");
        connection.close(Some(1000), "");
        assert!(inbox.closed().was_clean);
        at_server.open();
        assert!(at_server.closed().was_clean);
    }
    for (local, part) in [("192.0.2.77:0", "local_address 192.0.2.77:0: "), ("[::1]:0", "another family")] {
        let inbox = Inbox::new();
        let via = Via { local: local.parse().ok(), ..Via::default() };
        connect_with(&inbox, Target { via, ..target(&url_of(&listener)) }, Options::default());
        let error = inbox.error().to_string();
        assert!(error.contains(part), "{error}");
    }
}
