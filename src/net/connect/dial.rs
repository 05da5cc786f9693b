//! From a host and a port to a connected TCP socket: the name, its addresses, the race between them. Whether the host is
//! the server or a proxy is the caller's business.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::sleep_until;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::net::proxy::{Proxies, Proxy};
use crate::proto::Host;

use super::race::{Race, Step};

/// How a server is reached.
#[derive(Debug, Clone)]
pub struct Via {
    /// Head start of one address of a host over the next one (RFC 8305 section 5); `None` tries them one after the other.
    pub happy_eyeballs_delay: Option<Duration>,
    /// How many redirects are followed; with 0 one is an answer like any other.
    pub max_redirects: usize,
    /// Our address, for TCP; port 0 is any.
    pub local: Option<SocketAddr>,
    /// A Unix socket to connect to, instead of host and port of the URL.
    pub unix: Option<PathBuf>,
    /// Through whom; not with `unix`.
    pub proxies: Proxies,
    /// TLS settings for an https proxy; `None` trusts the system's authorities.
    pub proxy_tls: Option<Arc<ClientConfig>>,
    /// The name to check an https proxy's certificate for, instead of the host of its URL.
    pub proxy_server_name: Option<ServerName<'static>>,
}

impl Default for Via {
    fn default() -> Self {
        Self {
            happy_eyeballs_delay: Some(Duration::from_millis(250)),
            max_redirects: 10,
            local: None,
            unix: None,
            proxies: Proxies::Direct,
            proxy_tls: None,
            proxy_server_name: None,
        }
    }
}

/// How far an attempt to connect has come; it is read when the attempt fails or its time runs out.
#[derive(Debug, Default)]
pub(super) struct Progress {
    doing: Doing,
    attempts: Vec<(SocketAddr, Option<io::Error>)>,
    /// The host has, or may have, other addresses than the one in the URL.
    named: bool,
    /// All of it is about this proxy.
    proxy: Option<String>,
}

#[derive(Debug, Default)]
enum Doing {
    #[default]
    Resolving,
    Connecting,
    Tls,
    /// The proxy is asked for the server.
    Asking,
}

/// Why a host could not be reached.
#[derive(Debug)]
pub(super) enum Unreachable {
    /// The resolver failed.
    Unresolved(io::Error),
    /// Every address failed, or there is none; with the error number of the last one.
    Failed(Option<i32>),
}

impl Progress {
    /// A connection is there, what follows is TLS.
    pub(super) fn tls(&mut self) {
        self.doing = Doing::Tls;
    }

    /// What follows is about a proxy.
    pub(super) fn through(&mut self, proxy: &Proxy) {
        *self = Self { proxy: Some(proxy.to_string()), ..Self::default() };
    }

    /// The proxy is connected, what follows is its answer.
    pub(super) fn asking(&mut self) {
        self.doing = Doing::Asking;
    }

    /// The proxy has done its part; what follows is about the server.
    pub(super) fn tunnelled(&mut self) {
        self.proxy = None;
    }

    /// The addresses that were tried, each with what came of it.
    pub(super) fn attempts(&self) -> String {
        if self.attempts.is_empty() {
            return "the name has no address".to_owned();
        }
        let attempt = |(address, error): &(SocketAddr, Option<io::Error>)| {
            let outcome = error.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
            // The message names host and port already; only of several addresses one must know which is meant.
            if self.named { format!("{address}: {outcome}") } else { outcome }
        };
        self.attempts.iter().map(attempt).collect::<Vec<_>>().join("; ")
    }
}

/// What the attempt was waiting for.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(proxy) = &self.proxy {
            write!(f, "proxy {proxy}: ")?;
        }
        match self.doing {
            Doing::Resolving => f.write_str("the name was not resolved"),
            Doing::Connecting => f.write_str(&self.attempts()),
            Doing::Tls => f.write_str("connected, but TLS did not complete"),
            Doing::Asking => f.write_str("connected, but it gave no complete answer"),
        }
    }
}

impl Via {
    /// Connects to a host, at whichever of its addresses answers first.
    pub(super) async fn tcp(&self, host: &Host, port: u16, progress: &mut Progress) -> Result<TcpStream, Unreachable> {
        progress.named = matches!(host, Host::Name(_));
        let addresses: Vec<SocketAddr> = match host {
            Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
            Host::Name(name) => lookup_host((name.as_str(), port)).await.map_err(Unreachable::Unresolved)?.collect(),
        };
        progress.doing = Doing::Connecting;
        self.first_of(addresses, progress).await
    }

