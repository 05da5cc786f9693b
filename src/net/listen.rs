//! Sockets that listen: TCP by name, a Unix socket and its file, or one that somebody else made. What comes in on them is
//! the listener's business.

use std::fs::{Permissions, set_permissions, symlink_metadata};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket as Raw, Type};
use tokio::net::{TcpListener, UnixListener};

use super::runtime::generation;
use super::socket::Socket;

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1024;

/// Where to listen.
#[derive(Debug)]
pub enum Endpoint {
    /// All addresses of a host, with the same port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port; 0 lets the system choose.
        port: u16,
        /// Whether other sockets may listen on the same port and share what comes in (`SO_REUSEPORT`).
        reuse_port: bool,
    },
    /// A Unix socket.
    Unix {
        /// Its file. What a dead server left there is replaced.
        path: PathBuf,
        /// Permissions of the file; `None` leaves what the umask makes of it.
        mode: Option<u32>,
    },
    /// A stream socket that is bound, and may listen already.
    Socket(OwnedFd),
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// What the system said.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The same, about a file.
    #[error("unix_path {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody answers there.
    #[error("unix_path {}: a server listens there already", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is no socket, which is not ours to remove.
    #[error("unix_path {}: the file exists and is no socket", path.display())]
    NoSocket {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// The error number of the system.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io(source)
            | Self::File { source, .. }
            | Self::Taken { source, .. }
            | Self::NoSocket { source, .. } => source.raw_os_error(),
        }
    }
}

/// Sockets that listen.
pub(super) struct Bound {
    sockets: Vec<Raw>,
    /// Their addresses; a Unix socket has none.
    pub(super) addresses: Vec<SocketAddr>,
    /// The file that was made for them.
    pub(super) file: Option<SocketFile>,
}

/// A listening socket of the runtime.
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a Unix socket, removed when dropped; unless it is another one by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    generation: u32,
}

/// Binds and listens. Nothing is accepted yet.
pub(super) fn bind(endpoint: Endpoint) -> Result<Bound, ListenError> {
    let mut bound = Bound { sockets: Vec::new(), addresses: Vec::new(), file: None };
    match endpoint {
        Endpoint::Tcp { host, mut port, reuse_port } => {
            for address in (host.as_str(), port).to_socket_addrs()? {
                let socket = tcp(SocketAddr::new(address.ip(), port), reuse_port)?;
                port = socket.local_addr()?.as_socket().map_or(port, |address| address.port());
                bound.sockets.push(socket);
            }
        }
        Endpoint::Unix { path, mode } => {
            let (socket, file) = unix(&path, mode)?;
            bound.sockets.push(socket);
            bound.file = Some(file);
        }
        Endpoint::Socket(fd) => bound.sockets.push(Raw::from(fd)),
    }
    for socket in &bound.sockets {
        socket.set_nonblocking(true)?;
        // A second time it only sets the backlog.
        socket.listen(BACKLOG)?;
        bound.addresses.extend(socket.local_addr()?.as_socket());
    }
    Ok(bound)
}

fn tcp(address: SocketAddr, reuse_port: bool) -> io::Result<Raw> {
    let socket = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Each address of the host gets a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn unix(path: &Path, mode: Option<u32>) -> Result<(Raw, SocketFile), ListenError> {
    let about = |source| ListenError::File { path: path.to_owned(), source };
    let address = SockAddr::unix(path).map_err(about)?;
    let socket = Raw::new(Domain::UNIX, Type::STREAM, None).map_err(about)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_leftover(path, &address, error)?;
            socket.bind(&address).map_err(about)?;
        }
        bound => bound.map_err(about)?,
    }
    let file = SocketFile::new(path).map_err(about)?;
    if let Some(mode) = mode {
        // Nobody gets in before: the socket does not listen yet.
        set_permissions(path, Permissions::from_mode(mode)).map_err(about)?;
    }
    Ok((socket, file))
}

/// Removes the socket that a dead server left. Fails, with the file as it is, if it is anything else.
fn remove_leftover(path: &Path, address: &SockAddr, in_use: io::Error) -> Result<(), ListenError> {
    let about = |source| ListenError::File { path: path.to_owned(), source };
    let found = symlink_metadata(path).map_err(about)?;
    if !found.file_type().is_socket() {
        return Err(ListenError::NoSocket { path: path.to_owned(), source: in_use });
    }
    let caller = Raw::new(Domain::UNIX, Type::STREAM, None).map_err(about)?;
    // A server whose queue is full would keep us waiting.
    caller.set_nonblocking(true).map_err(about)?;
    match caller.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(about(error)),
        _ => return Err(ListenError::Taken { path: path.to_owned(), source: in_use }),
    }
    // Somebody else may have replaced it in the meantime.
    let now = symlink_metadata(path).map_err(about)?;
    if (now.dev(), now.ino()) != (found.dev(), found.ino()) {
        return Err(ListenError::Taken { path: path.to_owned(), source: in_use });
    }
    std::fs::remove_file(path).map_err(about)
}

impl Bound {
    /// The sockets, for the runtime. Inside a runtime only.
    pub(super) fn into_acceptors(self) -> io::Result<Vec<Acceptor>> {
        self.sockets.into_iter().map(Acceptor::new).collect()
    }
}

impl Acceptor {
    fn new(socket: Raw) -> io::Result<Self> {
        let unix = socket.local_addr()?.is_unix();
        let fd = OwnedFd::from(socket);
        if unix {
            UnixListener::from_std(fd.into()).map(Self::Unix)
        } else {
            TcpListener::from_std(fd.into()).map(Self::Tcp)
        }
    }

    /// The next connection, and who it is; a Unix socket does not tell.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(socket, peer)| (socket.into(), Some(peer))),
            Self::Unix(listener) => listener.accept().await.map(|(socket, _)| (socket.into(), None)),
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let found = symlink_metadata(path)?;
        // Absolute: the working directory may be another one when it is removed.
        let path = std::path::absolute(path)?;
        Ok(Self { path, identity: (found.dev(), found.ino()), generation: generation() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A forked child must not take it from the parent.
        let ours = generation() == self.generation
            && symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.identity);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
