//! The shared handle on one connection: what any thread may ask of it. Its socket belongs to its task (`driver`).
//!
//! Locks, in the order in which they may nest: reading, streams, legs of its routes, junction of a target, io of the target. The
//! reader (the task, or the loop's thread) and the pacer lock streams, the pacer then the legs, a leg its junction, a junction the io of its target.
//! Nothing is locked while waiting.

mod looped;
mod play;
mod send;
mod together;

use looped::Looped;
pub use looped::Turn;
pub(super) use send::Delivery;
pub(super) use together::LastWrite;
pub use together::{LoopTurn, Sent, write_held};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::proto::{CloseFrame, Role};
use crate::session::Streams;

use super::driver::{self, Reading};
use super::error::Failure;
use super::io::Io;
use super::mailbox::{Closed, Counted, Mailbox, Notice};
use super::options::Options;
use super::pacer::Slot;
use super::pressure::Pressure;
use super::route::Fanout;
use super::runtime::{Core, lock};
use super::stats::{Snapshot, Stats};
use super::totals::ProcessSnapshot;
use super::trace::{Direction, Trace};

/// One connection, either role, at any time of its life.
pub struct Connection {
    id: u64,
    role: Role,
    pub(super) core: Arc<Core>,
    mailbox: Arc<Counted>,
    /// Those who have the same share them.
    pub(super) options: Arc<Options>,
    phase: Mutex<Phase>,
    /// How it is read, from open to the end.
    reading: Mutex<Option<Box<Reading>>>,
    looped: Looped,
    /// Wakes the task: something to write, reading may go on, or the end was asked for.
    pub(super) wake: Notify,
    cancelled: AtomicBool,
    /// `close` was called: messages are dropped from here on, as browsers do.
    closing: AtomicBool,
    aborted: AtomicBool,
    /// Messages that the application has not handled, and whether reading waits for it.
    pressure: Pressure,
    /// It takes the place of one that was lost.
    again: AtomicBool,
    /// Payloads of the application's pings that wait for their pong, oldest first.
    pings: Mutex<VecDeque<Box<[u8]>>>,
    drain_wanted: AtomicBool,
    /// Payload bytes that were never sent: WHATWG counts them as buffered for ever.
    unsent: AtomicUsize,
    pub(super) streams: Option<Box<Mutex<Streams>>>,
    fanout: Fanout,
    slot: Slot,
    pub(super) stats: Stats,
    pub(super) trace: OnceLock<Trace>,
    addresses: OnceLock<(SocketAddr, SocketAddr)>,
    /// The connection's task waits for this before it does anything.
    starter: Mutex<Option<oneshot::Sender<()>>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

#[expect(clippy::option_option, reason = "a close frame may carry no code")]
enum Phase {
    /// Not open yet. Media messages wait here, so that a route to a connection that is being made loses nothing; so
    /// does a close of an accepted connection.
    Connecting {
        media: Vec<Vec<u8>>,
        bytes: usize,
        close: Option<Option<CloseFrame>>,
    },
    Open(Box<Io>),
    Closed,
}

/// What a message costs besides its payload while it waits for the application.
pub(super) const MESSAGE_OVERHEAD: usize = 128;

impl Connection {
    pub(super) fn new(
        core: Arc<Core>,
        mailbox: Arc<dyn Mailbox>,
        role: Role,
        options: Arc<Options>,
    ) -> std::io::Result<Arc<Self>> {
        let id = core.next_id();
        let mailbox = Arc::new(Counted::new(mailbox));
        let connection = Arc::new(Self {
            id,
            role,
            fanout: Fanout::new(id, Arc::<Counted>::clone(&mailbox)),
            mailbox,
            phase: Mutex::new(Phase::Connecting { media: Vec::new(), bytes: 0, close: None }),
            reading: Mutex::default(),
            looped: Looped::default(),
            wake: Notify::new(),
            cancelled: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            pressure: Pressure::new(options.receive_buffer),
            again: AtomicBool::new(false),
            pings: Mutex::default(),
            drain_wanted: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            streams: options.media.map(|config| Box::new(Mutex::new(Streams::new(config)))),
            slot: Slot::new(),
            stats: Stats::default(),
            trace: OnceLock::new(),
            addresses: OnceLock::new(),
            starter: Mutex::default(),
            options,
            core,
        });
        if let Some(path) = &connection.options.trace {
            connection.trace_to(path)?;
        }
        connection.core.add(&connection);
        Ok(connection)
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Which side of the handshake we are.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Local and remote address, when there is a socket that has some.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.addresses.get().copied()
    }

    /// Whether nothing of what the peer sends may be in an error's message.
    pub fn is_private(&self) -> bool {
        self.options.privacy
    }

