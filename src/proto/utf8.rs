//! UTF-8 validation of a text that arrives in pieces (RFC 6455 section 8.1): fails at the first
//! byte that no text can contain at its place, also inside a code point that is not complete.

/// The text so far ends inside a code point: up to three of its bytes, a possible beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    partial: [u8; 4],
    len: usize,
}

/// The text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl Utf8Validator {
    /// Checks the next piece; on an error the text as a whole is invalid.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.partial[self.len] = *byte;
            self.len += 1;
            match str::from_utf8(&self.partial[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {} // still a beginning, so at most three bytes
            }
        }
        let Err(error) = simdutf8::compat::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let tail = &piece[error.valid_up_to()..];
        self.partial[..tail.len()].copy_from_slice(tail);
        self.len = tail.len();
        Ok(())
    }

    /// True if the text may end here: it is valid, and not inside a code point.
    pub fn is_complete(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes accepted before the error, fed one at a time; `None` if there is none.
    fn fails_at(text: &[u8]) -> Option<usize> {
        let mut validator = Utf8Validator::default();
        text.chunks(1).position(|byte| validator.push(byte).is_err())
    }

    #[test]
    fn fails_at_the_first_impossible_byte() {
        for (text, at) in [
            (&b"\xF4\x90\x80\x80"[..], 1), // above U+10FFFF
            (b"\xED\xA0\x80", 1),          // a surrogate
            (b"\xE0\x80\x80", 1),          // overlong
            (b"\xF0\x8F\xBF\xBF", 1),      // overlong
            (b"a\xC0\xAF", 1),             // C0 never occurs
            (b"\xF5", 0),
            (b"\x80", 0),
            (b"\xE2\x82x", 2),
            (b"\xF0\x9F\x98x", 3),
        ] {
            assert_eq!(fails_at(text), Some(at), "{text:x?}");
            // The same when all comes at once, and when it follows a long valid text.
            assert!(Utf8Validator::default().push(text).is_err(), "{text:x?}");
            let mut long = "grüße ".repeat(50).into_bytes();
            long.extend_from_slice(&text[..=at]);
            assert!(Utf8Validator::default().push(&long).is_err(), "{text:x?}");
        }
    }

    #[test]
    fn every_cut_of_a_valid_text() {
        let text = "aé€😀\u{10FFFF}\u{D7FF}\u{E000}".repeat(20);
        let bytes = text.as_bytes();
        for first in 0..bytes.len() {
            let mut validator = Utf8Validator::default();
            validator.push(&bytes[..first]).unwrap();
            assert_eq!(validator.is_complete(), text.is_char_boundary(first), "{first}");
            validator.push(&bytes[first..]).unwrap();
            assert!(validator.is_complete());
        }
        assert_eq!(fails_at(bytes), None);
    }
}
