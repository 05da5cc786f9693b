//! Finds the end of an HTTP/1.1 head in bytes that arrive in pieces, within limits. What the lines
//! mean is not known here.

use thiserror::Error;

/// Interim (1xx) responses that may precede the one that counts. Each is small, but a peer must not be read for as long as it
/// likes to send them.
pub(super) const MAX_INTERIM: usize = 16;

/// What the peer's head may take. The defaults are those of common HTTP servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Bytes of one line without its line break. Default 8,192.
    pub max_line: usize,
    /// Header fields. Default 128.
    pub max_headers: usize,
    /// Bytes of the head in all. Default 65,536.
    pub max_head: usize,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { max_line: 8 * 1024, max_headers: 128, max_head: 64 * 1024 }
    }
}

/// The head is larger than a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// A line is too long.
    #[error("line {line} of the HTTP head is longer than max_line ({limit} bytes)")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many header fields.
    #[error("HTTP head has more than max_headers ({limit}) header fields")]
    Headers {
        /// The limit.
        limit: usize,
    },
    /// Too many bytes.
    #[error("HTTP head is longer than max_head ({limit} bytes)")]
    Head {
        /// The limit in bytes.
        limit: usize,
    },
}

/// A whole head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// All of it, with the empty line.
    pub(super) bytes: Vec<u8>,
    /// Lines behind the first.
    pub(super) headers: usize,
    /// What came behind it.
    pub(super) rest: Vec<u8>,
}

/// Collects bytes up to the empty line that ends a head.
#[derive(Debug)]
pub(super) struct HeadReader {
    limits: HandshakeLimits,
    bytes: Vec<u8>,
    /// Bytes looked at.
    scanned: usize,
    /// Where the line at `scanned` begins.
    line_start: usize,
    /// Lines that are not empty.
    lines: usize,
}

impl HeadReader {
    pub(super) fn new(limits: HandshakeLimits) -> Self {
        Self { limits, bytes: Vec::new(), scanned: 0, line_start: 0, lines: 0 }
    }

    /// What has arrived, after an error up to the byte that exceeds the limit.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.scanned]
    }

    /// Adds bytes; gives the head once the empty line that ends it is among them. The reader is then
    /// empty and may read another head.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Head>, HeadError> {
        self.bytes.extend_from_slice(bytes);
        while let Some(at) = self.bytes[self.scanned..].iter().position(|byte| *byte == b'\n') {
            let end = self.scanned + at;
            self.scanned = end + 1;
            self.check(end)?;
            let empty = matches!(&self.bytes[self.line_start..end], [] | [b'\r']);
            self.line_start = self.scanned;
            if !empty {
                self.lines += 1;
                if self.lines > self.limits.max_headers.saturating_add(1) {
                    return Err(HeadError::Headers { limit: self.limits.max_headers });
                }
            } else if self.lines > 0 {
                // An empty line before the first one is skipped (RFC 9112 section 2.2).
                let rest = self.bytes.split_off(self.scanned);
                let read = std::mem::replace(self, Self::new(self.limits));
                return Ok(Some(Head { bytes: read.bytes, headers: read.lines - 1, rest }));
            }
        }
        self.scanned = self.bytes.len();
        self.check(self.scanned)?;
        Ok(None)
    }

    /// Checks the limits up to `scanned`, where the line that began last has come to `end`. Of two limits the one is
    /// named that the bytes exceed first, however they were cut.
    fn check(&mut self, end: usize) -> Result<(), HeadError> {
        let HandshakeLimits { max_line, max_head, .. } = self.limits;
        let line = &self.bytes[self.line_start..end];
        if line.strip_suffix(b"\r").unwrap_or(line).len() > max_line {
            // A CR may be that of the line break: then the byte behind it shows that the line goes on.
            let shown = self.line_start + max_line + usize::from(line.get(max_line) == Some(&b'\r'));
            if shown <= max_head {
                self.scanned = shown + 1;
                return Err(HeadError::Line { line: self.lines + 1, limit: max_line });
            }
        }
        if self.scanned > max_head {
            self.scanned = max_head + 1;
            return Err(HeadError::Head { limit: max_head });
        }
        Ok(())
    }
}

