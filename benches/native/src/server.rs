//! One connection of the server that clients are compared on: handshake, frames counted, answers made beforehand.
//! Polling and pacing are in `bin/server.rs`.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls::ServerConnection;

use crate::websocket::{self, BINARY, CLOSE, Head, PING, TEXT};

/// A message of a sink that asks for the number of those before it.
const QUESTION: usize = 4;
/// What a flood writes at once.
const BLOCK: usize = 64 * 1024;
const LONGEST_REQUEST: usize = 16 * 1024;

/// Frames that are sent, each made once.
#[derive(Default)]
pub struct Replies {
    answers: HashMap<(u8, usize), Rc<[u8]>>,
    blocks: HashMap<(u8, usize), Rc<[u8]>>,
}

impl Replies {
    /// A message of so many bytes.
    fn answer(&mut self, opcode: u8, size: usize) -> Rc<[u8]> {
        let make = || websocket::build(opcode, &message(size), None).into();
        Rc::clone(self.answers.entry((opcode, size)).or_insert_with(make))
    }

    /// As many such messages as one write should have.
    fn block(&mut self, opcode: u8, size: usize) -> Rc<[u8]> {
        let frame = self.answer(opcode, size);
        let make = || frame.repeat((BLOCK / frame.len()).max(1)).into();
        Rc::clone(self.blocks.entry((opcode, size)).or_insert_with(make))
    }

    /// A frame of telephone audio as the services send it: 20 ms of µ-law in JSON.
    pub fn media(&mut self) -> Rc<[u8]> {
        let chunk = "f".repeat(214) + "==";
        let text = format!(
            r#"{{"event":"media","sequenceNumber":4711,"media":{{"tag":"caller","chunk":4711,"timestamp":94220,"payload":"{chunk}"}}}}"#
        );
        websocket::build(TEXT, text.as_bytes(), None).into()
    }
}

