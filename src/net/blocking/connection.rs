//! The blocking driver: one open connection whose socket the calling threads read and write themselves. The protocol is the
//! session's; here is what waits. Nothing happens between the calls: who receives answers pings, and sends them.
//!
//! Locks are held for one step: the inlet for a read (one thread receives at a time), the outlet and TLS never while
//! waiting. Order: inlet, outlet, TLS.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError, mpsc};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, Shutdown, shutdown};
use rustls::Connection as Tls;

use crate::net::error::Failure;
use crate::net::mailbox::Closed;
use crate::net::options::Options;
use crate::net::runtime::{Core, lock};
use crate::net::stats::{Snapshot, Stats};
use crate::net::trace::{Direction, Trace};
use crate::proto::{CloseFrame, SendError};
use crate::session::{Keepalive, KeepaliveAction, OutboundError};

use super::LONGEST_WAIT;
use super::inlet::{Inlet, Next, Port};
use super::outlet::Outlet;
use super::pings::Pings;
use crate::net::room::{Data, InvalidText, Room};

/// How long a thread that does not receive keeps reading from the one that wants to.
const TURN: Duration = Duration::from_millis(50);

/// How long a slow disk may hold up the end of a connection that is traced.
const TRACE_PATIENCE: Duration = Duration::from_secs(1);

/// `readyState`.
pub(super) const OPEN: u8 = 1;
const CLOSING: u8 = 2;
const CLOSED: u8 = 3;

/// How a connection ended.
#[derive(Debug)]
pub struct End {
    /// The close code and reason.
    pub closed: Closed,
    /// What failed, if something did.
    pub failure: Option<Failure>,
}

/// What a step of waiting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// Something has changed: look again.
    On,
    /// Time is over.
    Late,
    /// A signal may have come: look for it, and go on.
    Interrupted,
}

/// Why a message was not sent.
#[derive(Debug)]
pub enum Unsent {
    /// The connection is closed, or about to be.
    Closed,
    /// The frame is not allowed.
    Frame(SendError),
    /// There is no memory for a message of this many bytes.
    Memory(usize),
}

/// One open connection that its callers drive.
pub struct BlockingConnection {
    pub(super) id: u64,
    pub(super) core: Arc<Core>,
    pub(super) options: Arc<Options>,
    pub(super) greeting: Greeting,
    /// For who has neither inlet nor outlet; `None` at the end.
    pub(super) socket: Mutex<Option<Arc<OwnedFd>>>,
    pub(super) inlet: Mutex<Inlet>,
    pub(super) outlet: Mutex<Outlet>,
    pub(super) tls: Option<Mutex<Tls>>,
    /// A wait in the socket itself is no longer than this, which is the socket's own time-out.
    pub(super) slice: Duration,
    pub(super) state: AtomicU8,
    /// Something waits until the socket can be written.
    pub(super) full: AtomicBool,
    /// The thread that receives messages; 0 if none does.
    pub(super) receiving: AtomicUsize,
    pub(super) end: Mutex<Option<Arc<End>>>,
    /// Goes with `end`: it came, or something else that a thread which does not read may wait for.
    pub(super) changed: Condvar,
    pub(super) pings: Mutex<Pings>,
    pub(super) stats: Stats,
    pub(super) trace: Option<Trace>,
}

/// What the handshake agreed on.
#[derive(Debug, Default)]
pub struct Greeting {
    /// Subprotocol, or empty.
    pub protocol: String,
    /// Extensions in use, or empty.
    pub extensions: String,
    /// Headers of the response.
    pub headers: Vec<(String, String)>,
    /// Local and remote address; a Unix socket has none.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

impl std::fmt::Debug for BlockingConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockingConnection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The right to receive messages: one thread at a time has it.
#[derive(Debug)]
pub struct Receiving<'a>(&'a BlockingConnection);

impl BlockingConnection {
    /// What the handshake agreed on.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// The state: 1 open, 2 closing, 3 closed.
    pub fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// Whether nothing of what the peer sends may be in an error's message.
    pub fn is_private(&self) -> bool {
        self.options.privacy
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<Arc<End>> {
        if self.state() != CLOSED {
            return None;
        }
        lock(&self.end).clone()
    }

    /// Payload bytes of messages that the operating system has not taken.
    pub fn buffered_amount(&self) -> usize {
        lock(&self.outlet).outbound.buffered()
    }

    /// Counters at this moment.
    pub fn statistics(&self) -> Snapshot {
        let mut snapshot = self.stats.snapshot();
        snapshot.buffered_bytes = self.buffered_amount() as u64;
        snapshot.unhandled_bytes = self.inlet.try_lock().map_or(0, |inlet| inlet.held()) as u64;
        snapshot
    }

    // Receiving

    /// Begins to receive; `None` when another call does.
    pub fn receive(&self) -> Option<Receiving<'_>> {
        let free = self.receiving.compare_exchange(0, here(), Ordering::AcqRel, Ordering::Acquire);
        free.is_ok().then(|| Receiving(self))
    }

