//! The floor of the bridge cases: copies each frame from one socket to the other. One read and one write a frame, the
//! mask that the protocol wants, no JSON, no audio, no clock.
//!
//! Job: `agent_port`, `threads`. Says its `port`; ends with its stdin. Compare `bridge_voxwire.py`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde_json::json;
use voxwire_benches::harness;
use voxwire_benches::websocket::{self, Head};

/// Sockets in all; two a call.
const SOCKETS: usize = 16_384;
const READ: usize = 64 * 1024;

/// One socket, and what is under way from it to its twin.
struct Leg {
    socket: TcpStream,
    /// Whether frames from here are masked by us on their way: the twin is a server, then.
    masks: bool,
    way: Mutex<Way>,
}

#[derive(Default)]
struct Way {
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    /// Frames that the twin has not taken.
    waiting: Vec<u8>,
    /// For the masking keys.
    random: u32,
}

/// All sockets; the twin of `n` is `n ^ 1`.
type Table = Arc<[OnceLock<Leg>]>;

fn main() -> io::Result<()> {
    let job = harness::job()?;
    let agent_port = harness::number(&job, "agent_port")? as u16;
    let threads = harness::number(&job, "threads")?.max(1) as usize;
    harness::many_files()?;
    let table: Table = (0..SOCKETS).map(|_| OnceLock::new()).collect();
    let mut polls = Vec::new();
    for _ in 0..threads {
        let poll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        polls.push(Arc::clone(&poll));
        let table = Arc::clone(&table);
        thread::spawn(move || relay(&table, &poll));
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    harness::say(&json!({"port": listener.local_addr()?.port()}));
    thread::spawn(move || {
        for call in 0..SOCKETS / 2 {
            if let Err(error) = accept(&listener, agent_port, &table, call, &polls[call % threads]) {
                eprintln!("relay: {error}");
            }
        }
    });
    while harness::hear()?.is_some() {}
    Ok(())
}

/// Sets one call up.
fn accept(listener: &TcpListener, agent_port: u16, table: &Table, call: usize, poll: &Epoll) -> io::Result<()> {
    let (caller, _) = listener.accept()?;
    let request = websocket::read_request(&caller)?;
    let agent = TcpStream::connect(("127.0.0.1", agent_port))?;
    websocket::request(&agent, agent_port)?;
    websocket::finish(&agent)?;
    websocket::answer(&caller, &request)?;
    let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
    for (side, socket) in [caller, agent].into_iter().enumerate() {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        // We are the server of the caller and the client of the agent: only what goes there is masked by us.
        let way = Way { random: 0x9E37_79B9 ^ call as u32, ..Way::default() };
        let _ = table[call * 2 + side].set(Leg { socket, masks: side == 0, way: Mutex::new(way) });
    }
    for index in [call * 2, call * 2 + 1] {
        if let Some(leg) = table[index].get() {
            poll.add(&leg.socket, EpollEvent::new(events, index as u64))?;
        }
    }
    Ok(())
}

fn relay(table: &Table, poll: &Epoll) {
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut room = vec![0; READ];
    let mut out = Vec::new();
    loop {
        let Ok(count) = poll.wait(&mut events, EpollTimeout::NONE) else { continue };
        for event in &events[..count] {
            let index = event.data() as usize;
            let (Some(leg), Some(twin)) = (table[index].get(), table[index ^ 1].get()) else { continue };
            let ready = event.events();
            if ready.contains(EpollFlags::EPOLLOUT) {
                // Mostly the event that says the socket can be read; the way is empty then.
                let mut back = twin.way.lock().unwrap_or_else(PoisonError::into_inner);
                if !back.waiting.is_empty() {
                    let mut waiting = std::mem::take(&mut back.waiting);
                    write(&leg.socket, &mut waiting);
                    back.waiting = waiting;
                }
            }
            let mut way = leg.way.lock().unwrap_or_else(PoisonError::into_inner);
            let over = ready.intersects(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
            loop {
                match (&leg.socket).read(&mut room) {
                    Ok(0) => {
                        let _ = twin.socket.shutdown(std::net::Shutdown::Both);
                        break;
                    }
                    Ok(size) => {
                        out.clear();
                        forward(&mut way, leg.masks, &mut room[..size], &mut out);
                        if !way.waiting.is_empty() {
                            way.waiting.extend_from_slice(&out);
                        } else if !out.is_empty() {
                            write(&twin.socket, &mut out);
                            way.waiting.extend_from_slice(&out);
                        }
                        // The socket was emptied; the next byte is a new event.
                        if size < READ && !over {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// Turns the frames in `data` into frames for the twin; what is incomplete waits for the next read.
fn forward(way: &mut Way, masks: bool, data: &mut [u8], out: &mut Vec<u8>) {
    if !way.partial.is_empty() {
        let mut all = std::mem::take(&mut way.partial);
        all.extend_from_slice(data);
        return forward(way, masks, &mut all, out);
    }
    let mut rest = data;
    while let Some(head) = Head::parse(rest).filter(|head| head.total() <= rest.len()) {
        let (frame, after) = rest.split_at_mut(head.total());
        way.random = way.random.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        let key = masks.then(|| way.random.to_le_bytes());
        websocket::put_head(out, head.first, head.payload, key);
        let at = out.len();
        out.extend_from_slice(&frame[head.length..]);
        // Out of one mask and into another is one pass.
        let change = u32::from_ne_bytes(head.key.unwrap_or_default()) ^ u32::from_ne_bytes(key.unwrap_or_default());
        if change != 0 {
            websocket::mask(&mut out[at..], change.to_ne_bytes());
        }
        rest = after;
    }
    way.partial.extend_from_slice(rest);
}

/// Writes what the socket takes; the rest stays in `bytes`.
fn write(mut socket: &TcpStream, bytes: &mut Vec<u8>) {
    match socket.write(bytes) {
        Ok(written) if written == bytes.len() => bytes.clear(),
        Ok(written) => drop(bytes.drain(..written)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        // The twin has gone: the event of its socket ends the call.
        Err(_) => bytes.clear(),
    }
}
