//! The wake handle of one event loop: a file descriptor that becomes readable. An eventfd on Linux, a socket pair on
//! other systems.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A descriptor that any thread can make readable.
pub(super) struct Wake {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

#[cfg(target_os = "linux")]
impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { read: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes the handle readable.
    pub(super) fn set(&self) {
        // Fails only when the counter is full, and then it is readable.
        let _ = rustix::io::write(self.read.as_fd(), &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable again.
    pub(super) fn clear(&self) {
        let _ = rustix::io::read(self.read.as_fd(), &mut [0; 8]);
    }
}

#[cfg(not(target_os = "linux"))]
impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        let (read, write) = std::os::unix::net::UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self { read: read.into(), write: write.into() })
    }

    /// Makes the handle readable.
    pub(super) fn set(&self) {
        let _ = rustix::io::write(self.write.as_fd(), &[1]);
    }

    /// Makes it unreadable again.
    pub(super) fn clear(&self) {
        while rustix::io::read(self.read.as_fd(), &mut [0; 64]).is_ok_and(|n| n == 64) {}
    }
}

impl Wake {
    pub(super) fn fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }
}
