//! Through proxies that forward, over TLS and inside TLS, and what is read when one does not.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use voxwire::net::{
    ClientAuth, Environment, Failure, ListenerOptions, Notice, Options, Proxies, Proxy, ProxyError, Target, Via,
    server_config,
};

use crate::support::{Inbox, PATIENCE, connect_with, listen, listener_options, roomy, target};
use crate::tls::{Files, trusting};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What a proxy was asked for, and that a connection through it has ended.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Asked(String),
    Ended,
}

/// A proxy that forwards, in a thread of its own; one that speaks HTTP and SOCKS 4a and 5.
fn proxy(tls: Option<Arc<ServerConfig>>) -> (SocketAddr, Receiver<Seen>) {
    let listener = StdListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("set");
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((socket, _)) = listener.accept().await {
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    match tls {
                        None => forward(socket, &sender).await,
                        Some(config) => {
                            if let Ok(stream) = TlsAcceptor::from(config).accept(socket).await {
                                forward(stream, &sender).await;
                            }
                        }
                    }
                });
            }
        });
    });
    (address, seen)
}

async fn forward(mut stream: impl Stream, seen: &Sender<Seen>) {
    let first = stream.read_u8().await.expect("a byte");
    let (wanted, granted) = match first {
        4 => (socks4(&mut stream).await, vec![0, 90, 0, 0, 0, 0, 0, 0]),
        5 => (socks5(&mut stream).await, vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        _ => (connect(&mut stream).await, b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec()),
    };
    let _ = seen.send(Seen::Asked(wanted.clone()));
    let mut server = TcpStream::connect(wanted).await.expect("the server");
    stream.write_all(&granted).await.expect("answered");
    let _ = copy_bidirectional(&mut stream, &mut server).await;
    let _ = seen.send(Seen::Ended);
}

async fn connect(stream: &mut impl Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte"));
    }
    let head = String::from_utf8(head).expect("ASCII");
    head.split(' ').nth(1).expect("an authority").to_owned()
}

async fn until_nul(stream: &mut impl Stream) -> String {
    let mut text = Vec::new();
    while let byte @ 1.. = stream.read_u8().await.expect("a byte") {
        text.push(byte);
    }
    String::from_utf8(text).expect("ASCII")
}

async fn socks4(stream: &mut impl Stream) -> String {
    assert_eq!(stream.read_u8().await.expect("a command"), 1);
    let port = stream.read_u16().await.expect("a port");
    let address = stream.read_u32().await.expect("an address");
    until_nul(stream).await;
    let host = if address < 256 { until_nul(stream).await } else { std::net::Ipv4Addr::from(address).to_string() };
    format!("{host}:{port}")
}

async fn socks5(stream: &mut impl Stream) -> String {
    let methods = stream.read_u8().await.expect("methods");
    for _ in 0..methods {
        stream.read_u8().await.expect("a method");
    }
    stream.write_all(&[5, 0]).await.expect("answered");
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.expect("a request");
    let host = match request {
        [5, 1, 0, 1] => std::net::Ipv4Addr::from(stream.read_u32().await.expect("an address")).to_string(),
        [5, 1, 0, 3] => {
            let mut name = vec![0; usize::from(stream.read_u8().await.expect("a length"))];
            stream.read_exact(&mut name).await.expect("a name");
            String::from_utf8(name).expect("ASCII")
        }
        other => panic!("{other:?}"),
    };
    format!("{host}:{}", stream.read_u16().await.expect("a port"))
}

fn through(url: &str, proxy: &str) -> Target {
    let proxies = Proxies::One(Proxy::parse(proxy).expect("a proxy"));
    Target { via: Via { proxies, ..Via::default() }, ..target(url) }
}

/// Messages of several sizes, there and back; then the close handshake.
fn talk(at_client: &Inbox, at_server: &Inbox, client: &Arc<voxwire::net::Connection>) {
    let server = at_server.incoming();
    server.start();
    at_server.open();
    at_client.open();
    for size in [0, 1, 20_000, 1_000_000] {
        let data: Vec<u8> = (0..size).map(|n| (n * 7) as u8).collect();
        client.send_binary(&data).expect("sent");
        assert!(matches!(at_server.next(), Notice::Binary(back) if back == data), "{size} bytes up");
        server.send_binary(&data).expect("sent");
        assert!(matches!(at_client.next(), Notice::Binary(back) if back == data), "{size} bytes down");
    }
    client.close(Some(1000), "");
    assert!(at_client.closed().was_clean);
    assert!(at_server.closed().was_clean);
}

