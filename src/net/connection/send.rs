//! Sending on a connection, from any thread: messages, pings, and the messages of media streams.

use std::sync::atomic::Ordering;

use crate::net::io::Io;
use crate::net::runtime::lock;
use crate::net::trace::{Direction, Trace};
use crate::proto::SendError;
use crate::session::OutboundError;

use super::{Connection, Phase};

/// What became of a media message.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::net) enum Delivery {
    /// Sent, or waiting to be.
    Taken,
    /// The peer is too slow: dropped and counted.
    Dropped,
    /// There is nobody any more.
    Gone,
}

/// Media messages that may wait for a slow peer: 10 s in frames of 20 ms, the bound of the format.
const MEDIA_BACKLOG: usize = 500;

impl Connection {
    /// Sends a text message. Before open it is refused by the caller; after close it only counts as buffered.
    pub fn send_text(&self, text: &str) -> Result<(), OutboundError> {
        self.send(text.len(), |io| io.outbound.text(text), |trace| trace.text(Direction::Sent, text))
    }

    /// Sends a binary message.
    pub fn send_binary(&self, data: &[u8]) -> Result<(), OutboundError> {
        self.send(data.len(), |io| io.outbound.binary(data), |trace| trace.binary(Direction::Sent, data))
    }

    /// Sends a ping; `Notice::Pong` brings its payload back.
    pub fn ping(&self, payload: &[u8]) -> Result<(), OutboundError> {
        // Held over the sending: the pong cannot overtake this.
        let mut pings = lock(&self.pings);
        self.with_open(|io| io.outbound.ping(payload)).unwrap_or(Ok(()))?;
        pings.push_back(payload.into());
        drop(pings);
        self.stats.pings_sent.add(1);
        Ok(())
    }

    /// Whether a pong answers a ping of the application. It answers the older ones, too (RFC 6455 section 5.5.3); those that
    /// nobody asked for lead to nothing.
    pub(in crate::net) fn is_answer(&self, payload: &[u8]) -> bool {
        let mut pings = lock(&self.pings);
        let found = pings.iter().position(|ping| **ping == *payload);
        found.is_some_and(|index| pings.drain(..=index).count() > 0)
    }

    fn send(
        &self,
        bytes: usize,
        write: impl FnOnce(&mut Io) -> Result<(), OutboundError>,
        trace: impl FnOnce(&Trace),
    ) -> Result<(), OutboundError> {
        match self.with_open(write) {
            Some(Ok(())) => {}
            None | Some(Err(OutboundError::Frame(SendError::CloseSent { .. }))) => {
                self.unsent.fetch_add(bytes, Ordering::Relaxed);
                return Ok(());
            }
            Some(Err(error)) => return Err(error),
        }
        self.stats.messages_sent.add(1);
        self.stats.bytes_sent.add(bytes);
        if let Some(t) = self.trace.get() {
            trace(t);
        }
        Ok(())
    }

    /// Runs `work` on an open connection and writes what it appended, as far as the socket takes it; the task is told
    /// about the rest. `None` when the connection is not open.
    pub(in crate::net) fn with_open<T>(&self, work: impl FnOnce(&mut Io) -> T) -> Option<T> {
        let mut phase = lock(&self.phase);
        let Phase::Open(io) = &mut *phase else { return None };
        let result = work(io);
        let was_blocked = io.is_blocked();
        io.flush(&self.stats);
        if (io.is_blocked() && !was_blocked) || io.has_failed() {
            self.wake.notify_one();
        }
        Some(result)
    }

    /// Sends one message of a media stream; `frame` is its length in samples and their rate if it carries audio.
    pub(in crate::net) fn send_media(&self, json: &[u8], frame: Option<(usize, u32)>) -> Delivery {
        let Ok(text) = simdutf8::basic::from_utf8(json) else { return Delivery::Gone };
        if let Phase::Connecting { media, bytes, .. } = &mut *lock(&self.phase) {
            if frame.is_some() && *bytes > MEDIA_BACKLOG * json.len() {
                return self.drop_media(frame);
            }
            *bytes += json.len();
            media.push(json.to_vec());
            return Delivery::Taken;
        }
        let sent = self.with_open(|io| {
            if frame.is_none() {
                return io.outbound.media_bracket(text);
            }
            let waiting = io.outbound.pending().len();
            if waiting > MEDIA_BACKLOG * json.len() {
                return Err(OutboundError::Full { waiting, message: json.len(), limit: MEDIA_BACKLOG * json.len() });
            }
            io.outbound.media(text)
        });
        match sent {
            // A buffer that is full, of messages too, is no end of the route.
            Some(Err(OutboundError::Full { .. })) => self.drop_media(frame),
            None | Some(Err(OutboundError::Frame(_) | OutboundError::NoMemory { .. })) => Delivery::Gone,
            Some(Ok(())) => {
                self.stats.messages_sent.add(1);
                self.stats.bytes_sent.add(json.len());
                if frame.is_some() {
                    self.stats.media_frames_sent.add(1);
                }
                if let Some(trace) = self.trace.get() {
                    trace.text(Direction::Sent, text);
                }
                Delivery::Taken
            }
        }
    }

    fn drop_media(&self, frame: Option<(usize, u32)>) -> Delivery {
        if let Some((samples, rate)) = frame {
            self.stats.media_dropped_us.add(samples * 1_000_000 / rate as usize);
        }
        Delivery::Dropped
    }

    /// Payload bytes of messages not yet handed to the network, and of those sent after the end.
    pub fn buffered_amount(&self) -> usize {
        let waiting = match &*lock(&self.phase) {
            Phase::Open(io) => io.outbound.buffered(),
            Phase::Connecting { .. } | Phase::Closed => 0,
        };
        waiting + self.unsent.load(Ordering::Relaxed)
    }

    /// True when nothing waits to be written; else `Notice::Drained` will come, or the connection ends before.
    pub fn request_drain(&self) -> bool {
        let phase = lock(&self.phase);
        match &*phase {
            Phase::Open(io) if !io.is_drained() => {
                self.drain_wanted.store(true, Ordering::Release);
                false
            }
            _ => true,
        }
    }

    /// Whether somebody waits for `Notice::Drained`; asks once.
    pub(in crate::net) fn take_drain_request(&self) -> bool {
        self.drain_wanted.load(Ordering::Relaxed) && self.drain_wanted.swap(false, Ordering::AcqRel)
    }
}
