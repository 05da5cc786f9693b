//! The server that WebSocket clients are compared on: one thread, one epoll, frames made beforehand, plain and TLS.
//!
//! It does as little as a server can, so that the client is what is measured: it counts what comes without unmasking it,
//! and what it sends is shared by all connections. The path says what a connection does:
//!
//! | path | what it does |
//! |---|---|
//! | `/echo` | answers each message with one of the same size and kind |
//! | `/flood/SIZE/MS` | after a first message, sends messages of its kind for so long, as fast as they are taken |
//! | `/sink` | counts messages; one of 4 bytes is answered with the number |
//! | `/media` | gets a frame every 20 ms when the harness says so, and is to send each back at once |
//! | `/idle` | nothing |
//! | `/slow/MS` | nothing, but its answer to a close takes so long |
//!
//! Job: `certificate` and `key`, paths of PEM files; without them there is no TLS. Says `port` and `tls_port`; hears
//! `{"seconds": …}` to pace the media connections, and says what came back. Ends with its stdin.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::{Value, json};
use voxwire_benches::harness;
use voxwire_benches::server::{Connection, Replies};

const PLAIN: u64 = u64::MAX;
const SECURE: u64 = u64::MAX - 1;
const HARNESS: u64 = u64::MAX - 2;
const CLOCK: u64 = u64::MAX - 3;
const SLOTS: usize = 20;
const TICK: Duration = Duration::from_millis(1);
/// For what is still under way after the last frame.
const PATIENCE: Duration = Duration::from_millis(1500);
/// An echo that comes later than this was not in time.
const IN_TIME: i64 = 100_000_000;

struct Server {
    poll: Epoll,
    listeners: [Option<TcpListener>; 2],
    tls: Option<Arc<ServerConfig>>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Connections whose answer to a close has to wait.
    slow: Vec<usize>,
    replies: Replies,
    room: Vec<u8>,
    waits: HashMap<usize, bool>,
}

fn main() -> io::Result<()> {
    let job = harness::job()?;
    harness::many_files()?;
    let tls = tls(&job)?;
    let plain = listen()?;
    let secure = tls.as_ref().map(|_| listen()).transpose()?;
    let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    poll.add(&plain, EpollEvent::new(EpollFlags::EPOLLIN, PLAIN))?;
    if let Some(listener) = &secure {
        poll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, SECURE))?;
    }
    poll.add(io::stdin().as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, HARNESS))?;
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    harness::say(&json!({"port": port(&plain)?, "tls_port": secure.as_ref().map(port).transpose()?}));
    let mut server = Server {
        poll,
        listeners: [Some(plain), secure],
        tls,
        connections: Vec::new(),
        free: Vec::new(),
        slow: Vec::new(),
        replies: Replies::default(),
        room: vec![0; 256 * 1024],
        waits: HashMap::new(),
    };
    loop {
        if server.serve(server.patience())? {
            let Some(order) = harness::hear()? else { return Ok(()) };
            let result = server.pace(Duration::from_secs_f64(order["seconds"].as_f64().unwrap_or(1.0)))?;
            harness::say(&result);
        }
    }
}

fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn tls(job: &Value) -> io::Result<Option<Arc<ServerConfig>>> {
    let (Some(certificate), Some(key)) = (job["certificate"].as_str(), job["key"].as_str()) else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(io::Error::other)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    Ok(Some(Arc::new(config.map_err(io::Error::other)?)))
}

impl Server {
    /// How long there may be nothing to do.
    fn patience(&self) -> EpollTimeout {
        if self.slow.is_empty() { EpollTimeout::NONE } else { EpollTimeout::from(1u8) }
    }

    /// Takes what comes next; whether the harness has said something.
    fn serve(&mut self, timeout: EpollTimeout) -> io::Result<bool> {
        let mut events = [EpollEvent::empty(); 1024];
        let count = match self.poll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        let (mut accept, mut told) = ([false; 2], false);
        for event in &events[..count] {
            match event.data() {
                PLAIN => accept[0] = true,
                SECURE => accept[1] = true,
                HARNESS => told = true,
                CLOCK => {} // who paces looks at the time
                index => self.attend(index as usize, event.events()),
            }
        }
        for index in std::mem::take(&mut self.slow) {
            self.attend(index, EpollFlags::empty());
        }
        // New connections last: they may get the place of one that has just gone.
        for (secure, _) in accept.iter().enumerate().filter(|(_, accept)| **accept) {
            self.accept(secure)?;
        }
        Ok(told)
    }

