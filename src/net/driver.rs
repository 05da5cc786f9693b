//! The tokio driver: one task owns the socket of one open connection and does everything that waits: reading, writing
//! what did not fit, pings, the time-outs. The protocol itself is the session's.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustls::Connection as Tls;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{sleep_until, timeout};

use crate::media::event::MediaEvent;
use crate::proto::{CloseFrame, ProtocolError, Receiver, Role};
use crate::session::inbound::{self, Port};
use crate::session::{Applied, Keepalive, KeepaliveAction, MediaRefusal, Outbound};

use super::connection::Connection;
use super::error::Failure;
use super::io::{Decrypted, Io};
use super::mailbox::{Closed, Notice};
use super::runtime::lock;
use super::socket::{ReadHalf, Socket, WriteHalf};
use super::trace::Direction;

/// Bytes read at a time. The buffer belongs to the worker thread, not to the connection: an idle one holds none.
const READ: usize = 64 * 1024;
/// How long the peer may take to close TCP after the close handshake or after our last word.
const LINGER: Duration = Duration::from_secs(2);
/// Reads between two looks at the rest of the world.
const READS_PER_TURN: usize = 8;

thread_local! {
    static SCRATCH: RefCell<[Box<[u8]>; 2]> = RefCell::new([(); 2].map(|()| vec![0; READ].into_boxed_slice()));
}

/// What the handshake leaves: the halves of the socket, TLS, and bytes read too far.
pub(super) struct Ends {
    pub(super) reader: ReadHalf,
    pub(super) writer: Arc<WriteHalf>,
    pub(super) tls: bool,
    pub(super) rest: Vec<u8>,
}