    /// Appends every message from now on to this text file. Once; later calls change nothing.
    pub fn trace_to(&self, path: &Path) -> std::io::Result<()> {
        let trace = Trace::open(path, &self.core.files)?;
        let _ = self.trace.set(trace);
        Ok(())
    }

    /// Begins the close handshake, or ends the attempt to connect. `None` sends no code.
    pub fn close(&self, code: Option<u16>, reason: &str) {
        let frame = code.map(|code| CloseFrame::new(code, reason));
        if let Some(trace) = self.trace.get() {
            trace.close(Direction::Sent, frame.as_ref());
        }
        self.closing.store(true, Ordering::Release);
        if let Phase::Connecting { close, .. } = &mut *lock(&self.phase) {
            self.cancelled.store(true, Ordering::Release);
            close.get_or_insert(frame.clone());
        }
        // A code that must not be on the wire is refused by whoever offers close() to users.
        self.with_open(|io| drop(io.outbound.close(frame)));
        self.reading_changed();
        // A connection that nobody started cannot see the close: it starts now, to end.
        self.start();
    }

    /// Closes from inside: no user chose the code.
    pub(super) fn close_internal(&self, code: u16, reason: &str) {
        self.close(Some(code), reason);
    }

    /// Drops the TCP connection; `Notice::Close` 1006 follows.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.cancelled.store(true, Ordering::Release);
        self.wake.notify_one();
        self.start();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(&*lock(&self.phase), Phase::Closed)
    }

    /// Returns when the attempt to connect was given up by `close`.
    pub(super) async fn cancelled(&self) {
        while !self.cancelled.load(Ordering::Acquire) {
            self.wake.notified().await;
        }
    }

    /// Begins to connect, or to read an accepted connection; `Notice::Open` follows. Later calls do nothing.
    pub fn start(&self) {
        if let Some(starter) = lock(&self.starter).take() {
            let _ = starter.send(());
        }
    }

    pub(super) fn wait_for_start(&self) -> oneshot::Receiver<()> {
        let (starter, started) = oneshot::channel();
        *lock(&self.starter) = Some(starter);
        started
    }

    /// A message that costs this much was posted.
    pub(super) fn charge(&self, cost: usize) {
        self.pressure.charge(cost, || self.reading_changed());
    }

    /// This connection takes the place of one that was lost: what the application has not handled of its messages counts
    /// here, so that however often a connection is lost, no more waits than `receive_buffer`. What was paused stays so.
    pub fn take_over(&self, lost: &Self, unhandled: usize) {
        if let (Some(streams), Some(before)) = (&self.streams, &lost.streams) {
            let pauses = lock(before).pauses().clone();
            lock(streams).take_over(pauses);
        }
        self.again.store(true, Ordering::Release);
        self.charge(unhandled);
    }

    /// The application has handled messages that cost this much.
    pub fn release(&self, cost: usize) {
        if cost > 0 {
            self.pressure.release(cost, || self.reading_changed());
        }
    }

    /// Whether nothing is read because the application has enough to handle.
    pub fn is_paused(&self) -> bool {
        self.pressure.is_paused()
    }

    /// Whether reading would wait if messages that cost this much were posted.
    pub(super) fn is_full_with(&self, cost: usize) -> bool {
        self.pressure.is_full_with(cost)
    }

    /// What a message of this length costs.
    pub fn cost(length: usize) -> usize {
        length + MESSAGE_OVERHEAD
    }

    /// The handshake is done: from here on messages can be sent.
    pub(super) fn open(
        self: &Arc<Self>,
        opened: driver::Opened,
        addresses: Option<(SocketAddr, SocketAddr)>,
        notice: Notice,
    ) -> driver::Ends {
        let driver::Opened { socket, mut io, reading, mut rest } = opened;
        self.set_addresses(addresses);
        let mut phase = lock(&self.phase);
        if let Phase::Connecting { media, close, .. } = &mut *phase {
            for json in media.drain(..) {
                if let Ok(text) = std::str::from_utf8(&json) {
                    let _ = io.outbound.media(text);
                }
            }
            if let Some(frame) = close.take() {
                let _ = io.outbound.close(frame);
            }
        }
        *phase = Phase::Open(Box::new(io));
        drop(phase);
        self.core.totals.opened.add(1);
        if self.again.load(Ordering::Acquire) {
            self.core.totals.reconnects.add(1);
        }
        // Locked until what came with the handshake is taken: nobody reads on before.
        let mut slot = lock(&self.reading);
        let reading = slot.insert(Box::new(reading));
        self.begin_on_loop();
        self.post_one(notice);
        reading.take(self, &mut rest);
        if reading.is_over() {
            self.leave_loop();
        }
        driver::Ends { socket }
    }

