//! The writing end of an open connection: frames, TLS records, the socket. Used under the connection's lock by whoever
//! sends; it never waits. What the socket does not take stays, and the connection's task is told to wait for it.

use std::io::{self, ErrorKind, Read, Write};

use rustls::Connection as Tls;

use crate::session::Outbound;

use super::connection::LastWrite;
use super::socket::WriteEnd;
use super::stats::Stats;

/// The writing end: everything between a message and the socket.
pub(super) struct Io {
    pub(super) outbound: Outbound,
    tls: Option<Box<Tls>>,
    socket: WriteEnd,
    blocked: bool,
    failed: Option<io::Error>,
    /// For messages that are written together.
    pub(super) last: LastWrite,
}

impl Io {
    pub(super) fn new(outbound: Outbound, tls: Option<Box<Tls>>, socket: WriteEnd) -> Self {
        Self { outbound, tls, socket, blocked: false, failed: None, last: LastWrite::default() }
    }

    /// Whether the socket is full and somebody must wait until it is writable.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether everything has been handed to the operating system.
    pub(super) fn is_drained(&self) -> bool {
        self.outbound.pending().is_empty() && !self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether writing has failed; reading may still bring the peer's last words.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The error that ended writing, once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// The socket said that it is writable again.
    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Writes as much as the socket takes now.
    pub(super) fn flush(&mut self, stats: &Stats) {
        self.last.held = false;
        if self.blocked || self.failed.is_some() {
            return;
        }
        match self.try_flush(stats) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
            Err(error) => self.failed = Some(error),
        }
    }

    fn try_flush(&mut self, stats: &Stats) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            while !self.outbound.pending().is_empty() {
                let n = self.socket.send(self.outbound.pending())?;
                stats.wire_bytes_sent.add(n);
                self.outbound.advance(n);
            }
            return Ok(());
        };
        loop {
            // rustls bounds what it buffers, so a long message goes in pieces.
            let n = tls.writer().write(self.outbound.pending())?;
            self.outbound.advance(n);
            while tls.wants_write() {
                stats.wire_bytes_sent.add(tls.write_tls(&mut TryWrite(&self.socket))?);
            }
            if self.outbound.pending().is_empty() {
                return Ok(());
            }
        }
    }

    /// Decrypts incoming records: takes some of `cipher` and puts plain bytes into `plain`. Answers how many are there;
    /// 0 with an empty `cipher` means that more records are needed.
    pub(super) fn decrypt(&mut self, cipher: &mut &[u8], plain: &mut [u8]) -> io::Result<Decrypted> {
        let Some(tls) = &mut self.tls else { return Ok(Decrypted::Bytes(0)) };
        loop {
            match tls.reader().read(plain) {
                // A close_notify: the peer ends the stream in the proper way.
                Ok(0) => return Ok(Decrypted::End),
                Ok(n) => return Ok(Decrypted::Bytes(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if cipher.is_empty() {
                return Ok(Decrypted::Bytes(0));
            }
            tls.read_tls(cipher)?;
            tls.process_new_packets().map_err(|e| io::Error::new(ErrorKind::InvalidData, format!("TLS: {e}")))?;
        }
    }

    /// Tells a TLS peer that nothing more will be sent.
    pub(super) fn end(&mut self, stats: &Stats) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.flush(stats);
    }
}

/// What decrypting brought.
pub(super) enum Decrypted {
    /// This many bytes.
    Bytes(usize),
    /// The peer ended the TLS stream.
    End,
}

/// A socket as a `Write` that never waits.
struct TryWrite<'a>(&'a WriteEnd);

impl Write for TryWrite<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.send(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