    /// The first connection to be made. The attempts that it leaves behind are dropped with this future.
    async fn first_of(&self, addresses: Vec<SocketAddr>, progress: &mut Progress) -> Result<TcpStream, Unreachable> {
        let mut race = Race::new(addresses, self.happy_eyeballs_delay);
        let mut running: Vec<Attempt> = Vec::new();
        loop {
            let until = match race.step(Instant::now()) {
                Step::Begin(address) => {
                    progress.attempts.push((address, None));
                    let local = self.local;
                    running.push(Box::pin(async move { (address, connect(address, local).await) }));
                    continue;
                }
                Step::Wait(until) => until,
                Step::Lost => {
                    let last = progress.attempts.iter().rev().find_map(|(_, error)| error.as_ref());
                    return Err(Unreachable::Failed(last.and_then(io::Error::raw_os_error)));
                }
            };
            tokio::select! {
                (address, result) = any(&mut running) => match result {
                    Ok(socket) => return Ok(socket),
                    Err(error) => {
                        let entry = progress.attempts.iter_mut().find(|(tried, _)| *tried == address);
                        if let Some((_, outcome)) = entry {
                            *outcome = Some(error);
                        }
                        race.failed(Instant::now());
                    }
                },
                () = sleep_until(until.unwrap_or_else(Instant::now).into()), if until.is_some() => {}
            }
        }
    }
}

/// One attempt, from `local` if that is given.
async fn connect(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let Some(local) = local else { return TcpStream::connect(address).await };
    if local.is_ipv4() != address.is_ipv4() {
        return Err(io::Error::other(format!("is of another family than local_address {}", local.ip())));
    }
    let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if local.port() != 0 {
        // A chosen port is to be had again while an earlier connection from it lingers.
        socket.set_reuseaddr(true)?;
    }
    socket.bind(local).map_err(|error| io::Error::new(error.kind(), format!("local_address {local}: {error}")))?;
    socket.connect(address).await
}

type Attempt = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<TcpStream>)> + Send>>;

/// The first of the attempts to end; it is taken out.
async fn any(running: &mut Vec<Attempt>) -> (SocketAddr, io::Result<TcpStream>) {
    poll_fn(|cx| {
        for index in 0..running.len() {
            if let Some(Poll::Ready(ended)) = running.get_mut(index).map(|attempt| attempt.as_mut().poll(cx)) {
                drop(running.swap_remove(index));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    //! Over real sockets: what a name resolves to cannot be chosen from outside.

    use std::net::{TcpListener, TcpStream as StdStream};

    use socket2::{Domain, Socket, Type};
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// An address whose queue is full, so that no attempt is answered, and what keeps it so.
    fn black_hole() -> (SocketAddr, Socket, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        listener.listen(0).expect("listening");
        let address = listener.local_addr().expect("an address").as_socket().expect("IPv4");
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("set");
            let _ = socket.connect(&address.into());
            socket
        };
        (address, listener, (0..4).map(fill).collect())
    }

    fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
    }

    fn race(addresses: &[SocketAddr], via: &Via) -> (Result<TcpStream, Unreachable>, Progress, Duration) {
        let mut progress = Progress { named: true, doing: Doing::Connecting, ..Progress::default() };
        let start = Instant::now();
        let limit = Duration::from_secs(3);
        let result = runtime().block_on(async {
            let race = via.first_of(addresses.to_vec(), &mut progress);
            tokio::time::timeout(limit, race).await.unwrap_or(Err(Unreachable::Failed(None)))
        });
        (result, progress, start.elapsed())
    }

    #[test]
    fn a_silent_address_costs_its_head_start_and_its_attempt_is_dropped() {
        let (silent, _listener, _queue) = black_hole();
        let alive = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = alive.local_addr().expect("an address");
        let (result, progress, took) = race(&[silent, address], &Via::default());
        assert_eq!(result.expect("connected").peer_addr().expect("a peer"), address);
        assert!(took >= Duration::from_millis(250), "{took:?}");
        assert_eq!(progress.attempts.len(), 2);
    }

    #[test]
    fn a_refusing_address_costs_nothing() {
        let alive = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = alive.local_addr().expect("an address");
        let via = Via { happy_eyeballs_delay: Some(Duration::from_mins(1)), ..Via::default() };
        let (result, progress, _) = race(&[refusing(), refusing(), address], &via);
        assert!(result.is_ok(), "{progress}");
    }

    #[test]
    fn errors_name_each_address() {
        let (first, second) = (refusing(), refusing());
        let (result, progress, _) = race(&[first, second], &Via::default());
        let refused = io::Error::from_raw_os_error(111).raw_os_error();
        assert!(matches!(result, Err(Unreachable::Failed(errno)) if errno == refused));
        let text = progress.to_string();
        assert!(text.contains(&format!("{first}: Connection refused")), "{text}");
        assert!(text.contains(&format!("{second}: Connection refused")), "{text}");
    }

    #[test]
    fn a_time_out_tells_refused_addresses_from_silent_ones() {
        let (silent, _listener, _queue) = black_hole();
        let refused = refusing();
        let (result, progress, _) = race(&[silent, refused], &Via::default());
        assert!(result.is_err());
        let text = progress.to_string();
        assert!(text.starts_with(&format!("{silent}: no answer; {refused}: Connection refused")), "{text}");
    }

    #[test]
    fn no_second_connection_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut progress = Progress::default();
        let socket = runtime().block_on(Via::default().tcp(&Host::Ip(address.ip()), address.port(), &mut progress));
        let socket = socket.expect("connected");
        listener.set_nonblocking(true).expect("set");
        let accepted: Vec<StdStream> =
            std::iter::from_fn(|| listener.accept().ok()).map(|(socket, _)| socket).collect();
        assert_eq!(accepted.len(), 1);
        drop(socket);
    }
}