    pub(super) fn set_addresses(&self, addresses: Option<(SocketAddr, SocketAddr)>) {
        if let Some(addresses) = addresses {
            let _ = self.addresses.set(addresses);
        }
    }

    pub(super) fn post_one(&self, notice: Notice) {
        self.mailbox.post_one(self.id, notice);
    }

    pub(super) fn post(&self, notices: &mut Vec<Notice>) {
        if !notices.is_empty() {
            let cost = notices.iter().map(Notice::cost).sum();
            if cost > 0 {
                self.charge(cost);
            }
            self.mailbox.post(self.id, notices);
        }
    }

    /// The connection has ended: the last thing its task does with it.
    pub(super) fn finish(&self, result: Result<Closed, Failure>) {
        let before = std::mem::replace(&mut *lock(&self.phase), Phase::Closed);
        let was_open = matches!(before, Phase::Open(_));
        if let Phase::Open(io) = before {
            self.unsent.fetch_add(io.outbound.buffered(), Ordering::Relaxed);
        }
        let now = Instant::now();
        let mut notices = Vec::new();
        if let Some(streams) = &self.streams {
            let mut streams = lock(streams);
            streams.finish(&mut |output| self.play(now, &output, &mut notices));
        }
        // What was played is told of before the end of its routes.
        self.post(&mut notices);
        self.fanout.close();
        self.core.routes.target_gone(self.id);
        let closed = result.unwrap_or_else(|failure| {
            notices.push(Notice::Error(failure));
            Closed::abnormal()
        });
        if was_open {
            self.core.totals.closed(&closed);
        } else {
            self.core.totals.failed.add(1);
        }
        notices.push(Notice::Close(closed));
        self.core.retire(self.id, &Snapshot { unhandled_bytes: 0, buffered_bytes: 0, ..self.statistics() });
        match self.trace.get() {
            None => self.post(&mut notices),
            // After CLOSE the application may read the trace.
            Some(trace) => {
                let (mailbox, id) = (Arc::clone(&self.mailbox), self.id);
                trace.finish(move || mailbox.post(id, &mut notices));
            }
        }
    }

    /// Counters at this moment.
    pub fn statistics(&self) -> Snapshot {
        let mut snapshot = self.stats.snapshot();
        if let Some(streams) = &self.streams {
            let counters = lock(streams).counters();
            snapshot.media_frames_received = counters.received;
            snapshot.media_lost = counters.lost;
            snapshot.media_duplicates = counters.duplicates;
            snapshot.media_discarded = counters.discarded;
            snapshot.media_concealed = counters.concealed;
            snapshot.media_concealed_gaps = counters.concealed_gaps;
            snapshot.media_recovered = counters.recovered;
            snapshot.media_adjusted = counters.adjusted;
            snapshot.media_streams_refused = counters.refused;
        }
        snapshot.unhandled_bytes = self.pressure.unhandled() as u64;
        if let Phase::Open(io) = &*lock(&self.phase) {
            snapshot.buffered_bytes = io.outbound.buffered() as u64;
        }
        snapshot
    }

    /// Adds this connection, which has not ended, to the counters of the process.
    pub(super) fn add_to(&self, process: &mut ProcessSnapshot) {
        process.sums += &self.statistics();
        match &*lock(&self.phase) {
            Phase::Connecting { .. } => process.connecting += 1,
            Phase::Open(_) => process.open += 1,
            Phase::Closed => {}
        }
    }

    /// A ping was answered after this time.
    pub(super) fn answered(&self, latency: Duration) {
        self.stats.latency_ns.set(latency.as_nanos() as u64);
        self.core.totals.latency.record(latency);
    }

    /// Runs `work` on how it is read; `None` before it is open and after its end. Whoever posts what was read does so here,
    /// or the loop might read on and overtake it.
    pub(super) fn with_reading<T>(&self, work: impl FnOnce(&mut Reading) -> T) -> Option<T> {
        lock(&self.reading).as_deref_mut().map(work)
    }

    /// Runs the task of an open connection to its end; then drops `guard`. A task of its own: what the handshake needed must
    /// not stay for the life of the connection.
    pub(super) fn run(self: &Arc<Self>, ends: driver::Ends, guard: impl Send + 'static) {
        let connection = Arc::clone(self);
        self.core.handle().spawn(async move {
            let mut driver = driver::Driver::new(connection, ends.socket);
            let (result, rest) = driver.run().await;
            let connection = driver.into_connection();
            drop(lock(&connection.reading).take());
            connection.finish(result);
            // The application knows; what is left is manners towards the peer.
            drop(connection);
            rest.linger().await;
            drop(guard);
        });
    }
}