/// JSON of exactly so many bytes, as a speech service might send; less than 32 are spaces.
fn message(size: usize) -> Vec<u8> {
    let (start, end) = (br#"{"type":"partial","text":""#, br#""}"#);
    let Some(room) = size.checked_sub(start.len() + end.len()) else { return vec![b' '; size] };
    let words = b"the quick brown fox jumps over the lazy dog ".iter().cycle().take(room);
    start.iter().chain(words).chain(end).copied().collect()
}

/// What the path says a connection does.
enum Role {
    Handshake(Vec<u8>),
    Echo,
    Flood { size: usize, time: Duration, until: Option<(Instant, u8)> },
    Sink(u64),
    Media,
    Idle { answer_after: Duration },
}

/// The frame that is being read.
#[derive(Default)]
struct Reading {
    /// The beginning of a head whose rest has not come.
    head: Vec<u8>,
    /// Payload that is to come.
    left: usize,
    current: Option<Head>,
    /// Payload of a control frame, still masked.
    control: Vec<u8>,
    /// Kind and size of a message of which not all fragments have come.
    message: (u8, usize),
}

/// A connection.
pub struct Connection {
    /// The socket, which does not block.
    pub socket: TcpStream,
    /// Nanoseconds that each media frame took there and back.
    pub echoes: Vec<i64>,
    tls: Option<ServerConnection>,
    role: Role,
    reading: Reading,
    /// What is to be written, and how much of the first is.
    pending: VecDeque<Rc<[u8]>>,
    written: usize,
    /// When media frames were sent that have not come back.
    under_way: VecDeque<Instant>,
    /// A close that is answered at that time.
    close_at: Option<Instant>,
    closing: bool,
}

impl Connection {
    /// A connection that was accepted.
    pub fn new(socket: TcpStream, tls: Option<ServerConnection>) -> Self {
        Self {
            socket,
            echoes: Vec::new(),
            tls,
            role: Role::Handshake(Vec::new()),
            reading: Reading::default(),
            pending: VecDeque::new(),
            written: 0,
            under_way: VecDeque::new(),
            close_at: None,
            closing: false,
        }
    }

    /// Whether it is paced.
    pub fn is_media(&self) -> bool {
        matches!(self.role, Role::Media) && !self.closing
    }

    /// Whether its answer to a close has still to wait.
    pub fn closes_later(&self) -> bool {
        self.close_at.is_some()
    }

    /// Whether bytes wait for the socket to take them.
    pub fn waits(&self) -> bool {
        !self.pending.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether the close was answered: the server closes first (RFC 6455 section 7.1.1).
    pub fn over(&self) -> bool {
        let over = self.closing && !self.waits();
        if over {
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        over
    }

    /// Reads once and takes what came. An error ends the connection.
    pub fn read(&mut self, room: &mut [u8], replies: &mut Replies) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            let size = match self.socket.read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                other => other?,
            };
            return if size == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { self.take(&room[..size], replies) };
        };
        match tls.read_tls(&mut self.socket) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        while let Some(tls) = &mut self.tls {
            match tls.reader().read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(size) => self.take(&room[..size], replies)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what the socket takes. An error ends the connection.
    pub fn write(&mut self, replies: &mut Replies) -> io::Result<()> {
        if self.close_at.is_some_and(|at| at <= Instant::now()) {
            self.close_at = None;
            self.answer_close();
        }
        loop {
            if !self.flush()? {
                return Ok(());
            }
            let Role::Flood { size, until: Some((until, opcode)), .. } = &mut self.role else { return Ok(()) };
            if self.closing || *until <= Instant::now() {
                return Ok(());
            }
            self.pending.push_back(replies.block(*opcode, *size));
        }
    }

    /// Whether the socket has taken everything.
    fn flush(&mut self) -> io::Result<bool> {
        while let Some(first) = self.pending.front() {
            if let Some(tls) = &mut self.tls {
                tls.writer().write_all(first)?;
                self.pending.pop_front();
                continue;
            }
            match self.socket.write(&first[self.written..]) {
                Ok(size) => self.written += size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.written == first.len() {
                self.pending.pop_front();
                self.written = 0;
            }
        }
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            match tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                other => drop(other?),
            }
        }
        Ok(true)
    }

    /// Sends a media frame and remembers when.
    pub fn send_media(&mut self, frame: &Rc<[u8]>, replies: &mut Replies) -> io::Result<()> {
        self.under_way.push_back(Instant::now());
        self.pending.push_back(Rc::clone(frame));
        self.write(replies)
    }

    /// Takes bytes of the client.
    fn take(&mut self, mut data: &[u8], replies: &mut Replies) -> io::Result<()> {
        if let Role::Handshake(request) = &mut self.role {
            request.extend_from_slice(data);
            let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
                return if request.len() > LONGEST_REQUEST { Err(ErrorKind::InvalidData.into()) } else { Ok(()) };
            };
            let request = std::mem::take(request);
            let head = std::str::from_utf8(&request[..end]).map_err(io::Error::other)?;
            self.role = role(head)?;
            let answer = websocket::response(head, &extension(head))?;
            self.pending.push_back(answer.into_bytes().into());
            return self.take(&request[end + 4..], replies);
        }
        while !data.is_empty() {
            let Some(head) = self.reading.current else {
                data = self.reading.begin(data);
                if self.reading.current.is_some_and(|head| head.payload == 0) {
                    self.finish(replies)?;
                }
                continue;
            };
            let (payload, rest) = data.split_at(self.reading.left.min(data.len()));
            if head.opcode() >= CLOSE {
                self.reading.control.extend_from_slice(payload);
            }
            self.reading.left -= payload.len();
            data = rest;
            if self.reading.left == 0 {
                self.finish(replies)?;
            }
        }
        Ok(())
    }

    /// A frame is complete.
    fn finish(&mut self, replies: &mut Replies) -> io::Result<()> {
        let Some(head) = self.reading.current.take() else { return Ok(()) };
        if head.opcode() >= CLOSE {
            let mut payload = std::mem::take(&mut self.reading.control);
            websocket::mask(&mut payload, head.key.unwrap_or_default());
            match head.opcode() {
                PING => self.pending.push_back(websocket::build(websocket::PONG, &payload, None).into()),
                CLOSE => match self.role {
                    Role::Idle { answer_after } if !answer_after.is_zero() => {
                        self.close_at = Some(Instant::now() + answer_after);
                    }
                    _ => self.answer_close(),
                },
                _ => {}
            }
            return Ok(());
        }
        if head.opcode() != 0 {
            self.reading.message = (head.opcode(), 0);
        }
        self.reading.message.1 += head.payload;
        if head.first & 0x80 == 0 {
            return Ok(());
        }
        let (opcode, size) = self.reading.message;
        if !matches!(opcode, TEXT | BINARY) {
            return Err(ErrorKind::InvalidData.into());
        }
        match &mut self.role {
            Role::Echo => self.pending.push_back(replies.answer(opcode, size)),
            Role::Flood { time, until, .. } => *until = Some((Instant::now() + *time, opcode)),
            Role::Sink(count) if size == QUESTION => {
                let count = std::mem::take(count).to_string();
                self.pending.push_back(websocket::build(opcode, count.as_bytes(), None).into());
            }
            Role::Sink(count) => *count += 1,
            Role::Media => {
                if let Some(sent) = self.under_way.pop_front() {
                    self.echoes.push(sent.elapsed().as_nanos() as i64);
                }
            }
            Role::Idle { .. } | Role::Handshake(_) => {}
        }
        Ok(())
    }

    fn answer_close(&mut self) {
        self.pending.push_back(websocket::build(CLOSE, &1000u16.to_be_bytes(), None).into());
        self.closing = true;
    }
}

