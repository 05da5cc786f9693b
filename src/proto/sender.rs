//! Messages in, bytes out: appends finished frames to the caller's buffer, compressed where that was
//! agreed, masked where we are the client. Knows what may follow what; does not know when to send.

use rand::Rng as _;

use super::{
    Role,
    close::CloseFrame,
    deflate::{Deflater, Negotiated},
    error::SendError,
    frame::{First, MAX_CONTROL, Opcode, encode},
    mask::copy_masked,
    message::Kind,
};

/// Writes frames; see the module. On an error nothing was appended.
#[derive(Debug)]
pub struct Sender {
    role: Role,
    close_sent: bool,
    /// The fragmented message that is not finished.
    open: Option<Open>,
    /// Compresses, where that was agreed.
    deflate: Option<Deflater>,
}

/// A fragmented message that was begun.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: Kind,
    compressed: bool,
}

impl Sender {
    /// A sender for a connection on which we are `role`, before the first frame.
    pub fn new(role: Role) -> Self {
        Self::with_deflate(role, None)
    }

    /// The same, where permessage-deflate may have been agreed.
    pub fn with_deflate(role: Role, agreed: Option<&Negotiated>) -> Self {
        Self { role, close_sent: false, open: None, deflate: agreed.map(|agreed| agreed.deflater(role)) }
    }

    /// True once a close frame was written: only pings and pongs may follow.
    pub fn close_sent(&self) -> bool {
        self.close_sent
    }

