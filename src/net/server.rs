//! Incoming connections: one listener, a task for each attempt, a cap on how many there may be.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::proto::handshake::{HandshakeLimits, Request, RequestParser, reject};
use crate::proto::{Negotiated, Role};

use super::connect::within;
use super::connection::Connection;
use super::driver::Ends;
use super::mailbox::{Mailbox, Notice};
use super::options::Options;
use super::runtime::{Core, lock};
use super::socket;

/// What a listener accepts.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Subprotocols the application speaks, preferred first.
    pub protocols: Vec<String>,
    /// Connections there may be at once, those in their handshake included.
    pub max_connections: usize,
    /// Limits of each connection.
    pub connection: Options,
    /// TLS settings, for `wss`.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A listening socket.
pub struct Listener {
    id: u64,
    addresses: Vec<SocketAddr>,
    core: Arc<Core>,
    mailbox: Arc<dyn Mailbox>,
    options: ListenerOptions,
    /// Its connections by id; an attempt takes its place before there is a connection.
    places: Mutex<Places>,
    stop: watch::Sender<Option<Duration>>,
}

#[derive(Default)]
struct Places {
    taken: usize,
    connections: HashMap<u64, Weak<Connection>>,
}

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1024;
/// Wait after an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A place among the connections of a listener, given back when dropped.
struct Place {
    listener: Arc<Listener>,
    connection: Option<u64>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = lock(&self.listener.places);
        places.taken -= 1;
        if let Some(id) = self.connection {
            places.connections.remove(&id);
        }
    }
}

