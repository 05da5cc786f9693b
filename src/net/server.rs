//! Incoming connections: one listener, a task for each attempt, a cap on how many there may be. What an attempt goes
//! through before it is a connection is in `welcome`.

mod question;
mod welcome;

pub use question::{Question, Verdict};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::proto::Role;
use crate::proto::handshake::{HandshakeLimits, Origins, Request};

use super::connection::Connection;
use super::driver::Opened;
use super::error::Failure;
use super::listen::{Acceptor, Endpoint, ListenError, SocketFile, bind};
use super::mailbox::{Mailbox, Notice};
use super::options::Options;
use super::runtime::{Core, lock};
use super::socket::Socket;

use welcome::Answered;

/// What a listener accepts.
#[derive(Clone)]
pub struct ListenerOptions {
    /// Limits of each request.
    pub limits: HandshakeLimits,
    /// Which web pages may connect; `None`: any.
    pub origins: Option<Origins>,
    /// Whether the application is asked about each request (`Notice::Asked`), plain HTTP included.
    pub ask: bool,
    /// Subprotocols the application speaks, preferred first.
    pub protocols: Vec<String>,
    /// Connections there may be at once, those in their handshake included.
    pub max_connections: usize,
    /// Limits of each connection.
    pub connection: Arc<Options>,
    /// TLS settings, for `wss`.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            limits: HandshakeLimits::default(),
            origins: None,
            ask: false,
            protocols: Vec::new(),
            max_connections: 1000,
            connection: Arc::default(),
            tls: None,
        }
    }
}

/// A listening socket.
pub struct Listener {
    id: u64,
    addresses: Vec<SocketAddr>,
    core: Arc<Core>,
    mailbox: Arc<dyn Mailbox>,
    options: ListenerOptions,
    /// What new connections get; `options` has what it began with.
    tls: Mutex<Option<Arc<ServerConfig>>>,
    /// The file of a Unix socket, until it stops.
    file: Mutex<Option<SocketFile>>,
    /// Its connections by id; an attempt takes its place before there is a connection.
    places: Mutex<Places>,
    /// For those who found no place and are told so.
    refusals: Arc<Semaphore>,
    stop: watch::Sender<Option<Duration>>,
}

#[derive(Default)]
struct Places {
    taken: usize,
    connections: HashMap<u64, Weak<Connection>>,
}

/// Wait after an accept that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Attempts over the cap that are heard out and answered with 503 at the same time. Those over this, too, are dropped: a
/// crowd that sends its requests slowly, or never, must not take more than the cap allows.
const MAX_REFUSALS: usize = 100;

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
    /// Binds and begins to accept.
    pub fn bind(
        core: Arc<Core>,
        mailbox: Arc<dyn Mailbox>,
        endpoint: Endpoint,
        options: ListenerOptions,
    ) -> Result<Arc<Self>, ListenError> {
        let mut bound = bind(endpoint)?;
        let listener = Arc::new(Self {
            id: core.next_id(),
            addresses: std::mem::take(&mut bound.addresses),
            core,
            mailbox,
            tls: Mutex::new(options.tls.clone()),
            options,
            file: Mutex::new(bound.file.take()),
            places: Mutex::default(),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            stop: watch::Sender::new(None),
        });
        let runtime = listener.core.handle();
        let inside = runtime.enter();
        let accepting = bound
            .into_acceptors()?
            .into_iter()
            .map(|socket| runtime.spawn(Arc::clone(&listener).accept(socket)))
            .collect();
        drop(inside);
        runtime.spawn(Arc::clone(&listener).wind_up(accepting));
        Ok(listener)
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it listens; a Unix socket has no address.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections there are, those in their handshake included.
    pub fn connections(&self) -> usize {
        lock(&self.places).taken
    }

    /// New connections get these TLS settings; open ones keep theirs.
    pub fn set_tls(&self, config: Arc<ServerConfig>) {
        *lock(&self.tls) = Some(config);
    }

    fn tls(&self) -> Option<Arc<ServerConfig>> {
        lock(&self.tls).clone()
    }

    /// Stops accepting and closes its connections with 1001; what is open after `limit` is dropped.
    /// `Notice::Stopped` follows.
    pub fn close(&self, limit: Duration) {
        drop(lock(&self.file).take());
        self.stop.send_if_modified(|stop| stop.is_none() && stop.replace(limit).is_none());
    }

    async fn stopped(&self) -> Duration {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as `self`.
        stop.wait_for(Option::is_some).await.ok().and_then(|limit| *limit).unwrap_or_default()
    }

    async fn wind_up(self: Arc<Self>, accepting: Vec<JoinHandle<()>>) {
        let limit = self.stopped().await;
        for task in accepting {
            // They end now, and their sockets with them: whoever hears that we have stopped may take the address.
            let _ = task.await;
        }
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

    async fn accept(self: Arc<Self>, socket: Acceptor) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = self.stopped() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let listener = Arc::clone(&self);
                    if let Some(place) = self.place() {
                        tokio::spawn(listener.welcome(stream, peer, Some(place)));
                    } else if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
                        tokio::spawn(async move {
                            listener.welcome(stream, peer, None).await;
                            drop(permit);
                        });
                    } else {
                        self.core.totals.refused.add(1);
                    }
                }
                // Out of descriptors, or a connection that was gone before it was accepted: the others live on.
                Err(_) => drop(timeout(PAUSE, self.stopped()).await),
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

    async fn hand_over(
        &self,
        answered: Answered,
        socket: Socket,
        tls: Option<rustls::Connection>,
        peer: Option<SocketAddr>,
    ) {
        let Answered { request, protocol, agreed, mut place } = answered;
        let (Ok(addresses), Ok(connection)) = (
            socket.addresses(),
            Connection::new(
                Arc::clone(&self.core),
                Arc::clone(&self.mailbox),
                Role::Server,
                Arc::clone(&self.options.connection),
            ),
        ) else {
            return;
        };
        place.connection = Some(connection.id());
        lock(&self.places).connections.insert(connection.id(), Arc::downgrade(&connection));
        let started = connection.wait_for_start();
        connection.set_addresses(addresses);
        let Request { path, headers, rest, .. } = *request;
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
        let opened = match Opened::new(socket, tls, rest, agreed, &connection) {
            Ok(opened) => opened,
            Err(error) => return connection.finish(Err(Failure::Transport(error))),
        };
        let extensions = agreed.map(|agreed| agreed.to_string()).unwrap_or_default();
        let notice = Notice::Open { protocol: protocol.unwrap_or_default(), extensions, headers };
        let ends = connection.open(opened, addresses, notice);
        // The place is taken until the peer is gone.
        connection.run(ends, place);
    }
}