    /// Reads once, or finds out what a wait is for: never longer than `longest`.
    fn read(&self, inlet: &mut Inlet, until: Option<Instant>, longest: Duration) -> Stepped {
        if self.state() == CLOSED {
            return Stepped::On;
        }
        if inlet.received_close.is_some() || inlet.fault.is_some() {
            self.conclude(inlet);
            return Stepped::On;
        }
        if inlet.has_more() {
            return Stepped::On;
        }
        match self.decrypt(inlet) {
            Ok(None) => {}
            Ok(Some(true)) => return Stepped::On,
            Ok(Some(false)) => {
                self.end_of_stream(inlet);
                return Stepped::On;
            }
            Err(error) => {
                self.broken(inlet, error);
                return Stepped::On;
            }
        }
        let read = match self.patience(inlet, until, longest) {
            None => inlet.recv(self.tls.is_some(), RecvFlags::empty()),
            Some(patience) => match self.poll(inlet, patience) {
                Ok(true) => inlet.recv(self.tls.is_some(), RecvFlags::DONTWAIT),
                Ok(false) => Err(ErrorKind::WouldBlock.into()),
                Err(error) => Err(error),
            },
        };
        match read {
            Ok(0) => self.end_of_stream(inlet),
            Ok(count) => self.stats.wire_bytes_received.add(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Stepped::Interrupted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let now = Instant::now();
                self.expire(inlet, now);
                return if until.is_some_and(|until| until <= now) { Stepped::Late } else { Stepped::Interrupted };
            }
            Err(error) => self.broken(inlet, error),
        }
        Stepped::On
    }

    /// How long to poll; `None` when the socket's own time-out will do, and no clock is needed but for the caller's.
    fn patience(&self, inlet: &Inlet, until: Option<Instant>, longest: Duration) -> Option<Duration> {
        let full = self.full.load(Ordering::Acquire);
        if until.is_none() && !full && longest >= self.slice {
            return None;
        }
        let now = Instant::now();
        let left = until.map_or(longest, |until| until.saturating_duration_since(now).min(longest));
        if !full && left >= self.slice {
            return None;
        }
        let ping = inlet.keepalive.deadline().map_or(left, |at| at.saturating_duration_since(now).min(left));
        Some(if self.state() == OPEN { ping } else { left })
    }

    /// Waits until something can be read, and writes meanwhile what waits to be. False when nothing can be read.
    fn poll(&self, inlet: &Inlet, patience: Duration) -> io::Result<bool> {
        let Some(socket) = &inlet.socket else { return Ok(true) };
        let full = self.full.load(Ordering::Acquire);
        let wanted = if full { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut polled = [PollFd::new(socket, wanted)];
        poll(&mut polled, Some(&timespec(patience)))?;
        let [ready] = polled.map(|fd| fd.revents());
        if full && ready.contains(PollFlags::OUT) {
            self.flush();
        }
        // An error or a hang-up is found out by reading.
        Ok(!(ready - PollFlags::OUT).is_empty())
    }

    fn decrypt(&self, inlet: &mut Inlet) -> io::Result<Option<bool>> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let mut tls = lock(tls);
        let decrypted = inlet.decrypt(&mut tls);
        let answers = tls.wants_write();
        drop(tls);
        if answers {
            self.flush();
        }
        decrypted
    }

    /// Does what is due when nothing came.
    fn expire(&self, inlet: &mut Inlet, now: Instant) {
        if self.state() != OPEN {
            return;
        }
        match inlet.keepalive.expired(now) {
            KeepaliveAction::None => {}
            KeepaliveAction::Ping(payload) => {
                // Nothing sent for a whole interval: compression gives its memory back.
                let sent = self.stats.messages_sent.get();
                let idle = std::mem::replace(&mut inlet.sent_at_ping, sent) == sent;
                let mut outlet = lock(&self.outlet);
                if idle {
                    outlet.outbound.release();
                }
                if outlet.outbound.ping(&payload).is_ok() {
                    self.stats.pings_sent.add(1);
                }
                self.write(&mut outlet);
            }
            KeepaliveAction::Dead => {
                let failure = Failure::Keepalive(self.options.ping_timeout.unwrap_or_default());
                self.finish(inlet, Closed::abnormal(), Some(failure), false);
            }
        }
    }

