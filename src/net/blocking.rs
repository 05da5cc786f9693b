//! Sockets that the calling thread reads and writes itself: no task, no queue. Here frames one by one, of which nothing is
//! read before somebody wants it; the driver of whole connections is in `blocking/connection.rs`.

mod connection;
mod inlet;
mod opening;
mod outlet;
mod pings;

pub use super::room::{Data, InvalidText, Room};
pub use connection::{BlockingConnection, End, Greeting, Receiving, Stepped, Unsent};
pub use inlet::Next;
pub use opening::Opening;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags};

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::proto::{RawHead, RawReader};

use super::runtime::lock;
use super::socket::Socket;

/// Bytes read at a time.
const READ: usize = 256 * 1024;
/// A signal that came just before the wait does not end it, so no wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// How long the peer may take to close TCP after the close handshake or after our last word.
const LINGER: Duration = Duration::from_secs(2);

/// The receiving side of a connection. Its descriptor belongs to somebody else and comes with each call.
#[derive(Debug, Default)]
pub struct FrameSocket(Mutex<RawReader>);

/// How far reading has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// A frame is whole.
    Frame(T),
    /// The socket has nothing more for now.
    Blocked,
    /// The peer has ended the stream.
    End,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The socket is ready, or broken.
    Ready,
    /// Time is over.
    Late,
    /// Neither: look for signals, and wait again.
    Interrupted,
}

impl FrameSocket {
    /// Reads what is there, without waiting, up to the end of the next frame, and shows that to `take`.
    pub fn try_recv<T>(&self, fd: BorrowedFd<'_>, take: impl FnOnce(RawHead, &[u8]) -> T) -> io::Result<Step<T>> {
        let mut reader = lock(&self.0);
        loop {
            if let Some((head, payload)) = reader.frame() {
                let taken = take(head, payload);
                reader.next();
                return Ok(Step::Frame(taken));
            }
            let room = reader.room(READ);
            let size = room.len();
            let read = rustix::net::recv(fd, room, RecvFlags::DONTWAIT);
            reader.took(size, read.map_or(0, |(used, _)| used));
            match read {
                Ok((0, _)) => return Ok(Step::End),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) if error == rustix::io::Errno::AGAIN => return Ok(Step::Blocked),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many bytes the next frame needs before more can be said of it.
    pub fn missing(&self) -> usize {
        lock(&self.0).missing()
    }

    /// Takes bytes that somebody else has read, at most [`missing`](Self::missing) of them; the frame goes to `take` if
    /// that was its end. The others are left over: their number.
    pub fn push<T>(&self, mut bytes: &[u8], take: impl FnOnce(RawHead, &[u8]) -> T) -> (Option<T>, usize) {
        let mut reader = lock(&self.0);
        while !bytes.is_empty() && reader.missing() > 0 {
            let room = reader.room(bytes.len());
            let (now, rest) = bytes.split_at(room.len());
            room.copy_from_slice(now);
            bytes = rest;
        }
        let taken = reader.frame().map(|(head, payload)| take(head, payload));
        if taken.is_some() {
            reader.next();
        }
        (taken, bytes.len())
    }

    /// Writes what the socket takes now: how many bytes; 0 when it is full.
    pub fn try_send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(fd, bytes, SendFlags::DONTWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) if error == rustix::io::Errno::AGAIN => return Ok(0),
                sent => return Ok(sent?),
            }
        }
    }
}

/// Reads and forgets what the peer still sends, for a short while: a reset would cut it off from our last frame.
async fn linger(socket: OwnedFd) {
    let Ok(mut socket) = Socket::from_fd(socket) else { return };
    let mut scratch = vec![0; 4096];
    let end = async { while socket.read(&mut scratch).await.is_ok_and(|count| count > 0) {} };
    let _ = timeout(LINGER, end).await;
}

/// Waits until a socket can be read (or written), until a time (`None`: for ever), or a signal.
pub fn poll_socket(fd: BorrowedFd<'_>, writable: bool, until: Option<Instant>) -> io::Result<Waited> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let slice = left.map_or(LONGEST_WAIT, |left| left.min(LONGEST_WAIT));
    let slice = Timespec { tv_sec: slice.as_secs() as _, tv_nsec: slice.subsec_nanos().into() };
    let wanted = if writable { PollFlags::OUT } else { PollFlags::IN };
    match poll(&mut [PollFd::new(&fd, wanted)], Some(&slice)) {
        Ok(0) if until.is_some_and(|until| until <= Instant::now()) => Ok(Waited::Late),
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Waited::Interrupted),
        Ok(_) => Ok(Waited::Ready),
        Err(error) => Err(error.into()),
    }
}
