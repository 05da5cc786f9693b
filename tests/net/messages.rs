//! Messages, the close handshake and failures, against independent peers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame, protocol::frame::coding::CloseCode};
use voxwire::net::{Closed, Failure, Notice, Options};
use voxwire::proto::Limits;

use crate::support::{Inbox, PATIENCE, Pair, connect, connect_with, listen, listener_options, roomy, target, url_of};

/// An echo server of tungstenite for one connection; answers its URL.
fn tungstenite_echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).expect("sent");
            }
        }
    });
    url
}

/// A peer that answers the handshake and then does as it is told with the raw socket.
fn raw_server(then: impl FnOnce(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a request") == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .expect("answered");
        then(stream);
    });
    url
}

#[test]
fn our_client_speaks_with_tungstenite() {
    let inbox = Inbox::new();
    let connection = connect_with(&inbox, target(&tungstenite_echo()), roomy());
    assert_eq!(inbox.open(), "");
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let text = "é".repeat(size / 2);
        connection.send_text(&text).expect("sent");
        assert!(inbox.text() == text, "text of {size} bytes");
        let data: Vec<u8> = (0..size).map(|n| n as u8).collect();
        connection.send_binary(&data).expect("sent");
        assert!(matches!(inbox.next(), Notice::Binary(back) if back == data), "{size} bytes");
    }
    connection.close(Some(1000), "done");
    assert_eq!(inbox.closed(), Closed { code: 1000, reason: "done".to_owned(), was_clean: true });
}