impl Reading {
    /// Reads a head; what is left of `data`.
    fn begin<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let known = self.head.len();
        // 14 bytes are the longest head.
        self.head.extend_from_slice(&data[..data.len().min(14 - known)]);
        let Some(head) = Head::parse(&self.head) else { return &[] };
        self.head.clear();
        self.left = head.payload;
        self.current = Some(head);
        &data[head.length - known..]
    }
}

fn role(request: &str) -> io::Result<Role> {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut parts = path.trim_matches('/').split('/');
    let kind = parts.next().unwrap_or_default();
    let mut number = || {
        let part = parts.next().and_then(|part| part.parse::<u64>().ok());
        part.ok_or_else(|| io::Error::other(format!("a number is missing in {path:?}")))
    };
    Ok(match kind {
        "echo" => Role::Echo,
        "flood" => Role::Flood { size: number()? as usize, time: Duration::from_millis(number()?), until: None },
        "sink" => Role::Sink(0),
        "media" => Role::Media,
        "idle" => Role::Idle { answer_after: Duration::ZERO },
        "slow" => Role::Idle { answer_after: Duration::from_millis(number()?) },
        _ => return Err(io::Error::other(format!("no such path: {path:?}"))),
    })
}

/// Agrees to the compression that a client offers, on its terms: nobody sends anything that could be compressed.
fn extension(request: &str) -> String {
    let offer = websocket::header(request, "Sec-WebSocket-Extensions").unwrap_or_default();
    let mut parts = offer.split(',').next().unwrap_or_default().split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return String::new();
    }
    let terms = parts.filter(|term| *term != "client_max_window_bits").map(|term| format!("; {term}"));
    format!("Sec-WebSocket-Extensions: permessage-deflate{}\r\n", terms.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    /// Both ends of a connection with this path, the handshake behind it.
    fn connected(path: &str, offer: &str) -> (TcpStream, Connection, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = Connection::new(listener.accept().unwrap().0, None);
        let request = format!("GET {path} HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n");
        let mut replies = Replies::default();
        server.take(request.as_bytes(), &mut replies).unwrap();
        server.write(&mut replies).unwrap();
        let mut answer = vec![0; 1000];
        let size = (&client).read(&mut answer).unwrap();
        (client, server, String::from_utf8(answer[..size].to_vec()).unwrap())
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = websocket::build(0, payload, Some(KEY));
        frame[0] = first;
        frame
    }

    /// What comes back for these bytes, however they are cut.
    fn answers(path: &str, bytes: &[u8], cut: usize) -> Vec<u8> {
        let (mut client, mut server, _) = connected(path, "");
        let mut replies = Replies::default();
        for chunk in bytes.chunks(cut) {
            server.take(chunk, &mut replies).unwrap();
        }
        server.write(&mut replies).unwrap();
        drop(server);
        let mut came = Vec::new();
        client.read_to_end(&mut came).unwrap();
        came
    }

    #[test]
    fn echoes_have_the_size_and_kind_of_the_message() {
        let mut sent = frame(0x81, &message(300));
        sent.extend(frame(0x02, &[7; 20]));
        sent.extend(frame(0x89, b"hi"));
        sent.extend(frame(0x80, &[8; 30]));
        let mut expected = websocket::build(TEXT, &message(300), None);
        expected.extend(websocket::build(websocket::PONG, b"hi", None));
        expected.extend(websocket::build(BINARY, &message(50), None));
        for cut in [1, 7, 4096] {
            assert_eq!(answers("/echo", &sent, cut), expected);
        }
    }

    #[test]
    fn a_sink_counts() {
        let mut sent = frame(0x81, &message(160)).repeat(123);
        sent.extend(frame(0x81, b"done"));
        assert_eq!(answers("/sink", &sent, 100), websocket::build(TEXT, b"123", None));
    }

    #[test]
    fn a_flood_ends_and_is_made_of_whole_messages() {
        let came = answers("/flood/160/0", &frame(0x81, b"go"), 4096);
        assert_eq!(came, b"");
        let mut replies = Replies::default();
        let block = replies.block(TEXT, 160);
        assert_eq!(block.len() % websocket::build(TEXT, &message(160), None).len(), 0);
    }

    #[test]
    fn a_close_is_answered() {
        assert_eq!(answers("/idle", &frame(0x88, &1000u16.to_be_bytes()), 4096), [0x88, 2, 0x03, 0xE8]);
        assert_eq!(answers("/slow/60000", &frame(0x88, &[]), 4096), b"");
    }

    #[test]
    fn compression_is_agreed_to_on_the_terms_of_the_client() {
        let offer =
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits\r\n";
        let (_, _, answer) = connected("/idle", offer);
        assert!(answer.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"));
        assert!(!connected("/idle", "").2.contains("Extensions"));
    }

    #[test]
    fn messages_have_the_size_that_was_asked_for() {
        for size in [0, 4, 28, 32, 160, 8192] {
            assert_eq!(message(size).len(), size);
        }
    }
}