#[test]
fn every_protocol_carries_messages() {
    let (address, seen) = proxy(None);
    let at_server = Inbox::new();
    let listener = listen(&at_server, ListenerOptions { connection: roomy().into(), ..listener_options() });
    let port = listener.addresses()[0].port();
    for (scheme, asked) in [
        ("http", "localhost"),
        ("socks5h", "localhost"),
        ("socks5", "127.0.0.1"),
        ("socks4a", "localhost"),
        ("socks4", "127.0.0.1"),
    ] {
        let at_client = Inbox::new();
        let target = through(&format!("ws://localhost:{port}/"), &format!("{scheme}://{address}"));
        let client = connect_with(&at_client, target, roomy());
        talk(&at_client, &at_server, &client);
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Asked(format!("{asked}:{port}"))), "{scheme}");
        assert_eq!(client.addresses().map(|(_, remote)| remote), Some(address));
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Ended), "{scheme}");
    }
}

#[test]
fn tls_to_the_proxy_and_inside_it_to_the_server() {
    let files = Files::new("localhost");
    let config =
        || server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config");
    let trust = || trusting(&files).expect("a client config");
    let (address, seen) = proxy(Some(config()));
    for (scheme, tls) in [("ws", None), ("wss", Some(config()))] {
        let at_server = Inbox::new();
        let listener = listen(&at_server, ListenerOptions { connection: roomy().into(), tls, ..listener_options() });
        let at_client = Inbox::new();
        let url = format!("{scheme}://localhost:{}/", listener.addresses()[0].port());
        let mut target = through(&url, &format!("https://localhost:{}", address.port()));
        target.via.proxy_tls = Some(trust());
        target.tls = Some(trust());
        let client = connect_with(&at_client, target, roomy());
        talk(&at_client, &at_server, &client);
        assert!(matches!(seen.recv_timeout(PATIENCE), Ok(Seen::Asked(_))));
        assert_eq!(client.addresses().map(|(_, remote)| remote), Some(address));
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Ended), "{scheme}");
    }
}

#[test]
fn an_end_on_either_side_goes_through_tls_in_tls() {
    let files = Files::new("localhost");
    let config =
        || server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config");
    let (address, seen) = proxy(Some(config()));
    let at_server = Inbox::new();
    let listener = listen(&at_server, ListenerOptions { tls: Some(config()), ..listener_options() });
    for ours in [true, false] {
        let at_client = Inbox::new();
        let url = format!("wss://localhost:{}/", listener.addresses()[0].port());
        let mut target = through(&url, &format!("https://localhost:{}", address.port()));
        target.via.proxy_tls = Some(trusting(&files).expect("a client config"));
        target.tls.clone_from(&target.via.proxy_tls);
        let client = connect_with(&at_client, target, Options::default());
        let server = at_server.incoming();
        server.start();
        at_server.open();
        at_client.open();
        let ender = if ours { &client } else { &server };
        ender.abort();
        for inbox in [&at_client, &at_server] {
            let closed = loop {
                match inbox.next() {
                    Notice::Close(closed) => break closed,
                    Notice::Error(_) => {}
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!((closed.code, closed.was_clean), (1006, false));
        }
        assert!(matches!(seen.recv_timeout(PATIENCE), Ok(Seen::Asked(_))));
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Ended), "the relay ends, too");
    }
}

#[test]
fn an_untrusted_proxy_is_refused() {
    let files = Files::new("localhost");
    let other = Files::new("other.authority.of.a.proxy");
    let (address, _seen) = proxy(Some(
        server_config(&files.path("cert.pem"), &files.path("key.pem"), ClientAuth::Off).expect("a server config"),
    ));
    let inbox = Inbox::new();
    let mut target = through("ws://localhost:9/", &format!("https://localhost:{}", address.port()));
    target.via.proxy_tls = Some(trusting(&other).expect("a client config"));
    connect_with(&inbox, target, Options::default());
    let error = inbox.error().to_string();
    let expected = format!(
        "cannot connect to localhost:9 through the proxy https://localhost:{}: TLS with it failed",
        address.port()
    );
    assert!(error.starts_with(&expected) && error.contains("UnknownIssuer"), "{error}");
}