#[test]
fn tungstenite_speaks_with_our_server() {
    let inbox = Inbox::new();
    let listener = listen(&inbox, listener_options());
    let url = url_of(&listener);
    let peer = std::thread::spawn(move || {
        let (mut socket, _) = tungstenite::connect(url).expect("a connection");
        socket.send(Message::text("hello")).expect("sent");
        assert_eq!(socket.read().expect("an answer"), Message::text("hello yourself"));
        let frame = CloseFrame { code: CloseCode::Library(3001), reason: "enough".into() };
        socket.close(Some(frame)).expect("closing");
        loop {
            match socket.read() {
                Ok(Message::Close(frame)) => assert_eq!(u16::from(frame.expect("a code").code), 3001),
                Ok(other) => panic!("{other:?}"),
                Err(tungstenite::Error::ConnectionClosed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let connection = inbox.incoming();
    connection.start();
    inbox.open();
    assert_eq!(inbox.text(), "hello");
    connection.send_text("hello yourself").expect("sent");
    assert_eq!(inbox.closed(), Closed { code: 3001, reason: "enough".to_owned(), was_clean: true });
    peer.join().expect("the peer is content");
}

#[test]
fn nothing_is_read_before_start_and_nothing_is_lost() {
    let at_server = Inbox::new();
    let listener = listen(&at_server, listener_options());
    let at_client = Inbox::new();
    let client = connect(&at_client, &url_of(&listener));
    at_client.open();
    client.send_text("early").expect("sent");
    let server = at_server.incoming();
    assert!(at_server.next_within(Duration::from_millis(100)).is_none());
    server.start();
    at_server.open();
    assert_eq!(at_server.text(), "early");
}

#[test]
fn an_end_without_a_close_frame_is_1006_without_an_error() {
    let inbox = Inbox::new();
    connect(&inbox, &raw_server(drop));
    inbox.open();
    assert_eq!(inbox.closed(), Closed::abnormal());
}

#[test]
fn a_broken_frame_is_an_error_and_the_peer_is_told() {
    let (told, hears) = std::sync::mpsc::channel();
    let url = raw_server(move |mut stream| {
        stream.write_all(&[0xF1, 0x00]).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an end");
        told.send(answer).expect("heard");
    });
    let inbox = Inbox::new();
    connect(&inbox, &url);
    inbox.open();
    assert!(matches!(inbox.error(), Failure::Protocol(error) if error.close_code() == 1002));
    assert_eq!(inbox.closed(), Closed::abnormal());
    let answer = hears.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(answer[0], 0x88);
    let mask = [answer[2], answer[3], answer[4], answer[5]];
    assert_eq!([answer[6] ^ mask[0], answer[7] ^ mask[1]], 1002_u16.to_be_bytes());
}

#[test]
fn a_message_over_the_limit_is_1009_and_one_at_it_is_taken() {
    let limits = Limits { max_message_size: 1000, ..Limits::default() };
    let pair = Pair::with(Options::default(), Options { limits, ..Options::default() });
    pair.client.send_binary(&[7; 1000]).expect("sent");
    assert!(matches!(pair.at_server.next(), Notice::Binary(data) if data.len() == 1000));
    pair.client.send_binary(&[7; 1001]).expect("sent");
    let error = pair.at_server.error();
    assert!(matches!(&error, Failure::Protocol(e) if e.close_code() == 1009), "{error}");
    assert!(error.to_string().contains("1001") && error.to_string().contains("1000"), "{error}");
    assert_eq!(pair.at_server.closed(), Closed::abnormal());
    assert_eq!(pair.at_client.closed().code, 1009);
}

#[test]
fn a_peer_that_does_not_answer_the_close_is_left_after_the_time_out() {
    let url = raw_server(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let inbox = Inbox::new();
    let options = Options { close_timeout: Duration::from_millis(100), ..Options::default() };
    let connection = connect_with(&inbox, target(&url), options);
    inbox.open();
    connection.close(None, "");
    assert_eq!(inbox.closed(), Closed::abnormal());
}

#[test]
fn a_peer_that_does_not_answer_pings_is_gone() {
    let url = raw_server(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let inbox = Inbox::new();
    let options = Options {
        ping_interval: Some(Duration::from_millis(50)),
        ping_timeout: Some(Duration::from_millis(50)),
        ..Options::default()
    };
    connect_with(&inbox, target(&url), options);
    inbox.open();
    assert!(matches!(inbox.error(), Failure::Keepalive(_)));
    assert_eq!(inbox.closed(), Closed::abnormal());
}

#[test]
fn messages_after_close_are_dropped_and_the_peers_code_wins() {
    let url = raw_server(|mut stream| {
        let mut frame = [0; 8];
        stream.read_exact(&mut frame[..6]).expect("a close frame");
        stream.write_all(b"\x81\x04late").expect("sent");
        stream.write_all(&[0x88, 0x02, 0x0B, 0xB8]).expect("sent");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let inbox = Inbox::new();
    let connection = connect(&inbox, &url);
    inbox.open();
    connection.close(None, "");
    assert_eq!(inbox.closed(), Closed { code: 3000, reason: String::new(), was_clean: true });
    connection.send_text("swallowed").expect("no error");
    assert_eq!(connection.buffered_amount(), 9);
}

#[test]
fn connecting_fails_with_what_failed() {
    let inbox = Inbox::new();
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    connect(&inbox, &format!("ws://127.0.0.1:{port}/"));
    let error = inbox.error();
    assert!(matches!(error, Failure::Connect { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert_eq!(inbox.closed(), Closed::abnormal());

    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let options = Options { handshake_timeout: Some(Duration::from_millis(50)), ..Options::default() };
    connect_with(&inbox, target(&format!("ws://{}/", silent.local_addr().expect("an address"))), options);
    let error = inbox.error();
    assert!(error.to_string().contains("handshake_timeout = 0.05 s"), "{error}");
    assert_eq!(inbox.closed(), Closed::abnormal());
}

#[test]
fn close_while_connecting_ends_the_attempt() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let inbox = Inbox::new();
    let connection = connect(&inbox, &format!("ws://{}/", silent.local_addr().expect("an address")));
    connection.close(None, "");
    assert!(matches!(inbox.error(), Failure::Cancelled));
    assert_eq!(inbox.closed(), Closed::abnormal());
}

#[test]
fn over_the_cap_connections_are_refused_and_the_others_live() {
    let at_server = Inbox::new();
    let mut options = listener_options();
    options.max_connections = 1;
    let listener = listen(&at_server, options);
    let (first, second) = (Inbox::new(), Inbox::new());
    let client = connect(&first, &url_of(&listener));
    first.open();
    let server = at_server.incoming();
    server.start();
    at_server.open();
    connect(&second, &url_of(&listener));
    let error = second.error().to_string();
    assert!(error.contains("503"), "{error}");
    assert!(matches!(at_server.next(), Notice::Refused { .. }));
    client.send_text("still here").expect("sent");
    assert_eq!(at_server.text(), "still here");
}

#[test]
fn a_listener_that_stops_says_goodbye() {
    let pair = Pair::new();
    pair.listener.close(PATIENCE);
    assert_eq!(pair.at_client.closed().code, 1001);
    assert!(pair.at_server.closed().was_clean);
    assert!(matches!(pair.at_server.next(), Notice::Stopped));
    assert!(std::net::TcpStream::connect(pair.listener.addresses()[0]).is_err());
}

#[test]
fn an_accepted_connection_closed_before_its_start_is_closed_with_that_code() {
    let at_server = Inbox::new();
    let listener = listen(&at_server, listener_options());
    let at_client = Inbox::new();
    connect(&at_client, &url_of(&listener));
    at_client.open();
    at_server.incoming().close(Some(1011), "nobody");
    assert_eq!(at_client.closed(), Closed { code: 1011, reason: "nobody".to_owned(), was_clean: true });
    at_server.open();
    assert!(at_server.closed().was_clean);
}

#[test]
fn what_was_never_sent_stays_buffered_after_the_end() {
    let pair = Pair::with(Options::default(), Options { receive_buffer: 1024, ..Options::default() });
    let message = vec![0; 1 << 20];
    while pair.client.buffered_amount() < 4 << 20 {
        pair.client.send_binary(&message).expect("sent");
    }
    pair.client.abort();
    assert_eq!(pair.at_client.closed(), Closed::abnormal());
    let left = pair.client.buffered_amount();
    assert!(left > 0);
    pair.client.send_text("more").expect("swallowed");
    assert_eq!(pair.client.buffered_amount(), left + 4);
}
