//! The sending side of one connection: frames that wait to be written, what of them counts as buffered, and how far
//! the close handshake is. Whoever sends appends here; whoever writes the socket takes from `pending`.

use std::collections::VecDeque;

use crate::media::scratch;
use crate::proto::{CloseFrame, Negotiated, Role, SendError, Sender};

/// Why a message was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OutboundError {
    /// The peer does not read as fast as we send, and the bound of the buffer is reached.
    #[error(
        "send buffer is full: {waiting} bytes wait, {message} more would exceed send_buffer = {limit}; await drain() before sending more"
    )]
    Full {
        /// Bytes waiting.
        waiting: usize,
        /// Size of the message that was refused.
        message: usize,
        /// The bound.
        limit: usize,
    },
    /// There is no memory for the message.
    #[error("no memory for a message of {size} bytes")]
    NoMemory {
        /// Its size.
        size: usize,
    },
    /// The frame itself is not allowed.
    #[error(transparent)]
    Frame(#[from] SendError),
}

/// Frames on their way to the socket.
#[derive(Debug)]
pub struct Outbound {
    sender: Sender,
    /// Encoded frames; those before `written` are with the transport already.
    buffer: Vec<u8>,
    written: usize,
    /// End position (in `total`) and payload length of each message that waits.
    waiting: VecDeque<(u64, usize)>,
    waiting_payload: usize,
    total: u64,
    taken: u64,
    limit: usize,
    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    sent_close: Option<Option<CloseFrame>>,
    /// A pong that found the buffer full; RFC 6455 section 5.5.3 lets us answer the latest ping only.
    late_pong: Option<Vec<u8>>,
}

/// Above this many waiting bytes a pong is kept back, so that a peer that pings and never reads costs nothing.
const PONG_LIMIT: usize = 64 * 1024;
/// What has been written is moved out of a buffer that is not empty when it is more than this.
const MOVE: usize = 4 * 1024;
/// For longer messages room is asked for, before anything is written: where there is none, the call fails and not the process.
const LONG: usize = 64 * 1024;
/// Bytes of the longest frame header (RFC 6455 section 5.2).
const MAX_HEADER: usize = 14;
/// Places for messages that wait; more are given back when nothing waits.
const KEEP: usize = 64;

impl Outbound {
    /// An empty buffer that refuses messages when more than `limit` bytes would wait, and compresses as was agreed.
    pub fn new(role: Role, limit: usize, agreed: Option<&Negotiated>) -> Self {
        Self {
            sender: Sender::with_deflate(role, agreed),
            buffer: Vec::new(),
            written: 0,
            waiting: VecDeque::new(),
            waiting_payload: 0,
            total: 0,
            taken: 0,
            limit,
            sent_close: None,
            late_pong: None,
        }
    }

    /// Appends a text message.
    pub fn text(&mut self, text: &str) -> Result<(), OutboundError> {
        self.message(text.len(), |sender, out| sender.text(text, out))
    }

    /// Appends a binary message.
    pub fn binary(&mut self, data: &[u8]) -> Result<(), OutboundError> {
        self.message(data.len(), |sender, out| sender.binary(data, out))
    }

    /// Appends a message of a media stream. It is not compressed: audio hardly shrinks, and a bridge sends fifty frames
    /// a second of each call.
    pub fn media(&mut self, json: &str) -> Result<(), OutboundError> {
        self.message(json.len(), |sender, out| sender.text_uncompressed(json, out))
    }

    /// Appends the start or stop of a media stream, also beyond the bound: they are few and short, and without them the
    /// peer cannot make sense of what comes between.
    pub fn media_bracket(&mut self, json: &str) -> Result<(), OutboundError> {
        Ok(self.frame(json.len(), |sender, out| sender.text_uncompressed(json, out))?)
    }

    /// Frees what compression holds, until a message needs it again.
    pub fn release(&mut self) {
        self.sender.release();
    }