    /// The peer has closed, or broken a rule: it is answered, and that is the end.
    fn conclude(&self, inlet: &mut Inlet) {
        if let Some(fault) = inlet.fault.take() {
            self.say_goodbye(Some(fault.close_frame()));
            self.finish(inlet, Closed::abnormal(), Some(Failure::Protocol(fault)), true);
            return;
        }
        let frame = inlet.received_close.clone().flatten();
        if let Some(trace) = &self.trace {
            trace.close(Direction::Received, frame.as_ref());
        }
        // The answer carries the code of the question (RFC 6455 section 5.5.1), and its reason.
        self.say_goodbye(frame.clone());
        let closed = match frame {
            Some(frame) => Closed { code: frame.code, reason: frame.reason, was_clean: true },
            None => Closed { code: 1005, reason: String::new(), was_clean: true },
        };
        self.finish(inlet, closed, None, true);
    }

    fn end_of_stream(&self, inlet: &mut Inlet) {
        let failure = lock(&self.outlet).failed.take().map(Failure::Transport);
        self.finish(inlet, Closed::abnormal(), failure, false);
    }

    fn broken(&self, inlet: &mut Inlet, error: io::Error) {
        self.finish(inlet, Closed::abnormal(), Some(Failure::Transport(error)), false);
    }

    // Sending

    /// Sends a text message: `None` when the operating system has all of it, else where it ends.
    pub fn send_text(&self, text: &str) -> Result<Option<u64>, Unsent> {
        let sent = self.send(text.len(), |outlet| outlet.outbound.text(text))?;
        if let Some(trace) = &self.trace {
            trace.text(Direction::Sent, text);
        }
        Ok(sent)
    }

    /// The same for a binary message.
    pub fn send_binary(&self, data: &[u8]) -> Result<Option<u64>, Unsent> {
        let sent = self.send(data.len(), |outlet| outlet.outbound.binary(data))?;
        if let Some(trace) = &self.trace {
            trace.binary(Direction::Sent, data);
        }
        Ok(sent)
    }

    fn send(
        &self,
        bytes: usize,
        append: impl FnOnce(&mut Outlet) -> Result<(), OutboundError>,
    ) -> Result<Option<u64>, Unsent> {
        let mut outlet = lock(&self.outlet);
        if self.state() != OPEN {
            return Err(Unsent::Closed);
        }
        match append(&mut outlet) {
            Ok(()) => {}
            // There is no bound: it is the callers who wait.
            Err(OutboundError::Frame(SendError::CloseSent { .. }) | OutboundError::Full { .. }) => {
                return Err(Unsent::Closed);
            }
            Err(OutboundError::Frame(error)) => return Err(Unsent::Frame(error)),
            Err(OutboundError::NoMemory { size }) => return Err(Unsent::Memory(size)),
        }
        self.stats.messages_sent.add(1);
        self.stats.bytes_sent.add(bytes);
        Ok(self.handed_over(&mut outlet))
    }

    /// Writes; `None` when the operating system has all, else where that ends.
    fn handed_over(&self, outlet: &mut Outlet) -> Option<u64> {
        let (end, _) = outlet.outbound.position();
        self.write(outlet);
        (!outlet.has_sent(end, self.tls.as_ref())).then_some(end)
    }

