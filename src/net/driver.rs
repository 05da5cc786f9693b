//! The tokio driver: one task owns the socket of one open connection and does everything that waits: reading, writing
//! what did not fit, pings, the time-outs. The protocol itself is the session's.

mod reading;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::Connection as Tls;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use crate::proto::{Negotiated, ProtocolError, Receiver, Role};
use crate::session::{Keepalive, KeepaliveAction, Outbound};

use super::connection::Connection;
use super::error::Failure;
use super::io::Io;
use super::mailbox::{Closed, Notice};
use super::socket::{ReadHalf, Socket, WriteHalf};

use reading::{Inlet, ReadError, Reading, Rest};

/// How long the peer may take to close TCP after the close handshake or after our last word.
const LINGER: Duration = Duration::from_secs(2);
/// What the handshake leaves: the halves of the socket, TLS, and bytes read too far.
pub(super) struct Ends {
    pub(super) reader: ReadHalf,
    pub(super) writer: Arc<WriteHalf>,
    pub(super) tls: bool,
    pub(super) rest: Vec<u8>,
    /// Compression as the handshake agreed on it.
    pub(super) agreed: Option<Negotiated>,
}

impl Ends {
    /// Takes a socket after its handshake apart: what the task keeps, what the connection shares.
    pub(super) fn new(
        socket: Socket,
        tls: Option<Tls>,
        rest: Vec<u8>,
        agreed: Option<Negotiated>,
        connection: &Connection,
    ) -> (Self, Io) {
        let (reader, writer) = socket.into_split();
        let writer = Arc::new(writer);
        let outbound = Outbound::new(connection.role(), connection.options.send_buffer, agreed.as_ref());
        let ends = Self { reader, writer: Arc::clone(&writer), tls: tls.is_some(), rest, agreed };
        (ends, Io::new(outbound, tls.map(Box::new), writer))
    }
}

/// The task of one open connection.
pub(super) struct Driver {
    connection: Arc<Connection>,
    reader: ReadHalf,
    writer: Arc<WriteHalf>,
    rest: Vec<u8>,
    state: Reading,
    close_deadline: Option<Instant>,
    /// The socket takes no more for now.
    blocked: bool,
    /// Messages sent when the last ping went out.
    sent_at_ping: u64,
}

/// What a turn of the driver woke up for.
enum Woken {
    Read(Result<bool, ReadError>),
    Other,
}

impl Driver {
    pub(super) fn new(connection: Arc<Connection>, ends: Ends) -> Self {
        let options = &connection.options;
        let inlet = Inlet {
            connection: Arc::clone(&connection),
            keepalive: Keepalive::new(options.ping_interval, options.ping_timeout, Instant::now()),
            received_close: None,
            notices: Vec::new(),
            stirred: false,
            more: false,
            left: Vec::new(),
        };
        let Ends { reader, writer, tls, rest, agreed } = ends;
        let receiver = Receiver::with_deflate(connection.role(), options.limits, agreed.as_ref());
        let state = Reading { receiver, tls, inlet };
        Self { connection, reader, writer, rest, state, close_deadline: None, blocked: false, sent_at_ping: 0 }
    }

    /// Runs until the connection has ended; then there may still be a peer to take leave of.
    pub(super) async fn run(mut self) -> (Result<Closed, Failure>, Rest) {
        let result = self.drive().await;
        // Nothing more is written; a peer that is still sending must not be cut off by a reset before it has read our
        // last frame, so its bytes are read for a while.
        let linger = result.is_err() && !self.connection.is_aborted();
        self.connection.with_open(|io| io.end(&self.connection.stats));
        (result, Rest { reader: linger.then_some(self.reader) })
    }

    async fn drive(&mut self) -> Result<Closed, Failure> {
        let mut rest = std::mem::take(&mut self.rest);
        let mut last = self.state.take(&mut rest);
        drop(rest);
        loop {
            match last {
                Ok(true) => {}
                Ok(false) => return self.end_of_stream(),
                Err(ReadError::Protocol(error)) => return Err(self.refuse(error)),
                Err(ReadError::Io(error)) => return self.broken(error),
            }
            if let Some(result) = self.settle() {
                return Ok(result);
            }
            last = match self.wait().await {
                Woken::Read(result) => result,
                Woken::Other => Ok(true),
            };
            if std::mem::take(&mut self.state.inlet.more) {
                // A peer that floods us with small frames must not keep the worker from the other connections: tokio by
                // itself would let it go on for 128 reads.
                yield_now().await;
            }
            self.expire()?;
        }
    }