/// A proxy that says this, whatever it is asked, and then hangs up or (`None`) never says a word.
fn saying(answer: Option<&'static [u8]>) -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().expect("a client");
        let mut buffer = [0; 1024];
        let _ = socket.read(&mut buffer);
        match answer {
            Some(answer) => drop(socket.write_all(answer)),
            None => while socket.read(&mut buffer).is_ok_and(|n| n > 0) {},
        }
    });
    address
}

#[test]
fn refusals_say_what_the_proxy_said() {
    for (scheme, answer, expected) in [
        ("http", &b"HTTP/1.1 407 Who?\r\nContent-Length: 2\r\n\r\nno"[..], "status 407 Who? (put user and password"),
        ("http", b"HTTP/1.1 403 No\r\n\r\nnot you", "status 403 No; its body begins with \"not you\""),
        ("http", b"SSH-2.0-x\r\n", "does not speak HTTP/1.1"),
        ("http", b"", "closed the connection after 0 bytes"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 X\r\n\r\n", "before there was anything"),
        ("socks5h", b"\x05\xff", "none of our ways to authenticate"),
        ("socks5h", b"HTTP/1.1 400 Bad\r\n\r\n", "is it an HTTP proxy?"),
        ("socks4a", b"\x00\x5b\x00\x00\x00\x00\x00\x00", "rejected or failed (code 91)"),
    ] {
        let inbox = Inbox::new();
        let target = through("ws://nowhere.invalid/", &format!("{scheme}://{}", saying(Some(answer))));
        connect_with(&inbox, target, Options::default());
        let error = inbox.error();
        assert!(matches!(&error, Failure::Proxy { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_silent_proxy_is_named_when_time_runs_out() {
    let inbox = Inbox::new();
    let address = saying(None);
    let options = Options { connect_timeout: Some(Duration::from_millis(200)), ..Options::default() };
    connect_with(&inbox, through("ws://nowhere.invalid/", &format!("http://{address}")), options);
    let error = inbox.error();
    assert!(matches!(&error, Failure::Timeout { .. }), "{error}");
    assert!(error.to_string().ends_with(&format!("proxy http://{address}: connected, but it gave no complete answer")));
}

#[test]
fn a_proxy_that_is_not_there() {
    let closed = StdListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for (proxy, part) in
        [(format!("http://{closed}"), "cannot be reached"), ("socks5h://nowhere.invalid".to_owned(), "resolved")]
    {
        let inbox = Inbox::new();
        connect_with(&inbox, through("ws://localhost:9/", &proxy), Options::default());
        let Failure::Proxy { error, .. } = inbox.error() else { panic!("another failure") };
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(matches!(*error, ProxyError::Connect { .. }), error.errno().is_some());
    }
}

#[test]
fn the_environment_chooses() {
    let (address, seen) = proxy(None);
    let at_server = Inbox::new();
    let listener = listen(&at_server, listener_options());
    let url = format!("ws://localhost:{}/", listener.addresses()[0].port());
    for (no_proxy, used) in [("example.com", true), ("example.com,localhost", false)] {
        let variables = [("HTTP_PROXY", format!("http://{address}")), ("no_proxy", no_proxy.to_owned())];
        let environment = Environment::new(variables.map(|(name, value)| (name.to_owned(), value)));
        let via = Via { proxies: Proxies::Environment(environment), ..Via::default() };
        let at_client = Inbox::new();
        let client = connect_with(&at_client, Target { via, ..target(&url) }, Options::default());
        at_server.incoming().start();
        at_client.open();
        assert_eq!(client.addresses().map(|(_, remote)| remote == address), Some(used));
        assert_eq!(matches!(seen.try_recv(), Ok(Seen::Asked(_))), used);
        client.abort();
        if used {
            assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Ended));
        }
        at_server.open();
        at_server.closed();
    }
}
