//! The task of one open connection: everything that waits. Pings, the time-outs, writing what did not fit, the close, and
//! reading, unless the connection's loop does that (`connection::looped`). The protocol itself is the session's.

mod reading;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::Connection as Tls;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use crate::proto::{CloseFrame, Negotiated, ProtocolError, Role};
use crate::session::{KeepaliveAction, Outbound};

use super::connection::Connection;
use super::error::Failure;
use super::io::Io;
use super::mailbox::{Closed, Notice};
use super::socket::{OpenSocket, Socket, Watch, WriteEnd};

pub(super) use reading::{Progress, Reading};
use reading::{ReadEnd, Rest};

/// How long the peer may take to close TCP after the close handshake or after our last word.
const LINGER: Duration = Duration::from_secs(2);
/// What the handshake leaves: the socket, who writes it and how it is read, and bytes read too far.
pub(super) struct Opened {
    pub(super) socket: Arc<OpenSocket>,
    pub(super) io: Io,
    pub(super) reading: Reading,
    pub(super) rest: Vec<u8>,
}

/// What of that the task keeps.
pub(super) struct Ends {
    pub(super) socket: Arc<OpenSocket>,
}

impl Opened {
    /// Takes a socket after its handshake apart. `agreed` is the compression.
    pub(super) fn new(
        socket: Socket,
        tls: Option<Tls>,
        rest: Vec<u8>,
        agreed: Option<Negotiated>,
        connection: &Connection,
    ) -> io::Result<Self> {
        let socket = Arc::new(socket.into_open()?);
        let outbound = Outbound::new(connection.role(), connection.options.send_buffer, agreed.as_ref());
        let reading = Reading::new(Arc::clone(&socket), connection, tls.is_some(), agreed.as_ref());
        let io = Io::new(outbound, tls.map(Box::new), WriteEnd::new(Arc::clone(&socket)));
        Ok(Self { socket, io, reading, rest })
    }
}

/// The task of one open connection.
pub(super) struct Driver {
    connection: Arc<Connection>,
    socket: Arc<OpenSocket>,
    /// Where this runtime tells of the socket. None while the connection's loop reads.
    watch: Option<Watch>,
    close_deadline: Option<Instant>,
    /// The socket takes no more for now.
    blocked: bool,
    /// Messages sent when the last ping went out.
    sent_at_ping: u64,
}

impl Driver {
    pub(super) fn new(connection: Arc<Connection>, socket: Arc<OpenSocket>) -> Self {
        Self { connection, socket, watch: None, close_deadline: None, blocked: false, sent_at_ping: 0 }
    }

    /// Runs until the connection has ended; then there may still be a peer to take leave of.
    pub(super) async fn run(&mut self) -> (Result<Closed, Failure>, Rest) {
        let result = self.drive().await;
        self.connection.leave_loop();
        // Nothing more is written; a peer that is still sending must not be cut off by a reset before it has read our
        // last frame, so its bytes are read for a while.
        let linger = result.is_err() && !self.connection.is_aborted();
        self.connection.with_open(|io| io.end(&self.connection.stats));
        (result, Rest { socket: linger.then(|| Arc::clone(&self.socket)) })
    }

    /// Lets go of the socket.
    pub(super) fn into_connection(self) -> Arc<Connection> {
        self.connection
    }

    async fn drive(&mut self) -> Result<Closed, Failure> {
        loop {
            match self.connection.with_reading(Reading::take_end).flatten() {
                None => {}
                Some(ReadEnd::Stream) => return self.end_of_stream(),
                Some(ReadEnd::Protocol(error)) => return Err(self.refuse(error)),
                Some(ReadEnd::Io(error)) => return self.broken(error),
            }
            if let Some(result) = self.settle() {
                return Ok(result);
            }
            if let Err(error) = self.wait().await {
                return self.broken(error);
            }
            if self.connection.with_reading(|reading| std::mem::take(&mut reading.more)).unwrap_or(false) {
                // A peer that floods us with small frames must not keep the worker from the other connections: tokio by
                // itself would let it go on for 128 reads.
                yield_now().await;
            }
            self.expire()?;
        }
    }

    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    fn received_close(&self) -> Option<Option<CloseFrame>> {
        self.connection.with_reading(|reading| reading.received_close.clone()).flatten()
    }

    fn is_close_received(&self) -> bool {
        self.connection.with_reading(|reading| reading.received_close.is_some()).unwrap_or(false)
    }

