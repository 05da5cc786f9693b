//! A connected stream socket, TCP or Unix, as the rest of the layer uses it: tokio's while connecting, a bare descriptor
//! when open, which a task may watch, or an event loop. No protocol and no time-outs here.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::room::{Room, VecRoom};

/// Of every write: it does not wait, and raises no signal. (Apple has an option of the socket for the latter, which the
/// standard library sets.)
#[cfg(target_vendor = "apple")]
const FLAGS: SendFlags = SendFlags::DONTWAIT;
#[cfg(not(target_vendor = "apple"))]
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The socket of an open connection. It never waits, belongs to no runtime, and is closed when nobody has it any more.
#[derive(Debug)]
pub struct OpenSocket(OwnedFd);

/// Writes; dropped, it ends our direction of the stream.
#[derive(Debug)]
pub(super) struct WriteEnd(Arc<OpenSocket>);

/// Lets a task wait for an open socket, while it lives.
#[derive(Debug)]
pub(super) struct Watch {
    socket: AsyncFd<Watched>,
    reads: bool,
}

#[derive(Debug)]
struct Watched(Arc<OpenSocket>);

impl Socket {
    /// Takes the socket from the runtime: the connection is open.
    pub(super) fn into_open(self) -> io::Result<OpenSocket> {
        Ok(OpenSocket(match self {
            Self::Tcp(socket) => socket.into_std()?.into(),
            Self::Unix(socket) => socket.into_std()?.into(),
        }))
    }

    /// A connected socket that somebody else made. Inside a runtime only.
    pub(super) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(fd);
        socket.set_nonblocking(true)?;
        let unix = socket.local_addr()?.is_unix();
        let fd = OwnedFd::from(socket);
        if unix {
            UnixStream::from_std(fd.into()).map(Self::Unix)
        } else {
            TcpStream::from_std(fd.into()).map(Self::Tcp)
        }
    }

    /// The socket alone, for a thread that waits in it.
    pub(super) fn into_blocking(self) -> io::Result<OwnedFd> {
        let fd: OwnedFd = match self {
            Self::Tcp(socket) => socket.into_std()?.into(),
            Self::Unix(socket) => socket.into_std()?.into(),
        };
        rustix::io::ioctl_fionbio(&fd, false)?;
        Ok(fd)
    }

    /// Sends small frames at once. A Unix socket always does.
    pub(super) fn set_nodelay(&self) {
        if let Self::Tcp(socket) = self {
            let _ = socket.set_nodelay(true);
        }
    }

    /// The local and the remote address; a Unix socket has none.
    pub(super) fn addresses(&self) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
        match self {
            Self::Tcp(socket) => Ok(Some((socket.local_addr()?, socket.peer_addr()?))),
            Self::Unix(_) => Ok(None),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self::Unix(socket)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    /// TLS writes its records with this, and its last word, why it refuses a handshake, in one call or not at all.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Unix(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

impl OpenSocket {
    /// The number of its descriptor, valid while this lives.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Reads what is there; 0 at the end of the stream, `WouldBlock` if there is nothing.
    pub(super) fn recv(&self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::net::recv(&self.0, &mut *room, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                result => return Ok(result?.0),
            }
        }
    }

    /// The same, for what is missing in a room that is not full.
    pub(super) fn recv_into(&self, room: &mut VecRoom) -> io::Result<usize> {
        loop {
            match rustix::net::recv(&self.0, room.spare(), RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((_, count)) => {
                    // SAFETY: the kernel has filled them.
                    unsafe { room.advance(count) };
                    return Ok(count);
                }
            }
        }
    }

    /// Whether reading would bring something, be it the end.
    pub(super) fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

impl WriteEnd {
    pub(super) fn new(socket: Arc<OpenSocket>) -> Self {
        Self(socket)
    }

    /// Writes what the socket takes now; `WouldBlock` if that is nothing.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(&self.0.0, bytes, FLAGS) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// The same for several pieces.
    pub(super) fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match rustix::net::sendmsg(&self.0.0, pieces, &mut SendAncillaryBuffer::default(), FLAGS) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        // It fails when the peer is gone already.
        let _ = rustix::net::shutdown(&self.0.0, Shutdown::Write);
    }
}

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd()
    }
}

impl Watch {
    /// Watches for something to read, and for room to write. Inside a runtime only.
    pub(super) fn both(socket: &Arc<OpenSocket>) -> io::Result<Self> {
        Self::new(socket, true)
    }

    /// Watches for room to write only: what comes in wakes nobody.
    pub(super) fn writing(socket: &Arc<OpenSocket>) -> io::Result<Self> {
        Self::new(socket, false)
    }

    fn new(socket: &Arc<OpenSocket>, reads: bool) -> io::Result<Self> {
        let interest = if reads { Interest::READABLE | Interest::WRITABLE } else { Interest::WRITABLE };
        // SAFETY: `Watched` owns a share of the socket, so the descriptor stays open and the same while it is watched.
        let socket = unsafe { AsyncFd::register_with_interest(Watched(Arc::clone(socket)), interest) }?;
        Ok(Self { socket, reads })
    }

    /// Whether it is for reading, too.
    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    /// Reads what is there; 0 at the end of the stream.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let most = room.len();
        self.poll_with(cx, most, |socket| socket.recv(room))
    }

    /// The same, for what is missing in a room that is not full.
    pub(super) fn poll_recv_into(&self, cx: &mut Context<'_>, room: &mut VecRoom) -> Poll<io::Result<usize>> {
        let most = room.missing();
        self.poll_with(cx, most, |socket| socket.recv_into(room))
    }

    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        most: usize,
        mut recv: impl FnMut(&OpenSocket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            match recv(&self.socket.get_ref().0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Ok(n) => {
                    // What comes later is told of; that nothing more is there is known without asking.
                    if 0 < n && n < most {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Returns when `write` has found room, and says so by answering true.
    pub(super) async fn until_written(&self, mut write: impl FnMut() -> bool) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            if write() {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}