impl Ends {
    /// Takes a socket after its handshake apart: what the task keeps, what the connection shares.
    pub(super) fn new(socket: Socket, tls: Option<Tls>, rest: Vec<u8>, connection: &Connection) -> (Self, Io) {
        let (reader, writer) = socket.into_split();
        let writer = Arc::new(writer);
        let outbound = Outbound::new(connection.role(), connection.options.send_buffer);
        let ends = Self { reader, writer: Arc::clone(&writer), tls: tls.is_some(), rest };
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
}

/// What reading changes; apart from the socket, so that both can be borrowed at once.
struct Reading {
    receiver: Receiver,
    tls: bool,
    inlet: Inlet,
}

/// Where messages go that have been read.
struct Inlet {
    connection: Arc<Connection>,
    keepalive: Keepalive,
    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    received_close: Option<Option<CloseFrame>>,
    notices: Vec<Notice>,
}

/// What a turn of the driver woke up for.
enum Woken {
    Read(Result<bool, ReadError>),
    Other,
}

/// Why reading ended.
enum ReadError {
    Protocol(ProtocolError),
    Io(io::Error),
}

/// What is left of a connection after its end.
pub(super) struct Rest {
    reader: Option<ReadHalf>,
}

impl Driver {
    pub(super) fn new(connection: Arc<Connection>, ends: Ends) -> Self {
        let options = &connection.options;
        let inlet = Inlet {
            connection: Arc::clone(&connection),
            keepalive: Keepalive::new(options.ping_interval, options.ping_timeout, Instant::now()),
            received_close: None,
            notices: Vec::new(),
        };
        let receiver = Receiver::new(connection.role(), options.limits);
        let Ends { reader, writer, tls, rest } = ends;
        let state = Reading { receiver, tls, inlet };
        Self { connection, reader, writer, rest, state, close_deadline: None, blocked: false }
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
        // TLS may hold decrypted bytes already, so it is asked even when nothing was read too far.
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
            result = poll_fn(|cx| state.poll_read(reader, cx)), if reading => Woken::Read(result),
            _ = writer.writable(), if blocked => {
                connection.with_open(Io::unblock);
                Woken::Other
            }
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
                self.connection.with_open(|io| drop(io.outbound.ping(&payload)));
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

impl Reading {
    /// Reads and takes what is there. False at the end of the stream.
    fn poll_read(&mut self, reader: &mut ReadHalf, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        SCRATCH.with_borrow_mut(|[scratch, plain]| {
            for turn in 0..READS_PER_TURN {
                let mut buffer = ReadBuf::new(scratch);
                match Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
                    // What was taken before may have to be answered: the turn ends here.
                    Poll::Pending if turn > 0 => return Poll::Ready(Ok(true)),
                    poll => ready!(poll).map_err(ReadError::Io)?,
                }
                let bytes = buffer.filled_mut();
                if bytes.is_empty() {
                    return Poll::Ready(Ok(false));
                }
                let connection = &self.inlet.connection;
                connection.stats.wire_bytes_received.add(bytes.len());
                let full = bytes.len() == READ;
                if !self.take_into(bytes, plain)? {
                    return Poll::Ready(Ok(false));
                }
                // Less than was asked for: the socket is empty, and asking again would cost a system call.
                if !full || self.inlet.connection.is_paused() {
                    break;
                }
            }
            Poll::Ready(Ok(true))
        })
    }

    /// Takes bytes that came with the handshake.
    fn take(&mut self, bytes: &mut [u8]) -> Result<bool, ReadError> {
        SCRATCH.with_borrow_mut(|[_, plain]| self.take_into(bytes, plain))
    }

    /// Takes bytes from the socket, through TLS if there is any. False when the peer ended the TLS stream.
    fn take_into(&mut self, bytes: &mut [u8], plain: &mut [u8]) -> Result<bool, ReadError> {
        if !self.tls {
            self.receive(bytes)?;
            return Ok(true);
        }
        let connection = Arc::clone(&self.inlet.connection);
        let mut cipher: &[u8] = bytes;
        loop {
            match connection.with_open(|io| io.decrypt(&mut cipher, plain)) {
                Some(Ok(Decrypted::Bytes(0))) => return Ok(true),
                Some(Ok(Decrypted::Bytes(n))) => self.receive(&mut plain[..n])?,
                Some(Ok(Decrypted::End)) | None => return Ok(false),
                Some(Err(error)) => return Err(ReadError::Io(error)),
            }
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        let media = self.inlet.connection.streams.is_some() && !self.inlet.connection.is_closing();
        let result = inbound::receive(&mut self.receiver, bytes, media, &mut self.inlet);
        self.inlet.post();
        result.map_err(ReadError::Protocol)
    }
}

impl Inlet {
    fn post(&mut self) {
        self.connection.post(&mut self.notices);
    }

    fn message(&mut self, length: usize, notice: impl FnOnce() -> Notice) {
        if self.connection.is_closing() {
            return;
        }
        self.connection.stats.messages_received.add(1);
        self.connection.stats.bytes_received.add(length);
        self.connection.charge(Connection::cost(length));
        self.notices.push(notice());
    }
}

impl Port for Inlet {
    fn text(&mut self, text: String) {
        if let Some(trace) = self.connection.trace.get() {
            trace.text(Direction::Received, &text);
        }
        self.message(text.len(), || Notice::Text(text));
    }

    fn binary(&mut self, data: Vec<u8>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.binary(Direction::Received, &data);
        }
        self.message(data.len(), || Notice::Binary(data));
    }

    fn ping(&mut self, payload: &[u8]) {
        self.connection.with_open(|io| io.outbound.pong(payload));
    }

    fn pong(&mut self, payload: &[u8]) {
        self.connection.stats.pongs_received.add(1);
        match self.keepalive.pong(payload, Instant::now()) {
            Some(latency) => self.connection.stats.latency_ns.set(latency.as_nanos() as u64),
            None => self.notices.push(Notice::Pong(payload.to_vec())),
        }
    }

    fn close(&mut self, frame: Option<CloseFrame>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.close(Direction::Received, frame.as_ref());
        }
        self.received_close = Some(frame);
    }

    fn media(&mut self, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal> {
        let Some(streams) = &self.connection.streams else { return Ok(Applied::Ordinary) };
        let mut streams = lock(streams);
        let applied = streams.apply(Instant::now(), event)?;
        let deadline = streams.next_deadline();
        drop(streams);
        if applied == Applied::Audio {
            self.connection.stats.messages_received.add(1);
            self.connection.schedule(deadline);
        }
        Ok(applied)
    }

    fn media_error(&mut self, error: MediaRefusal) {
        self.notices.push(Notice::Error(Failure::Media(error)));
    }
}

impl Rest {
    /// Reads and forgets what the peer still sends, for a short while.
    pub(super) async fn linger(self) {
        let Some(mut reader) = self.reader else { return };
        let end = poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|[scratch, _]| {
                loop {
                    let mut buffer = ReadBuf::new(scratch);
                    match ready!(Pin::new(&mut reader).poll_read(cx, &mut buffer)) {
                        Ok(()) if !buffer.filled().is_empty() => {}
                        _ => return Poll::Ready(()),
                    }
                }
            })
        });
        let _ = timeout(LINGER, end).await;
    }
}
