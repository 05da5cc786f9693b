//! The close frame: its codes (RFC 6455 section 7.4), its payload, its reason.
//! When to send one is not decided here.

use super::error::{ProtocolError, SendError};

/// Bytes of UTF-8 that the reason of a close frame may have (125 less the code).
pub const MAX_REASON: usize = 123;

/// Code and reason of a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The close code (RFC 6455 section 7.4).
    pub code: u16,
    /// The reason; may be empty. At most [`MAX_REASON`] bytes can be sent.
    pub reason: String,
}

/// True if this code may stand in a close frame (RFC 6455 section 7.4.2, IANA registry):
/// 1000-1003, 1007-1014, 3000-4999. 1005, 1006 and 1015 are for reporting only.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

impl CloseFrame {
    /// A close frame with this code and reason; checked when it is sent.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The same, with the reason cut to [`MAX_REASON`] bytes at a character.
    pub fn truncated(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        Self { code, reason }
    }

    /// Reads the (unmasked) payload of a close frame; `None` if it is empty.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::CloseTruncated),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !may_be_sent(code) {
            return Err(ProtocolError::CloseCode { code });
        }
        match str::from_utf8(reason) {
            Ok(reason) => Ok(Some(Self::new(code, reason))),
            Err(_) => Err(ProtocolError::CloseReasonNotUtf8 { code }),
        }
    }

    /// Appends the payload (code and reason, not masked) to `out`, if it may be sent.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), SendError> {
        if !may_be_sent(self.code) {
            return Err(SendError::CloseCode { code: self.code });
        }
        let size = self.reason.len();
        if size > MAX_REASON {
            return Err(SendError::ReasonTooLong { size });
        }
        out.extend_from_slice(&self.code.to_be_bytes());
        out.extend_from_slice(self.reason.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_valid_or_a_protocol_error() {
        for code in 0..=u16::MAX {
            let valid = match code {
                1004..=1006 | 1015 => false,
                1000..=1014 | 3000..=4999 => true,
                _ => false,
            };
            assert_eq!(may_be_sent(code), valid, "{code}");
            let mut payload = code.to_be_bytes().to_vec();
            payload.extend_from_slice("grüße".as_bytes());
            match CloseFrame::parse(&payload) {
                Ok(Some(frame)) => {
                    assert!(valid, "{code}");
                    assert_eq!(frame, CloseFrame::new(code, "grüße"));
                }
                Ok(None) => panic!("{code}: payload ignored"),
                Err(error) => {
                    assert!(!valid, "{code}");
                    assert_eq!(error, ProtocolError::CloseCode { code });
                    assert_eq!(error.close_code(), 1002);
                }
            }
        }
    }

    #[test]
    fn payload_of_no_byte_one_byte_and_bad_utf8() {
        assert_eq!(CloseFrame::parse(&[]), Ok(None));
        assert_eq!(CloseFrame::parse(&[3]), Err(ProtocolError::CloseTruncated));
        assert_eq!(CloseFrame::parse(&[3, 0xe8]), Ok(Some(CloseFrame::new(1000, ""))));
        let error = CloseFrame::parse(&[3, 0xe8, 0xff]).unwrap_err();
        assert_eq!(error.close_code(), 1007);
    }

    #[test]
    fn encode_is_the_reverse_of_parse_and_checks_the_limits() {
        let mut out = Vec::new();
        let frame = CloseFrame::new(4999, "x".repeat(MAX_REASON));
        frame.encode(&mut out).unwrap();
        assert_eq!(out.len(), 125);
        assert_eq!(CloseFrame::parse(&out), Ok(Some(frame)));

        out.clear();
        let long = CloseFrame::new(1000, "x".repeat(MAX_REASON + 1));
        assert_eq!(long.encode(&mut out), Err(SendError::ReasonTooLong { size: 124 }));
        assert_eq!(CloseFrame::new(1006, "").encode(&mut out), Err(SendError::CloseCode { code: 1006 }));
        assert!(out.is_empty());
    }

    #[test]
    fn truncated_cuts_at_a_character() {
        let frame = CloseFrame::truncated(1002, "é".repeat(100));
        assert_eq!(frame.reason.len(), 122);
        assert_eq!(CloseFrame::truncated(1002, "short").reason, "short");
    }
}