    /// Appends a text message in one frame.
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.begin(Kind::Text)?;
        self.whole(Opcode::Text, text.as_bytes(), out);
        Ok(())
    }

    /// Appends a binary message in one frame.
    pub fn binary(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.begin(Kind::Binary)?;
        self.whole(Opcode::Binary, payload, out);
        Ok(())
    }

    /// The same as [`text`](Self::text), but never compressed: for what does not shrink, or holds a
    /// secret beside something that an attacker can choose.
    pub fn text_uncompressed(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.begin(Kind::Text)?;
        self.frame(First { fin: true, opcode: Opcode::Text, compressed: false }, text.as_bytes(), out);
        Ok(())
    }

    /// The same as [`binary`](Self::binary), but never compressed.
    pub fn binary_uncompressed(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.begin(Kind::Binary)?;
        self.frame(First { fin: true, opcode: Opcode::Binary, compressed: false }, payload, out);
        Ok(())
    }

    /// Frees what compression holds. Messages that follow compress a little less at first. Nothing
    /// happens inside a fragmented message.
    pub fn release(&mut self) {
        if let Some(deflate) = self.deflate.as_mut().filter(|_| self.open.is_none()) {
            deflate.release();
        }
    }

    /// True while compression holds memory.
    pub fn holds_context(&self) -> bool {
        self.deflate.as_ref().is_some_and(Deflater::is_allocated)
    }

    /// Appends one fragment of a message (RFC 6455 section 5.4). `first` begins the message, `fin`
    /// ends it. The fragments of a text may be cut anywhere, but together must be UTF-8. The size of
    /// the first decides whether the message is compressed.
    pub fn fragment(
        &mut self,
        kind: Kind,
        payload: &[u8],
        first: bool,
        fin: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let opcode = match kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        };
        if first {
            self.begin(kind)?;
            if fin {
                self.whole(opcode, payload, out);
                return Ok(());
            }
            let compressed = self.compressed(payload, false);
            self.open = Some(Open { kind, compressed: compressed.is_some() });
            let first = First { fin, opcode, compressed: compressed.is_some() };
            self.frame(first, compressed.as_deref().unwrap_or(payload), out);
            return Ok(());
        }
        if self.close_sent {
            return Err(SendError::CloseSent { what: "a fragment" });
        }
        let Some(open) = self.open.filter(|open| open.kind == kind) else {
            return Err(SendError::NoMessageOpen);
        };
        let compressed = match &mut self.deflate {
            Some(deflate) if open.compressed => Some(deflate.compress(payload, fin).ok_or(SendError::Deflate)?),
            _ => None,
        };
        if fin {
            self.open = None;
        }
        let first = First { fin, opcode: Opcode::Continuation, compressed: false };
        self.frame(first, compressed.as_deref().unwrap_or(payload), out);
        Ok(())
    }

    /// Appends a ping with up to 125 bytes of payload; also between fragments.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control("ping", Opcode::Ping, payload, out)
    }

    /// Appends a pong with up to 125 bytes of payload; also between fragments.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control("pong", Opcode::Pong, payload, out)
    }

    /// Appends the close frame, `None` for one without a code. No data may follow.
    pub fn close(&mut self, frame: Option<&CloseFrame>, out: &mut Vec<u8>) -> Result<(), SendError> {
        if self.close_sent {
            return Err(SendError::CloseSent { what: "a second close frame" });
        }
        // Once a connection, so this may allocate: the payload is masked as a whole.
        let mut payload = Vec::new();
        if let Some(frame) = frame {
            frame.encode(&mut payload)?;
        }
        self.close_sent = true;
        self.frame(First { fin: true, opcode: Opcode::Close, compressed: false }, &payload, out);
        Ok(())
    }

    /// Checks that a data message may begin.
    fn begin(&self, kind: Kind) -> Result<(), SendError> {
        if self.close_sent {
            return Err(SendError::CloseSent {
                what: match kind {
                    Kind::Text => "a text message",
                    Kind::Binary => "a binary message",
                },
            });
        }
        if self.open.is_some() {
            return Err(SendError::MessageOpen);
        }
        Ok(())
    }

    /// Appends a message in one frame.
    fn whole(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        let first = First { fin: true, opcode, compressed: false };
        match self.compressed(payload, true) {
            Some(compressed) if self.pays(payload, &compressed) => {
                self.frame(First { compressed: true, ..first }, &compressed, out);
            }
            _ => self.frame(first, payload, out),
        }
    }

    /// True unless a compressed message can be thrown away and is better sent as it is. With context
    /// takeover it cannot: what follows may refer to it.
    fn pays(&self, payload: &[u8], compressed: &[u8]) -> bool {
        compressed.len() < payload.len() || !self.deflate.as_ref().is_some_and(Deflater::is_forgetful)
    }

    /// The first payload of a message, compressed; `None` if the message is sent as it is.
    fn compressed(&mut self, payload: &[u8], fin: bool) -> Option<Vec<u8>> {
        let deflate = self.deflate.as_mut().filter(|deflate| deflate.wants(payload.len()))?;
        deflate.compress(payload, fin)
    }

    fn control(&self, what: &'static str, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL {
            return Err(SendError::ControlTooLong { what, size: payload.len() });
        }
        self.frame(First { fin: true, opcode, compressed: false }, payload, out);
        Ok(())
    }

    fn frame(&self, first: First, payload: &[u8], out: &mut Vec<u8>) {
        match self.role {
            Role::Server => {
                encode(first, payload.len(), None, out);
                out.extend_from_slice(payload);
            }
            Role::Client => {
                // The thread's generator is a CSPRNG and keeps a block of numbers ready.
                let key = rand::rng().next_u32().to_ne_bytes();
                encode(first, payload.len(), Some(key), out);
                copy_masked(payload, key, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_sends_plain_and_a_client_masks() {
        let mut out = Vec::new();
        Sender::new(Role::Server).text("Hello", &mut out).unwrap();
        assert_eq!(out, b"\x81\x05Hello"); // RFC 6455 section 5.7
        Sender::new(Role::Server).ping(b"Hello", &mut out).unwrap();
        assert_eq!(out[7..], *b"\x89\x05Hello");

        let mut keys = Vec::new();
        let mut client = Sender::new(Role::Client);
        for _ in 0..8 {
            let mut out = Vec::new();
            client.binary(b"Hello", &mut out).unwrap();
            assert_eq!(out[..2], [0x82, 0x85]);
            let key: [u8; 4] = out[2..6].try_into().unwrap();
            crate::proto::apply_mask(&mut out[6..], key, 0);
            assert_eq!(out[6..], *b"Hello");
            keys.push(key);
        }
        keys.dedup();
        assert!(keys.len() > 1, "every frame had the same key");
    }

    #[test]
    fn after_the_close_frame_only_pings_and_pongs() {
        for role in [Role::Client, Role::Server] {
            let (mut sender, mut out) = (Sender::new(role), Vec::new());
            sender.fragment(Kind::Text, b"a", true, false, &mut out).unwrap();
            let bad = CloseFrame::new(1005, "");
            assert_eq!(sender.close(Some(&bad), &mut out), Err(SendError::CloseCode { code: 1005 }));
            assert!(!sender.close_sent());
            sender.close(None, &mut out).unwrap();
            assert!(sender.close_sent());
            let before = out.clone();
            for refused in [
                sender.text("a", &mut out),
                sender.binary(b"a", &mut out),
                sender.fragment(Kind::Text, b"a", false, true, &mut out),
                sender.fragment(Kind::Text, b"a", true, true, &mut out),
                sender.close(None, &mut out),
            ] {
                assert!(matches!(refused, Err(SendError::CloseSent { .. })), "{refused:?}");
            }
            assert_eq!(out, before);
            assert_eq!(sender.pong(b"", &mut out), Ok(()));
        }
    }

    #[test]
    fn control_payloads_at_the_limit_and_one_past_it() {
        let (mut sender, mut out) = (Sender::new(Role::Server), Vec::new());
        sender.ping(&[0; 125], &mut out).unwrap();
        sender.pong(&[0; 125], &mut out).unwrap();
        assert_eq!(out.len(), 2 * 127);
        let error = SendError::ControlTooLong { what: "ping", size: 126 };
        assert_eq!(sender.ping(&[0; 126], &mut out), Err(error));
        let error = SendError::ControlTooLong { what: "pong", size: 126 };
        assert_eq!(sender.pong(&[0; 126], &mut out), Err(error));
        let error = SendError::ReasonTooLong { size: 124 };
        let close = CloseFrame::new(1000, "x".repeat(124));
        assert_eq!(sender.close(Some(&close), &mut out), Err(error));
        assert_eq!(out.len(), 2 * 127);
    }

    #[test]
    fn fragments_only_in_order() {
        let (mut sender, mut out) = (Sender::new(Role::Server), Vec::new());
        let (text, binary) = (Kind::Text, Kind::Binary);
        assert_eq!(sender.fragment(text, b"", false, true, &mut out), Err(SendError::NoMessageOpen));
        sender.fragment(text, b"", true, false, &mut out).unwrap();
        assert_eq!(sender.fragment(binary, b"", false, true, &mut out), Err(SendError::NoMessageOpen));
        assert_eq!(sender.fragment(text, b"", true, true, &mut out), Err(SendError::MessageOpen));
        assert_eq!(sender.text("a", &mut out), Err(SendError::MessageOpen));
        assert_eq!(sender.binary(b"a", &mut out), Err(SendError::MessageOpen));
        sender.fragment(text, b"", false, true, &mut out).unwrap();
        sender.text("", &mut out).unwrap();
        assert_eq!(out, [0x01, 0, 0x80, 0, 0x81, 0]);
    }
}