/// False as soon as a byte shows that this is no response of HTTP/1. Line breaks before it are skipped.
pub(super) fn starts_a_response(bytes: &[u8]) -> bool {
    let start = bytes.iter().skip_while(|byte| matches!(byte, b'\r' | b'\n'));
    start.zip(b"HTTP/1.").all(|(found, expected)| found == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limits: HandshakeLimits, bytes: &[u8]) -> Result<Option<Head>, HeadError> {
        let whole = HeadReader::new(limits).feed(bytes);
        let mut reader = HeadReader::new(limits);
        for (index, byte) in bytes.iter().enumerate() {
            match reader.feed(&[*byte]) {
                Ok(None) => {}
                Ok(Some(mut head)) => {
                    head.rest = bytes[index + 1..].to_vec();
                    assert_eq!(whole, Ok(Some(head)));
                    return whole;
                }
                Err(error) => {
                    assert_eq!(whole, Err(error));
                    return Err(error);
                }
            }
        }
        assert_eq!(whole, Ok(None));
        whole
    }

    #[test]
    fn ends_at_the_empty_line_whatever_the_line_break() {
        let limits = HandshakeLimits::default();
        for head in ["A\r\nb: c\r\n\r\n", "A\nb: c\n\n", "\r\n\r\nA\r\n\r\n"] {
            let bytes = format!("{head}rest\r\n\r\n");
            let got = read(limits, bytes.as_bytes()).unwrap().unwrap();
            assert_eq!(got.bytes, head.as_bytes());
            assert_eq!(got.headers, head.matches(':').count());
            assert_eq!(got.rest, b"rest\r\n\r\n");
        }
        assert_eq!(read(limits, b"A\r\nb: c\r\n"), Ok(None));
    }

    #[test]
    fn each_limit_at_the_limit_and_one_past_it() {
        let limits = HandshakeLimits { max_line: 20, max_headers: 3, max_head: 70 };
        let line = |n: usize| format!("GET\r\n{}\r\n\r\n", "x".repeat(n));
        assert!(read(limits, line(20).as_bytes()).unwrap().is_some());
        assert_eq!(read(limits, line(21).as_bytes()), Err(HeadError::Line { line: 2, limit: 20 }));
        let headers = |n: usize| format!("GET\r\n{}\r\n", "a: b\r\n".repeat(n));
        assert!(read(limits, headers(3).as_bytes()).unwrap().is_some());
        assert_eq!(read(limits, headers(4).as_bytes()), Err(HeadError::Headers { limit: 3 }));
        let head = |n: usize| format!("{}\r\n{}\r\n\r\n", "\r\n".repeat(30), "x".repeat(n));
        assert!(read(limits, head(4).as_bytes()).unwrap().is_some());
        assert_eq!(read(limits, head(5).as_bytes()), Err(HeadError::Head { limit: 70 }));
    }

    #[test]
    fn of_two_limits_the_one_exceeded_first_is_named() {
        let limits = HandshakeLimits { max_line: 20, max_headers: 3, max_head: 40 };
        let lines = |first: usize, end: &str| format!("{}\n{}{end}", "x".repeat(first), "y".repeat(40));
        for end in ["", "\r\n", "\n"] {
            let line = Err(HeadError::Line { line: 2, limit: 20 });
            assert_eq!(read(limits, lines(19, end).as_bytes()), line, "byte 41 shows both");
            assert_eq!(read(limits, lines(20, end).as_bytes()), Err(HeadError::Head { limit: 40 }));
        }
        let text = format!("{}\n{}\r\ry\n", "x".repeat(18), "y".repeat(20));
        assert_eq!(read(limits, text.as_bytes()), Err(HeadError::Line { line: 2, limit: 20 }));
    }
}