    /// Waits until the operating system has all up to a position: one step. `None` when it has.
    pub fn wait_sent(&self, position: u64) -> Option<Stepped> {
        if self.state() == CLOSED {
            return None;
        }
        let (socket, failed) = {
            let mut outlet = lock(&self.outlet);
            self.write(&mut outlet);
            if outlet.has_sent(position, self.tls.as_ref()) {
                return None;
            }
            (outlet.socket.clone(), outlet.failed.is_some())
        };
        // A peer that waits for us to read, before it reads itself, is read; and heard, if it has closed.
        if let Some(stepped) = self.read_aside(None) {
            return Some(stepped);
        }
        if failed {
            // Whoever receives finds out; or nobody can read any more.
            return Some(self.wait_for_others(None));
        }
        let socket = socket?;
        match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&timespec(TURN))) {
            Ok(_) => Some(Stepped::On),
            Err(_) => Some(Stepped::Interrupted),
        }
    }

    /// Whether a message up to this position was written, or never will be.
    pub fn has_failed(&self, position: u64) -> bool {
        let outlet = lock(&self.outlet);
        !outlet.has_sent(position, self.tls.as_ref())
    }

    /// Sends a ping; with [`ponged`](Self::ponged) its sender learns of the answer. False when such a ping is on its way.
    pub fn ping(&self, payload: &[u8]) -> Result<bool, Unsent> {
        let mut outlet = lock(&self.outlet);
        if self.state() != OPEN {
            return Err(Unsent::Closed);
        }
        if !lock(&self.pings).sent(payload, Instant::now()) {
            return Ok(false);
        }
        match outlet.outbound.ping(payload) {
            Ok(()) => {}
            Err(OutboundError::Frame(error)) => {
                lock(&self.pings).forget(payload);
                return Err(Unsent::Frame(error));
            }
            Err(OutboundError::Full { .. } | OutboundError::NoMemory { .. }) => return Err(Unsent::Closed),
        }
        self.stats.pings_sent.add(1);
        self.write(&mut outlet);
        Ok(true)
    }

    /// The time until the pong to this ping, once it has come.
    pub fn ponged(&self, payload: &[u8]) -> Option<Duration> {
        lock(&self.pings).taken(payload)
    }

    /// Nobody waits for the pong any more.
    pub fn forget_ping(&self, payload: &[u8]) {
        lock(&self.pings).forget(payload);
    }

    /// How many bytes of messages wait, if that is more than may.
    pub fn overfull(&self) -> Option<usize> {
        let held = self.inlet.try_lock().map_or(0, |inlet| inlet.held());
        (held > self.options.receive_buffer).then_some(held)
    }

    /// Waits for something that is read, but no message: one step. Messages that come are kept.
    pub fn wait_aside(&self, until: Option<Instant>) -> Stepped {
        self.read_aside(until).unwrap_or_else(|| self.wait_for_others(until))
    }

    // Closing

    /// Begins the close handshake. False when the connection has ended already.
    pub fn begin_close(&self, code: Option<u16>, reason: &str) -> bool {
        let frame = code.map(|code| CloseFrame::new(code, reason));
        if self.state.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.say_goodbye(frame);
        }
        self.state() != CLOSED
    }

    /// Waits for the end: one step. At `until` there is no more patience, and it ends without an answer.
    pub fn wait_closed(&self, until: Instant) -> Stepped {
        let stepped = self.wait_aside(Some(until));
        if stepped == Stepped::Late {
            match self.inlet.try_lock() {
                Ok(mut inlet) => self.end_of_stream(&mut inlet),
                // Whoever reads sees the end of the stream.
                Err(_) => self.cut(),
            }
        }
        stepped
    }

    /// Ends the stream, both ways, under whoever waits for it.
    fn cut(&self) {
        if let Some(socket) = &*lock(&self.socket) {
            let _ = shutdown(socket, Shutdown::Both);
        }
    }

    /// The process ends: the peer is told, if that needs no waiting.
    pub(in crate::net) fn leave(&self) {
        if self.state.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok()
            && let Ok(mut outlet) = self.outlet.try_lock()
        {
            let _ = outlet.outbound.close(Some(CloseFrame::new(1001, "")));
            outlet.flush(self.tls.as_ref(), &self.stats);
        }
    }

    fn say_goodbye(&self, frame: Option<CloseFrame>) {
        let mut outlet = lock(&self.outlet);
        if let Some(trace) = self.trace.as_ref().filter(|_| outlet.outbound.sent_close().is_none()) {
            trace.close(Direction::Sent, frame.as_ref());
        }
        // A code that must not be on the wire is refused by whoever offers close() to users.
        let _ = outlet.outbound.close(frame);
        self.write(&mut outlet);
    }

    /// The connection has ended. Only the first call does something. With `linger` the peer may still have something to
    /// send, and has to close TCP first (RFC 6455 section 7.1.1); that is waited for in the background.
    fn finish(&self, inlet: &mut Inlet, closed: Closed, failure: Option<Failure>, linger: bool) {
        {
            let mut end = lock(&self.end);
            if end.is_some() {
                return;
            }
            self.core.totals.closed(&closed);
            *end = Some(Arc::new(End { closed, failure }));
            self.state.store(CLOSED, Ordering::Release);
        }
        self.core.retire_blocking(self.id, &Snapshot { buffered_bytes: 0, ..self.stats.snapshot() });
        {
            let mut outlet = lock(&self.outlet);
            if let Some(tls) = &self.tls {
                lock(tls).send_close_notify();
            }
            outlet.flush(self.tls.as_ref(), &self.stats);
            outlet.socket = None;
        }
        inlet.socket = None;
        if let Some(socket) = lock(&self.socket).take() {
            let _ = shutdown(&*socket, if linger { Shutdown::Write } else { Shutdown::Both });
            if let Some(ours) = linger.then(|| socket.try_clone().ok()).flatten() {
                self.core.handle().spawn(super::linger(ours));
            }
        }
        if let Some(trace) = &self.trace {
            // After the end the application may read the trace.
            let (written, done) = mpsc::channel();
            trace.finish(move || {
                let _ = written.send(());
            });
            let _ = done.recv_timeout(TRACE_PATIENCE);
        }
        self.changed.notify_all();
    }

    // Inside

    fn write(&self, outlet: &mut Outlet) {
        outlet.flush(self.tls.as_ref(), &self.stats);
        let full = outlet.is_full();
        if full != self.full.load(Ordering::Relaxed) {
            self.full.store(full, Ordering::Release);
        }
    }

    fn flush(&self) {
        self.write(&mut lock(&self.outlet));
    }

    /// Reads for a thread that wants no message, if no other one does. `None`: another thread reads, or too much is kept.
    fn read_aside(&self, until: Option<Instant>) -> Option<Stepped> {
        let mut inlet = self.aside()?;
        let stepped = self.read(&mut inlet, until, TURN);
        if stepped == Stepped::On {
            inlet.keep(self);
        }
        Some(stepped)
    }

    fn aside(&self) -> Option<MutexGuard<'_, Inlet>> {
        let receiving = self.receiving.load(Ordering::Acquire);
        if receiving != 0 && receiving != here() {
            return None;
        }
        let inlet = match self.inlet.try_lock() {
            Ok(inlet) => inlet,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        (inlet.held() <= self.options.receive_buffer || self.state() != OPEN).then_some(inlet)
    }

    /// Waits for what another thread finds out.
    fn wait_for_others(&self, until: Option<Instant>) -> Stepped {
        let now = Instant::now();
        if until.is_some_and(|until| until <= now) {
            return Stepped::Late;
        }
        let left = until.map_or(TURN, |until| (until - now).min(TURN));
        let end = lock(&self.end);
        if end.is_none() {
            drop(self.changed.wait_timeout(end, left));
        }
        Stepped::Interrupted
    }
}