    fn accept(&mut self, secure: usize) -> io::Result<()> {
        let Some(listener) = &self.listeners[secure] else { return Ok(()) };
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let tls = match &self.tls {
                Some(config) if secure == 1 => {
                    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                    tls.set_buffer_limit(None);
                    Some(tls)
                }
                _ => None,
            };
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            self.waits.insert(index, false);
            self.connections[index] = Some(Connection::new(socket, tls));
        }
    }

    /// Reads, answers and writes what there is for one connection.
    fn attend(&mut self, index: usize, ready: EpollFlags) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let readable = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        let alive = (!ready.intersects(readable) || connection.read(&mut self.room, &mut self.replies).is_ok())
            && connection.write(&mut self.replies).is_ok()
            && !connection.over();
        if !alive {
            self.connections[index] = None;
            self.free.push(index);
            return;
        }
        if connection.closes_later() {
            self.slow.push(index);
        }
        self.watch(index);
    }

    /// Asks to be told when a socket takes bytes again, while there are some for it.
    fn watch(&mut self, index: usize) {
        let Some(connection) = &self.connections[index] else { return };
        let wanted = connection.waits();
        if self.waits.insert(index, wanted) != Some(wanted) {
            let events = if wanted { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            let _ = self.poll.modify(&connection.socket, &mut EpollEvent::new(events, index as u64));
        }
    }

    /// Sends each media connection a frame every 20 ms (in steps of 1 ms, which spread them) and tells what came back.
    fn pace(&mut self, time: Duration) -> io::Result<Value> {
        let media: Vec<usize> = (0..self.connections.len())
            .filter(|&index| self.connections[index].as_ref().is_some_and(Connection::is_media))
            .collect();
        let frame: Rc<[u8]> = self.replies.media();
        let used = harness::cpu_seconds()?;
        // A timer of its own wakes it: the time-out of epoll is in milliseconds, and looking all the time would be CPU time.
        let clock = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        self.poll.add(&clock, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, CLOCK))?;
        let (began, mut own, mut sent) = (Instant::now() + TICK, Vec::new(), 0);
        for tick in 0..(time.as_millis() as usize) {
            let due = began + TICK * tick as u32;
            loop {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                clock.set(Expiration::OneShot(left.into()), TimerSetTimeFlags::empty())?;
                self.serve(EpollTimeout::NONE)?;
            }
            for &index in media.iter().skip(tick % SLOTS).step_by(SLOTS) {
                let Some(connection) = self.connections[index].as_mut() else { continue };
                own.push(due.elapsed().as_nanos() as i64);
                sent += 1;
                if connection.send_media(&frame, &mut self.replies).is_ok() {
                    self.watch(index);
                }
            }
        }
        drop(clock);
        let until = Instant::now() + PATIENCE;
        let returned = |server: &Self| server.media(&media).map(|connection| connection.echoes.len()).sum::<usize>();
        while Instant::now() < until && returned(self) < sent {
            self.serve(EpollTimeout::from(1u8))?;
        }
        let mut late: Vec<i64> = self.media(&media).flat_map(|connection| connection.echoes.iter().copied()).collect();
        late.sort_unstable();
        own.sort_unstable();
        for &index in &media {
            if let Some(connection) = &mut self.connections[index] {
                connection.echoes.clear();
            }
        }
        Ok(json!({
            "connections": media.len(),
            "sent": sent,
            "received": late.len(),
            "in_time": late.partition_point(|&late| late <= IN_TIME),
            "lateness": percentiles(&late),
            "own_lateness": percentiles(&own),
            "server_cpu": harness::cpu_seconds()? - used,
        }))
    }

    fn media<'a>(&'a self, media: &'a [usize]) -> impl Iterator<Item = &'a Connection> {
        media.iter().filter_map(|&index| self.connections[index].as_ref())
    }
}

/// Seconds; null when there is nothing. `values` are sorted nanoseconds.
fn percentiles(values: &[i64]) -> Value {
    let at = |percent: usize| {
        let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
        values.get(index).map(|&value| value as f64 / 1e9)
    };
    json!({"p50": at(50), "p99": at(99), "max": at(100)})
}
