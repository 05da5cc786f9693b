//! The sending side of a blocking connection: frames, TLS records, the socket. Whoever sends uses it under its lock and
//! never waits in here; what the socket does not take stays, for whoever comes next.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::net::SendFlags;
use rustls::Connection as Tls;

use crate::net::runtime::lock;
use crate::net::stats::Stats;
use crate::session::Outbound;

/// The sending side.
pub(super) struct Outlet {
    /// Until the end of the connection.
    pub(super) socket: Option<Arc<OwnedFd>>,
    pub(super) outbound: Outbound,
    /// The error that ended writing; the peer may have said why.
    pub(super) failed: Option<io::Error>,
    full: bool,
}

impl Outlet {
    pub(super) fn new(socket: Arc<OwnedFd>, outbound: Outbound) -> Self {
        Self { socket: Some(socket), outbound, failed: None, full: false }
    }

    /// Whether something waits until the socket can be written.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether the operating system has all up to this position of [`Outbound::position`].
    pub(super) fn has_sent(&self, position: u64, tls: Option<&Mutex<Tls>>) -> bool {
        self.outbound.position().1 >= position && (!self.full || !tls.is_some_and(|tls| lock(tls).wants_write()))
    }

    /// Writes as much as the socket takes now.
    pub(super) fn flush(&mut self, tls: Option<&Mutex<Tls>>, stats: &Stats) {
        let Some(socket) = self.socket.as_ref().filter(|_| self.failed.is_none()) else { return };
        let written = match tls {
            None => plain(socket.as_fd(), &mut self.outbound, stats),
            Some(tls) => encrypted(socket.as_fd(), &mut self.outbound, &mut lock(tls), stats),
        };
        self.full = false;
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.full = true,
            Err(error) => self.failed = Some(error),
        }
    }
}

fn plain(socket: BorrowedFd<'_>, outbound: &mut Outbound, stats: &Stats) -> io::Result<()> {
    while !outbound.pending().is_empty() {
        let count = send(socket, outbound.pending())?;
        stats.wire_bytes_sent.add(count);
        outbound.advance(count);
    }
    Ok(())
}

fn encrypted(socket: BorrowedFd<'_>, outbound: &mut Outbound, tls: &mut Tls, stats: &Stats) -> io::Result<()> {
    loop {
        // rustls bounds what it buffers, so a long message goes in pieces.
        let count = tls.writer().write(outbound.pending())?;
        outbound.advance(count);
        while tls.wants_write() {
            stats.wire_bytes_sent.add(tls.write_tls(&mut Unwaiting(socket))?);
        }
        if outbound.pending().is_empty() {
            return Ok(());
        }
    }
}

/// Writes what the socket takes now; `WouldBlock` if that is nothing.
fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::net::send(socket, bytes, SendFlags::DONTWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// A socket as a `Write` that never waits.
struct Unwaiting<'a>(BorrowedFd<'a>);

impl Write for Unwaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let sent =
            rustix::net::sendmsg(self.0, parts, &mut rustix::net::SendAncillaryBuffer::default(), SendFlags::DONTWAIT);
        Ok(sent?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