    /// Brings the state in line with what has happened; `Some` when the close handshake is complete.
    fn settle(&mut self) -> Option<Closed> {
        if self.connection.is_aborted() {
            // By the application, or because the time-out after the close frames ran out: then it was a clean end.
            return Some(if self.is_close_received() { self.clean() } else { Closed::abnormal() });
        }
        let received = self.received_close();
        let (sent, drained, failed, blocked) = self
            .connection
            .with_open(|io| {
                if let Some(frame) = received.clone() {
                    // The answer carries the code of the question (RFC 6455 section 5.5.1), and its reason.
                    let _ = io.outbound.close(frame);
                    io.flush(&self.connection.stats);
                }
                let failed = io.has_failed();
                (io.outbound.sent_close().is_some(), io.is_drained(), failed, io.is_blocked() && !failed)
            })
            .unwrap_or((true, true, true, false));
        self.blocked = blocked;
        if failed {
            // The task reads what the peer still had to say: a loop may have stopped watching a socket that failed (uvloop).
            self.connection.leave_loop();
        }
        if drained && self.connection.take_drain_request() {
            self.connection.post_one(Notice::Drained);
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

    /// Waits until something was read or can be written, a time has come, or somebody wants something. Fails when the
    /// system refuses to watch the socket.
    async fn wait(&mut self) -> io::Result<()> {
        let by_loop = self.connection.is_on_loop();
        // While the loop reads, this runtime hears of the socket only to write what did not fit: it would be woken for each
        // message.
        let wanted = if !by_loop {
            Some(Watch::both as fn(&Arc<OpenSocket>) -> _)
        } else if self.blocked {
            Some(Watch::writing as fn(&Arc<OpenSocket>) -> _)
        } else {
            None
        };
        if self.watch.as_ref().is_some_and(|watch| watch.reads() == by_loop) || wanted.is_none() {
            self.watch = None;
        }
        if let (None, Some(watch)) = (&self.watch, wanted) {
            self.watch = Some(watch(&self.socket)?);
        }
        let Self { connection, watch, close_deadline, blocked, .. } = self;
        let (watch, blocked) = (watch.as_ref(), *blocked);
        let reading = !by_loop && (connection.is_closing() || !connection.is_paused());
        let ping = connection.with_reading(|reading| reading.keepalive.deadline()).flatten();
        let ping = ping.filter(|_| !connection.is_closing());
        let deadline = [*close_deadline, ping].into_iter().flatten().min();
        tokio::select! {
            // In this order: a peer that floods us does not keep what waits for it from being sent.
            biased;
            result = until_written(watch, connection), if blocked => result?,
            () = poll_fn(|cx| poll_read(watch, connection, cx)), if reading => {}
            () = connection.wake.notified() => {}
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => {}
        }
        Ok(())
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
            self.connection.with_reading(|reading| reading.keepalive.postpone(now));
        }
        match self.connection.with_reading(|reading| reading.keepalive.expired(now)).unwrap_or(KeepaliveAction::None) {
            KeepaliveAction::None => {}
            // The loop has not read for so long that the pong may be among what waits.
            KeepaliveAction::Dead if self.connection.leave_loop() => {
                self.connection.with_reading(|reading| reading.catch_up(&self.connection));
                return self.expire();
            }
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
            Some(error) if !self.is_close_received() => Err(Failure::Transport(error)),
            _ => {
                // `settle` sees it and ends: with the peer's close frame that is clean, without it is not.
                self.connection.abort();
                Ok(())
            }
        }
    }

    /// The peer has ended its stream.
    fn end_of_stream(&mut self) -> Result<Closed, Failure> {
        if self.is_close_received() {
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
        if self.is_close_received() { Ok(self.clean()) } else { Err(Failure::Transport(error)) }
    }

    /// The peer broke the protocol: it is told.
    fn refuse(&mut self, error: ProtocolError) -> Failure {
        let frame = error.close_frame();
        self.connection.with_open(|io| drop(io.outbound.close(Some(frame))));
        Failure::Protocol(error)
    }

    fn clean(&self) -> Closed {
        match self.received_close().flatten() {
            Some(frame) => Closed { code: frame.code, reason: frame.reason, was_clean: true },
            None => Closed { code: 1005, reason: String::new(), was_clean: true },
        }
    }
}

/// Returns when the socket has taken something.
async fn until_written(watch: Option<&Watch>, connection: &Connection) -> io::Result<()> {
    match watch {
        Some(watch) => watch.until_written(|| connection.write_on()).await,
        None => std::future::pending().await,
    }
}

/// Reads for the task.
fn poll_read(watch: Option<&Watch>, connection: &Arc<Connection>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(watch) = watch else { return Poll::Pending };
    match connection.with_reading(|reading| reading.poll_read(connection, watch, cx)) {
        Some(poll) => poll.map(drop),
        None => Poll::Pending,
    }
}