impl Listener {
    /// Binds and begins to accept. `host` may have several addresses; each is bound, with the same port.
    pub fn bind(
        core: Arc<Core>,
        mailbox: Arc<dyn Mailbox>,
        host: &str,
        port: u16,
        options: ListenerOptions,
    ) -> io::Result<Arc<Self>> {
        let mut sockets: Vec<StdListener> = Vec::new();
        let mut port = port;
        for address in (host, port).to_socket_addrs()? {
            let socket = listen(SocketAddr::new(address.ip(), port))?;
            port = socket.local_addr()?.port();
            sockets.push(socket);
        }
        let addresses = sockets.iter().map(StdListener::local_addr).collect::<io::Result<_>>()?;
        let listener = Arc::new(Self {
            id: core.next_id(),
            addresses,
            core,
            mailbox,
            options,
            places: Mutex::default(),
            stop: watch::Sender::new(None),
        });
        let runtime = listener.core.handle();
        let inside = runtime.enter();
        for socket in sockets {
            let socket = TcpListener::from_std(socket)?;
            runtime.spawn(Arc::clone(&listener).accept(socket));
        }
        drop(inside);
        runtime.spawn(Arc::clone(&listener).wind_up());
        Ok(listener)
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections there are, those in their handshake included.
    pub fn connections(&self) -> usize {
        lock(&self.places).taken
    }

    /// Stops accepting and closes its connections with 1001; what is open after `limit` is dropped.
    /// `Notice::Stopped` follows.
    pub fn close(&self, limit: Duration) {
        self.stop.send_if_modified(|stop| stop.is_none() && stop.replace(limit).is_none());
    }

    async fn stopped(&self) -> Duration {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as `self`.
        stop.wait_for(Option::is_some).await.ok().and_then(|limit| *limit).unwrap_or_default()
    }

    async fn wind_up(self: Arc<Self>) {
        let limit = self.stopped().await;
        let open = || lock(&self.places).connections.values().filter_map(Weak::upgrade).collect::<Vec<_>>();
        for connection in open() {
            connection.close_internal(1001, "server shutting down");
        }
        let empty = async {
            while self.connections() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(limit, empty).await.is_err() {
            for connection in open() {
                connection.abort();
            }
        }
        self.mailbox.post_one(self.id, Notice::Stopped);
    }

    async fn accept(self: Arc<Self>, socket: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = self.stopped() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let place = self.place();
                    tokio::spawn(Arc::clone(&self).welcome(stream, peer, place));
                }
                // Out of descriptors, or a connection that was gone before it was accepted: the others live on.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn place(self: &Arc<Self>) -> Option<Place> {
        let mut places = lock(&self.places);
        (places.taken < self.options.max_connections).then(|| {
            places.taken += 1;
            Place { listener: Arc::clone(self), connection: None }
        })
    }

    /// Takes one attempt through TLS and HTTP. Whoever does not speak them properly is closed without a word to the
    /// application: it could not do anything about it.
    async fn welcome(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, place: Option<Place>) {
        let _ = socket.set_nodelay(true);
        let options = &self.options.connection;
        // Boxed: what the handshake needs must not stay in the task for the life of the connection.
        let handshake = Box::pin(async {
            let Some(config) = self.options.tls.clone() else {
                let mut socket = socket;
                let answered = self.answer(&mut socket, peer, place).await?;
                return Some((answered, socket, None));
            };
            let mut stream = TlsAcceptor::from(config).accept(socket).await.ok()?;
            let answered = self.answer(&mut stream, peer, place).await?;
            let (socket, tls) = stream.into_inner();
            Some((answered, socket, Some(rustls::Connection::from(tls))))
        });
        let stop = self.stopped();
        let result = tokio::select! {
            result = within(options.handshake_timeout, handshake) => result.ok().flatten(),
            _ = stop => None,
        };
        let Some((answered, socket, tls)) = result else { return };
        self.hand_over(answered, socket, tls, peer).await;
    }

    async fn hand_over(
        &self,
        answered: Answered,
        socket: TcpStream,
        tls: Option<rustls::Connection>,
        peer: SocketAddr,
    ) {
        let Answered { request, protocol, agreed, mut place } = answered;
        let socket = socket::Socket::from(socket);
        let (Ok(addresses), Ok(connection)) = (
            socket.addresses(),
            Connection::new(
                Arc::clone(&self.core),
                Arc::clone(&self.mailbox),
                Role::Server,
                self.options.connection.clone(),
            ),
        ) else {
            return;
        };
        place.connection = Some(connection.id());
        lock(&self.places).connections.insert(connection.id(), Arc::downgrade(&connection));
        let started = connection.wait_for_start();
        connection.set_addresses(addresses);
        let Request { path, headers, rest, .. } = request;
        let notice = Notice::Incoming { connection: Arc::clone(&connection), path, headers: headers.clone(), peer };
        self.mailbox.post_one(self.id, notice);
        if self.stop.borrow().is_some() {
            // Stopped meanwhile: whoever wound it up may not have seen this connection.
            connection.close_internal(1001, "server shutting down");
        }
        if started.await.is_err() {
            // The application let go of it without starting it.
            connection.close_internal(1001, "");
        }
        let (ends, io) = Ends::new(socket, tls, rest, agreed, &connection);
        let extensions = agreed.map(|agreed| agreed.to_string()).unwrap_or_default();
        let notice = Notice::Open { protocol: protocol.unwrap_or_default(), extensions, headers };
        connection.open(io, addresses, notice);
        connection.run(ends).await;
        drop(place);
    }

    /// Reads the request and answers it; `None` when it was refused.
    async fn answer(
        &self,
        stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
        peer: SocketAddr,
        place: Option<Place>,
    ) -> Option<Answered> {
        let mut parser = RequestParser::new(HandshakeLimits::default());
        let mut buffer = vec![0; 4096];
        let request = loop {
            let n = stream.read(&mut buffer).await.ok().filter(|&n| n > 0)?;
            match parser.feed(&buffer[..n]) {
                Ok(None) => {}
                Ok(Some(request)) => break request,
                Err(rejected) => {
                    refuse(stream, &rejected.response()).await;
                    return None;
                }
            }
        };
        let Some(place) = place else {
            let limit = self.options.max_connections;
            let reason = format!("max_connections = {limit} reached");
            if let Ok(response) = reject(503, &reason, &[("Retry-After".to_owned(), "5".to_owned())]) {
                refuse(stream, &response).await;
            }
            self.core.totals.refused.add(1);
            self.mailbox.post_one(self.id, Notice::Refused { reason, peer });
            return None;
        };
        let wanted = |name: &&String| request.protocols.contains(name);
        let protocol = self.options.protocols.iter().find(wanted).cloned();
        let deflate = self.options.connection.deflate.as_ref();
        let (response, agreed) = request.accept_with(protocol.as_deref(), deflate, &[]).ok()?;
        stream.write_all(&response).await.ok()?;
        stream.flush().await.ok()?;
        Some(Answered { request, protocol, agreed, place })
    }
}

/// A request that was answered with 101.
struct Answered {
    request: Request,
    protocol: Option<String>,
    agreed: Option<Negotiated>,
    place: Place,
}

/// Sends a refusal and waits until the peer has had a chance to read it: closing at once would reset the connection
/// when the peer has sent more than we read.
async fn refuse(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), response: &[u8]) {
    if stream.write_all(response).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut buffer = vec![0; 4096];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {} };
    let _ = timeout(Duration::from_secs(1), read).await;
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Each address of the host gets a socket of its own.
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
