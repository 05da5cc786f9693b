//! Sending on a connection, from any thread: messages, pings, and the messages of media streams.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::net::io::Io;
use crate::net::runtime::lock;
use crate::net::trace::{Direction, Trace};
use crate::proto::SendError;
use crate::session::OutboundError;

use super::{Connection, Phase, Sent};

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
    pub fn send_text(self: &Arc<Self>, text: &str) -> Result<(), OutboundError> {
        self.send_text_on(false, text).map(drop)
    }

    /// Sends a binary message.
    pub fn send_binary(self: &Arc<Self>, data: &[u8]) -> Result<(), OutboundError> {
        self.send_binary_on(false, data).map(drop)
    }

    /// Sends a text message. On the thread of an event loop (`on_loop`) it may be written together with others.
    pub fn send_text_on(self: &Arc<Self>, on_loop: bool, text: &str) -> Result<Sent, OutboundError> {
        self.send(on_loop, text.len(), |io| io.outbound.text(text), |trace| trace.text(Direction::Sent, text))
    }

    /// The same for a binary message.
    pub fn send_binary_on(self: &Arc<Self>, on_loop: bool, data: &[u8]) -> Result<Sent, OutboundError> {
        self.send(on_loop, data.len(), |io| io.outbound.binary(data), |trace| trace.binary(Direction::Sent, data))
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
        self: &Arc<Self>,
        on_loop: bool,
        bytes: usize,
        write: impl FnOnce(&mut Io) -> Result<(), OutboundError>,
        trace: impl FnOnce(&Trace),
    ) -> Result<Sent, OutboundError> {
        let mut sent = Sent::Done;
        let result = self.with_io(|io| {
            let result = write(io);
            let held = if on_loop && result.is_ok() { self.hold(io) } else { None };
            sent = held.unwrap_or(sent);
            (result, held.is_none())
        });
        match result {
            Some(Ok(())) => {}
            None | Some(Err(OutboundError::Frame(SendError::CloseSent { .. }))) => {
                self.unsent.fetch_add(bytes, Ordering::Relaxed);
                return Ok(Sent::Done);
            }
            Some(Err(error)) => return Err(error),
        }
        self.stats.messages_sent.add(1);
        self.stats.bytes_sent.add(bytes);
        if let Some(t) = self.trace.get() {
            trace(t);
        }
        Ok(sent)
    }

    /// Runs `work` on an open connection and writes what it appended, as far as the socket takes it; the task is told
    /// about the rest. `None` when the connection is not open.
    pub(in crate::net) fn with_open<T>(&self, work: impl FnOnce(&mut Io) -> T) -> Option<T> {
        self.with_io(|io| (work(io), true))
    }

    /// The same; `work` says whether to write.
    fn with_io<T>(&self, work: impl FnOnce(&mut Io) -> (T, bool)) -> Option<T> {
        let mut phase = lock(&self.phase);
        let Phase::Open(io) = &mut *phase else { return None };
        let (result, write) = work(io);
        if !write {
            return Some(result);
        }
        let (was_blocked, had_failed) = (io.is_blocked(), io.has_failed());
        io.flush(&self.stats);
        // What it knows already does not wake the task again: it would wake itself, without an end.
        if (io.is_blocked() && !was_blocked) || (io.has_failed() && !had_failed) {
            self.wake.notify_one();
        }
        Some(result)
    }

    /// Writes on after the socket was full. False if it still is.
    pub(in crate::net) fn write_on(&self) -> bool {
        let Phase::Open(io) = &mut *lock(&self.phase) else { return true };
        io.unblock();
        io.flush(&self.stats);
        !io.is_blocked()
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
        self.with_open(|_| ());
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
