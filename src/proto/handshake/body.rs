//! The start of the body of a response that refuses the handshake: enough to show what the server
//! says, no more than that, and no longer waiting for it than needed.

use super::headers::{has_member, single};

/// Bytes of the body that are kept.
pub(super) const MAX_BODY: usize = 1024;
/// Bytes of a chunked body that are read to find them.
const MAX_CHUNKED: usize = 4 * MAX_BODY;

/// Collects the start of a body.
#[derive(Debug)]
pub(super) struct BodyStart {
    framing: Framing,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Framing {
    /// This many bytes are wanted; fewer only if the connection ends.
    UpTo(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

impl BodyStart {
    pub(super) fn new(status: u16, headers: &[(String, String)]) -> Self {
        let length = single(headers, "Content-Length").ok().flatten();
        let framing = if matches!(status, 204 | 304) {
            Framing::UpTo(0)
        } else if has_member(headers, "Transfer-Encoding", "chunked") {
            Framing::Chunked
        } else {
            // Without a (readable) length the body goes on to the end of the connection.
            let length = length.and_then(|l| l.trim().parse().ok()).unwrap_or(MAX_BODY);
            Framing::UpTo(length.min(MAX_BODY))
        };
        Self { framing, bytes: Vec::new() }
    }

    /// Adds bytes; true if there is nothing more to wait for.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        let limit = match self.framing {
            Framing::UpTo(limit) => limit,
            Framing::Chunked => MAX_CHUNKED,
        };
        let room = limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes.len() >= limit || matches!(self.framing, Framing::Chunked) && dechunked(&self.bytes).1
    }

    /// What arrived, without the chunks' frames.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self.framing {
            Framing::UpTo(_) => self.bytes,
            Framing::Chunked => dechunked(&self.bytes).0,
        }
    }
}

/// The content of a chunked body (RFC 9112 section 7.1), and whether that is enough of it: its
/// last chunk is there, or [`MAX_BODY`] bytes, or it is malformed.
fn dechunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((_, 0))) | Err(_) => return (body, true),
            Ok(httparse::Status::Complete(chunk)) => chunk,
            Ok(httparse::Status::Partial) => return (body, false),
        };
        let rest = bytes.get(start..).unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        if body.len() >= MAX_BODY {
            body.truncate(MAX_BODY);
            return (body, true);
        }
        // Behind the chunk comes a line break.
        match size.checked_add(2).and_then(|end| rest.get(end..)) {
            Some(next) => bytes = next,
            None => return (body, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and after how many bytes it was known to be enough.
    fn read(status: u16, header: (&str, &str), bytes: &[u8]) -> (Vec<u8>, Option<usize>) {
        let headers = [(header.0.to_owned(), header.1.to_owned())];
        let mut body = BodyStart::new(status, &headers);
        let mut enough = body.feed(&[]).then_some(0);
        for (index, byte) in bytes.iter().enumerate() {
            if enough.is_none() && body.feed(&[*byte]) {
                enough = Some(index + 1);
            }
        }
        (body.into_bytes(), enough)
    }

    #[test]
    fn by_length() {
        assert_eq!(read(401, ("Content-Length", "0"), b"x"), (vec![], Some(0)));
        assert_eq!(read(401, ("content-length", "3"), b"abcdef"), (b"abc".to_vec(), Some(3)));
        assert_eq!(read(401, ("Content-Length", "3"), b"ab"), (b"ab".to_vec(), None));
        assert_eq!(read(204, ("Content-Length", "3"), b"abc"), (vec![], Some(0)));
        let long = vec![b'x'; MAX_BODY + 1];
        let expected = (long[..MAX_BODY].to_vec(), Some(MAX_BODY));
        assert_eq!(read(500, ("Content-Length", "99999"), &long), expected);
        assert_eq!(read(500, ("Content-Length", "many"), &long), expected);
        assert_eq!(read(500, ("X", "y"), &long), expected);
    }

    #[test]
    fn by_chunks() {
        let chunked = ("Transfer-Encoding", "gzip, Chunked");
        let bytes = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let (body, enough) = read(403, chunked, bytes);
        assert_eq!((body.as_slice(), enough), (&b"abcde"[..], Some(bytes.len() - 2)));
        assert_eq!(read(403, chunked, b"5\r\nab"), (b"ab".to_vec(), None));
        assert_eq!(read(403, chunked, b"<html>"), (vec![], Some(1)));
        let long = [b"FFFF\r\n".as_slice(), &vec![b'x'; 2000]].concat();
        assert_eq!(read(403, chunked, &long), (vec![b'x'; MAX_BODY], Some(MAX_BODY + 6)));
        assert_eq!(read(403, chunked, b"FFFFFFFFFFFFFFFF\r\nab"), (b"ab".to_vec(), None));
    }
}
