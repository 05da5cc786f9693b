//! WebSocket frames and handshakes made by hand (RFC 6455), for peers that cost as little as possible.
//! Frames of whole messages only; nobody here fragments.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Opcode of a text message.
pub const TEXT: u8 = 0x1;
/// Opcode of a binary message.
pub const BINARY: u8 = 0x2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 0x8;
/// Opcode of a ping.
pub const PING: u8 = 0x9;
/// Opcode of a pong.
pub const PONG: u8 = 0xA;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The first byte: FIN and opcode.
    pub first: u8,
    /// Bytes of the head, masking key included.
    pub length: usize,
    /// Bytes of the payload.
    pub payload: usize,
    /// The masking key.
    pub key: Option<[u8; 4]>,
}

impl Head {
    /// The head at the start of `data`; `None` while it is incomplete.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (&first, &second) = (data.first()?, data.get(1)?);
        let (payload, length) = match second & 0x7F {
            126 => (usize::from(u16::from_be_bytes(data.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(data.get(2..10)?.try_into().ok()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        if second & 0x80 == 0 {
            return Some(Self { first, length, payload, key: None });
        }
        let key = data.get(length..length + 4)?.try_into().ok()?;
        Some(Self { first, length: length + 4, payload, key: Some(key) })
    }

    /// What kind of frame it is.
    pub fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    /// Bytes of the whole frame.
    pub fn total(&self) -> usize {
        self.length + self.payload
    }
}

/// Appends the head of a frame.
pub fn put_head(out: &mut Vec<u8>, first: u8, payload: usize, key: Option<[u8; 4]>) {
    let bit = if key.is_some() { 0x80 } else { 0 };
    out.push(first);
    match payload {
        0..=125 => out.push(bit | payload as u8),
        126..=0xFFFF => {
            out.push(bit | 126);
            out.extend_from_slice(&(payload as u16).to_be_bytes());
        }
        _ => {
            out.push(bit | 127);
            out.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(key.as_ref().map_or(&[], |key| key));
}

/// A whole message in one frame.
pub fn build(opcode: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    put_head(&mut frame, 0x80 | opcode, payload.len(), key);
    let at = frame.len();
    frame.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut frame[at..], key);
    }
    frame
}

/// Masks, or unmasks.
pub fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The payload of a whole frame.
pub fn payload(frame: &[u8]) -> Vec<u8> {
    let Some(head) = Head::parse(frame) else { return Vec::new() };
    let mut payload = frame[head.length..].to_vec();
    if let Some(key) = head.key {
        mask(&mut payload, key);
    }
    payload
}

/// Reads a client's handshake. `answer` answers it.
pub fn read_request(socket: &TcpStream) -> io::Result<String> {
    read_head(socket)
}

/// Accepts a handshake, agreeing to no extension.
pub fn answer(mut socket: &TcpStream, request: &str) -> io::Result<()> {
    socket.write_all(response(request, "")?.as_bytes())
}

/// The answer that accepts a handshake; `more` are further header lines, each with its line end.
pub fn response(request: &str, more: &str) -> io::Result<String> {
    let key = header(request, "Sec-WebSocket-Key")
        .ok_or_else(|| io::Error::other(format!("no WebSocket handshake: {request:?}")))?;
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    ))
}

/// A header of a handshake, the first of that name.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Sends a client's handshake; `finish` reads the answer.
pub fn request(mut socket: &TcpStream, port: u16) -> io::Result<()> {
    socket.write_all(
        format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .as_bytes(),
    )
}

/// Reads the server's answer to the handshake.
pub fn finish(socket: &TcpStream) -> io::Result<()> {
    let answer = read_head(socket)?;
    if answer.split(' ').nth(1) == Some("101") {
        return Ok(());
    }
    Err(io::Error::other(format!("the handshake failed: {answer:?}")))
}

/// Reads by the byte: what follows the head belongs to the frames.
fn read_head(mut socket: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_read_as_they_were_built() {
        for size in [0, 125, 126, 65_535, 65_536] {
            for key in [None, Some([1, 2, 3, 4])] {
                let content: Vec<u8> = (0..size).map(|i| i as u8).collect();
                let frame = build(TEXT, &content, key);
                let head = Head::parse(&frame).unwrap();
                assert_eq!((head.opcode(), head.payload, head.total(), head.key), (TEXT, size, frame.len(), key));
                assert_eq!(payload(&frame), content);
                assert_eq!(Head::parse(&frame[..head.length - 1]), None);
            }
        }
    }

    #[test]
    fn the_frame_of_the_rfc() {
        // Section 5.7: "Hello", masked.
        let frame = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(build(TEXT, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d])), frame);
    }
}