    /// Appends a ping with a payload of at most 125 bytes.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), OutboundError> {
        self.message(payload.len(), |sender, out| sender.ping(payload, out))
    }

    /// Answers a ping, or remembers to when too much waits already.
    pub fn pong(&mut self, payload: &[u8]) {
        if self.sent_close.is_some() {
            return;
        }
        if self.pending().len() > PONG_LIMIT {
            self.late_pong = Some(payload.to_vec());
            return;
        }
        // A pong fails only when its payload is too long, and it is that of a valid ping.
        let _ = self.frame(0, |sender, out| sender.pong(payload, out));
    }

    /// Begins or answers the close handshake. Only the first call does something.
    pub fn close(&mut self, frame: Option<CloseFrame>) -> Result<(), SendError> {
        if self.sent_close.is_some() {
            return Ok(());
        }
        self.frame(0, |sender, out| sender.close(frame.as_ref(), out))?;
        self.late_pong = None;
        self.sent_close = Some(frame);
        Ok(())
    }

    /// The close frame that was sent, if one was.
    pub fn sent_close(&self) -> Option<&Option<CloseFrame>> {
        self.sent_close.as_ref()
    }

    /// Bytes to hand to the transport.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.written..]
    }

    /// Payload bytes of messages not yet handed to the transport in full (WHATWG `bufferedAmount`: without framing).
    pub fn buffered(&self) -> usize {
        self.waiting_payload
    }

    /// Where the end of what was appended is in all that was ever appended, and how far of that the transport is: who
    /// waits for a message of its own compares them.
    pub fn position(&self) -> (u64, u64) {
        (self.total, self.taken)
    }

    /// The transport took the first `n` bytes of `pending`.
    pub fn advance(&mut self, n: usize) {
        self.written += n;
        self.taken += n as u64;
        while let Some(&(end, payload)) = self.waiting.front() {
            if end > self.taken {
                break;
            }
            self.waiting_payload -= payload;
            self.waiting.pop_front();
        }
        if self.written == self.buffer.len() {
            self.written = 0;
            // Mostly it was filled just now, by the same thread: the next message of whatever connection finds it warm.
            scratch::give_back(std::mem::take(&mut self.buffer));
            if self.waiting.capacity() > KEEP {
                self.waiting = VecDeque::new();
            }
        }
        if self.pending().len() <= PONG_LIMIT
            && let Some(payload) = self.late_pong.take()
        {
            self.pong(&payload);
        }
    }

    fn message(
        &mut self,
        payload: usize,
        write: impl FnOnce(&mut Sender, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> Result<(), OutboundError> {
        let waiting = self.pending().len();
        // A message larger than the bound may still be sent when nothing else waits: it has to go some time.
        if waiting > 0 && waiting + payload > self.limit {
            return Err(OutboundError::Full { waiting, message: payload, limit: self.limit });
        }
        self.make_room();
        if payload > LONG {
            if self.buffer.capacity() == 0 {
                self.buffer = scratch::take_long();
            }
            let room = self.buffer.try_reserve(payload + MAX_HEADER);
            room.map_err(|_| OutboundError::NoMemory { size: payload })?;
        }
        Ok(self.frame(payload, write)?)
    }

    /// Moves what has been written out of the way. Only before something is appended: what is merely written on never moves.
    fn make_room(&mut self) {
        if self.written > self.buffer.len() / 2 && self.written > MOVE {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }

    fn frame(
        &mut self,
        payload: usize,
        write: impl FnOnce(&mut Sender, &mut Vec<u8>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.make_room();
        if self.buffer.capacity() == 0 {
            self.buffer = scratch::take();
        }
        let before = self.buffer.len();
        write(&mut self.sender, &mut self.buffer)?;
        self.total += (self.buffer.len() - before) as u64;
        if payload > 0 {
            self.waiting.push_back((self.total, payload));
            self.waiting_payload += payload;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffered_counts_payload_until_the_last_byte_of_its_frame_is_taken() {
        let mut out = Outbound::new(Role::Server, 1000, None);
        out.text("hello").unwrap();
        out.binary(&[0; 10]).unwrap();
        assert_eq!((out.pending().len(), out.buffered()), (7 + 12, 15));
        out.advance(6);
        assert_eq!(out.buffered(), 15);
        out.advance(1);
        assert_eq!(out.buffered(), 10);
        out.advance(12);
        assert_eq!((out.pending().len(), out.buffered()), (0, 0));
    }

    #[test]
    fn the_bound_refuses_one_byte_past_it_and_names_it() {
        let mut out = Outbound::new(Role::Server, 112, None);
        out.binary(&[0; 98]).unwrap();
        assert_eq!(out.binary(&[0; 13]), Err(OutboundError::Full { waiting: 100, message: 13, limit: 112 }));
        out.binary(&[0; 12]).unwrap();
        let mut large = Outbound::new(Role::Server, 10, None);
        large.binary(&[0; 11]).unwrap();
    }

    #[test]
    fn pings_of_a_peer_that_does_not_read_cost_one_pong() {
        let mut out = Outbound::new(Role::Server, 1 << 20, None);
        out.binary(&vec![0; PONG_LIMIT + 1]).unwrap();
        let before = out.pending().len();
        for i in 0..1000_u32 {
            out.pong(&i.to_be_bytes());
        }
        assert_eq!(out.pending().len(), before);
        out.advance(before);
        assert_eq!(out.pending(), [0x8A, 4, 0, 0, 3, 0xE7]);
    }

    #[test]
    fn after_close_messages_are_refused_and_a_second_close_is_ignored() {
        let mut out = Outbound::new(Role::Server, 1000, None);
        out.close(Some(CloseFrame::new(1000, "bye"))).unwrap();
        let bytes = out.pending().len();
        out.close(Some(CloseFrame::new(1001, ""))).unwrap();
        out.pong(b"late");
        assert_eq!(out.pending().len(), bytes);
        assert!(matches!(out.text("x"), Err(OutboundError::Frame(SendError::CloseSent { .. }))));
        assert_eq!(out.sent_close(), Some(&Some(CloseFrame::new(1000, "bye"))));
    }

    #[test]
    fn memory_is_given_back_when_the_buffer_runs_empty() {
        let mut out = Outbound::new(Role::Server, 1 << 20, None);
        out.binary(&vec![0; 100_000]).unwrap();
        out.advance(out.pending().len());
        assert_eq!(out.buffer.capacity(), 0);
    }
}