    /// Brings the state in line with what has happened; `Some` when the close handshake is complete.
    fn settle(&mut self) -> Option<Closed> {
        if self.connection.is_aborted() {
            // By the application, or because the time-out after the close frames ran out: then it was a clean end.
            return Some(if self.state.inlet.received_close.is_some() { self.clean() } else { Closed::abnormal() });
        }
        let received = self.state.inlet.received_close.clone();
        let (sent, drained, failed, blocked) = self
            .connection
            .with_open(|io| {
                if let Some(frame) = received.clone() {
                    // The answer carries the code of the question (RFC 6455 section 5.5.1), and its reason.
                    let _ = io.outbound.close(frame);
                    io.flush(&self.connection.stats);
                }
                let failed = if self.state.inlet.received_close.is_some() { io.take_failure() } else { None };
                let failed = io.has_failed() || failed.is_some();
                (io.outbound.sent_close().is_some(), io.is_drained(), failed, io.is_blocked() && !failed)
            })
            .unwrap_or((true, true, true, false));
        self.blocked = blocked;
        if drained && self.connection.take_drain_request() {
            self.state.inlet.notices.push(Notice::Drained);
            self.state.inlet.post();
        }
        if sent && self.close_deadline.is_none() {
            self.close_deadline = Some(Instant::now() + self.connection.options.close_timeout);
        }
        if received.is_some() {
            // The server closes TCP first; the client waits for that, but not for long (section 7.1.1).
            if self.connection.role() == Role::Server && (drained || failed) {
                return Some(self.clean());
            }
            let soon = Instant::now() + LINGER;
            self.close_deadline = self.close_deadline.map(|at| at.min(soon));
        } else if failed && self.close_deadline.is_none() {
            // Writing is over; the peer may have said why.
            self.close_deadline = Some(Instant::now() + LINGER);
        }
        None
    }

    /// Waits until something can be read or written, a time has come, or somebody wants something.
    async fn wait(&mut self) -> Woken {
        let Self { connection, reader, writer, state, close_deadline, blocked, .. } = self;
        let blocked = *blocked;
        let reading = connection.is_closing() || !connection.is_paused();
        let ping = state.inlet.keepalive.deadline().filter(|_| !connection.is_closing());
        let deadline = [*close_deadline, ping].into_iter().flatten().min();
        tokio::select! {
            // In this order: a peer that floods us does not keep what waits for it from being sent.
            biased;
            _ = writer.writable(), if blocked => {
                connection.with_open(Io::unblock);
                Woken::Other
            }
            result = poll_fn(|cx| state.poll_read(reader, cx)), if reading => Woken::Read(result),
            () = connection.wake.notified() => Woken::Other,
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => Woken::Other,
        }
    }

    /// Does what is due by now: pings, and the end of patience.
    fn expire(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.close_deadline.is_some_and(|at| at <= now) {
            return self.patience_over();
        }
        if self.connection.is_closing() {
            return Ok(());
        }
        if self.connection.is_paused() {
            // Its pong may be waiting behind messages that we do not read.
            self.state.inlet.keepalive.postpone(now);
        }
        match self.state.inlet.keepalive.expired(now) {
            KeepaliveAction::None => {}
            KeepaliveAction::Ping(payload) => {
                // Nothing sent for a whole interval: compression gives its memory back.
                let sent = self.connection.stats.messages_sent.get();
                let idle = std::mem::replace(&mut self.sent_at_ping, sent) == sent;
                self.connection.with_open(|io| {
                    if idle {
                        io.outbound.release();
                    }
                    drop(io.outbound.ping(&payload));
                });
                self.connection.stats.pings_sent.add(1);
            }
            KeepaliveAction::Dead => {
                return Err(Failure::Keepalive(self.connection.options.ping_timeout.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn patience_over(&mut self) -> Result<(), Failure> {
        match self.connection.with_open(Io::take_failure).flatten() {
            Some(error) if self.state.inlet.received_close.is_none() => Err(Failure::Transport(error)),
            _ => {
                // `settle` sees it and ends: with the peer's close frame that is clean, without it is not.
                self.connection.abort();
                Ok(())
            }
        }
    }

    /// The peer has ended its stream.
    fn end_of_stream(&mut self) -> Result<Closed, Failure> {
        if self.state.inlet.received_close.is_some() {
            // Our answer may still be on its way; with TCP closed by the peer it has no reader.
            return Ok(self.clean());
        }
        match self.connection.with_open(Io::take_failure).flatten() {
            Some(error) => Err(Failure::Transport(error)),
            None => Ok(Closed::abnormal()),
        }
    }

    /// Reading failed.
    fn broken(&mut self, error: io::Error) -> Result<Closed, Failure> {
        if self.state.inlet.received_close.is_some() { Ok(self.clean()) } else { Err(Failure::Transport(error)) }
    }

    /// The peer broke the protocol: it is told.
    fn refuse(&mut self, error: ProtocolError) -> Failure {
        let frame = error.close_frame();
        self.connection.with_open(|io| drop(io.outbound.close(Some(frame))));
        Failure::Protocol(error)
    }

    fn clean(&self) -> Closed {
        match self.state.inlet.received_close.clone().flatten() {
            Some(frame) => Closed { code: frame.code, reason: frame.reason, was_clean: true },
            None => Closed { code: 1005, reason: String::new(), was_clean: true },
        }
    }
}