impl Receiving<'_> {
    /// Shows the next message to `take`. It does not wait: when another thread is reading just now, there is nothing.
    pub fn next<T>(&self, take: impl FnOnce(Data<'_>) -> Result<T, InvalidText>) -> Next<T> {
        match self.0.inlet.try_lock() {
            Ok(mut inlet) => inlet.next(self.0, take),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().next(self.0, take),
            Err(TryLockError::WouldBlock) => Next::Nothing,
        }
    }

    /// Gives the room that `next` wanted, of that size.
    pub fn begin(&self, room: Box<dyn Room>) {
        lock(&self.0.inlet).begin(room);
    }

    /// Waits until there may be something: one step.
    pub fn wait(&self, until: Option<Instant>) -> Stepped {
        let mut inlet = lock(&self.0.inlet);
        if inlet.keeps() { Stepped::On } else { self.0.read(&mut inlet, until, LONGEST_WAIT) }
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.0.receiving.store(0, Ordering::Release);
    }
}

impl Port for BlockingConnection {
    fn message(&self, data: &Data<'_>, length: usize) {
        self.stats.messages_received.add(1);
        self.stats.bytes_received.add(length);
        if let Some(trace) = &self.trace {
            match data {
                Data::Text(text) => trace.text(Direction::Received, text),
                Data::Binary(bytes) => trace.binary(Direction::Received, bytes),
                Data::Unchecked(_) | Data::Room(_) => {}
            }
        }
    }

    fn ping(&self, payload: &[u8]) {
        let mut outlet = lock(&self.outlet);
        outlet.outbound.pong(payload);
        self.write(&mut outlet);
    }

    fn pong(&self, keepalive: &mut Keepalive, payload: &[u8]) {
        self.stats.pongs_received.add(1);
        let now = Instant::now();
        let latency = match keepalive.pong(payload, now) {
            Some(latency) => Some(latency),
            None => lock(&self.pings).answered(payload, now),
        };
        if let Some(latency) = latency {
            self.stats.latency_ns.set(latency.as_nanos() as u64);
            self.core.totals.latency.record(latency);
            self.changed.notify_all();
        }
    }

    fn drops(&self) -> bool {
        self.state() != OPEN
    }

    fn reads_long(&self) -> bool {
        self.trace.is_none()
    }
}

impl Drop for BlockingConnection {
    fn drop(&mut self) {
        // Nobody closed it.
        if self.state() != CLOSED {
            self.core.totals.closed(&Closed::abnormal());
            self.core.retire_blocking(self.id, &self.stats.snapshot());
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as _, tv_nsec: duration.subsec_nanos().into() }
}

/// This thread, as a number that is not 0.
fn here() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here) as usize)
}
