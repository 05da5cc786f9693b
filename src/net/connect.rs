//! Making an outgoing connection: name, TCP, TLS, HTTP upgrade, each with its time-out and an error that says what
//! failed and where. How TCP gets to the server is in `connect/dial.rs`.

mod dial;
mod race;
mod redirect;
mod tunnel;

pub use dial::Via;
pub use redirect::RedirectError;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{timeout, timeout_at};

use crate::proto::handshake::{Accepted, ClientRequest, HandshakeError, RequestError, ResponseParser};
use crate::proto::{Host, Role, Url};

use super::connection::Connection;
use super::driver::{Ends, Opened};
use super::error::{Failure, Refused, Stage};
use super::mailbox::{Closed, Mailbox, Notice};
use super::options::Options;
use super::proxy::authority;
use super::runtime::Core;
use super::socket::Socket;
use super::tls::{self, TlsStream};
use dial::{Progress, Unreachable};

/// How long the rest of a refusal may take once its status is known.
const REST_OF_REFUSAL: Duration = Duration::from_secs(1);

/// Where to connect to and what to ask for.
pub struct Target {
    /// The address.
    pub url: Url,
    /// Subprotocols offered.
    pub protocols: Vec<String>,
    /// Further headers of the request.
    pub headers: Vec<(String, String)>,
    /// TLS settings, for `wss`; `None` trusts the system's authorities.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name to check the certificate for, instead of the host of the URL.
    pub server_name: Option<ServerName<'static>>,
    /// Whether a server that chooses no subprotocol is refused.
    pub require_protocol: bool,
    /// How the server is reached.
    pub via: Via,
    /// A connected stream socket to the server; then nothing is dialled.
    pub socket: Option<OwnedFd>,
}

/// A socket after its handshake.
pub(super) struct Upgraded {
    pub(super) socket: Socket,
    pub(super) addresses: Option<(SocketAddr, SocketAddr)>,
    pub(super) tls: Option<rustls::Connection>,
    pub(super) accepted: Accepted,
}

impl Connection {
    /// A connection that begins to connect at `start`. Fails only for what can be told without the network: the request
    /// itself, and the trace file.
    pub fn connect(
        core: Arc<Core>,
        mailbox: Arc<dyn Mailbox>,
        target: Target,
        options: impl Into<Arc<Options>>,
    ) -> Result<Arc<Self>, ConnectError> {
        let options = options.into();
        target.check(&options)?;
        let connection = Self::new(core, mailbox, Role::Client, options)?;
        let (task, started) = (Arc::clone(&connection), connection.wait_for_start());
        connection.core.handle().spawn(async move {
            // The sender lives as long as the connection.
            let _ = started.await;
            // Boxed: what the handshake needs must not stay in the task for the life of the connection.
            let upgraded = tokio::select! {
                result = Box::pin(target.open(&task.options)) => result,
                () = task.cancelled() => Err(Failure::Cancelled),
            };
            match upgraded.and_then(|upgraded| task.opened(upgraded)) {
                Ok(ends) => task.run(ends, ()),
                Err(failure) if task.is_aborted() => {
                    drop(failure);
                    task.finish(Ok(Closed::abnormal()));
                }
                Err(failure) => task.finish(Err(failure)),
            }
        });
        Ok(connection)
    }

    fn opened(self: &Arc<Self>, upgraded: Upgraded) -> Result<Ends, Failure> {
        let Upgraded { socket, addresses, tls, accepted } = upgraded;
        let opened = Opened::new(socket, tls, accepted.rest, accepted.deflate, self).map_err(Failure::Transport)?;
        let notice = Notice::Open {
            protocol: accepted.protocol.unwrap_or_default(),
            extensions: accepted.deflate.map(|agreed| agreed.to_string()).unwrap_or_default(),
            headers: accepted.headers,
        };
        Ok(self.open(opened, addresses, notice))
    }
}

/// Why connecting could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The request cannot be written.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The trace file cannot be opened.
    #[error(transparent)]
    Trace(#[from] io::Error),
}

impl Target {
    /// Whether the request can be written.
    pub(super) fn check(&self, options: &Options) -> Result<(), RequestError> {
        self.request(options).encode().map(drop)
    }

    fn request(&self, options: &Options) -> ClientRequest {
        let mut headers = self.headers.clone();
        let given = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if let Some(value) = self.url.basic_authorization().filter(|_| !given("Authorization")) {
            headers.push(("Authorization".to_owned(), value));
        }
        ClientRequest {
            host: self.url.host_header(),
            path_and_query: self.url.path_and_query().to_owned(),
            protocols: self.protocols.clone(),
            headers,
            deflate: options.deflate,
        }
    }

    /// Connects, to wherever redirects lead. The time-outs are for all of it together.
    pub(super) async fn open(mut self, options: &Options) -> Result<Upgraded, Failure> {
        let mut left = (options.connect_timeout, options.handshake_timeout);
        let limit = self.via.max_redirects;
        let mut socket = self.socket.take();
        let given = socket.is_some();
        let mut trail = vec![self.url.redacted()];
        loop {
            let result = self.upgrade(options, socket.take(), &mut left).await;
            let Err(Failure::Handshake { error: answer, .. }) = &result else { return result };
            let Some(location) = redirect::location(answer).filter(|_| limit > 0) else { return result };
            let to = location.as_ref().copied().map(redirect::shown).unwrap_or_default();
            let followed = location.and_then(|location| self.redirected(location)).and_then(|next| {
                if given {
                    return Err(RedirectError::Fixed("sock"));
                }
                let circular = trail.contains(&next.url.redacted());
                trail.push(next.url.redacted());
                if trail.len() - 1 > limit {
                    return Err(RedirectError::Many { limit, circular, trail: trail.join(" → ") });
                }
                Ok(next)
            });
            self = match followed {
                Ok(next) => next,
                Err(error) => {
                    let refused = Refused { from: self.url.redacted(), to, error, answer: answer.clone() };
                    return Err(Failure::Redirect(Box::new(refused)));
                }
            };
        }
    }

    /// One attempt, within what is left of the time for connecting and for the handshake.
    async fn upgrade(
        &self,
        options: &Options,
        socket: Option<OwnedFd>,
        (for_connect, for_handshake): &mut (Option<Duration>, Option<Duration>),
    ) -> Result<Upgraded, Failure> {
        let mut progress = Progress::default();
        let stage = spend(for_connect, self.reach(socket, &mut progress)).await;
        let late = |stage, limit: Option<Duration>, waiting| self.late(stage, limit.unwrap_or_default(), waiting);
        let stream =
            stage.unwrap_or_else(|_| Err(late(Stage::Connect, options.connect_timeout, progress.to_string())))?;
        let stage = spend(for_handshake, self.handshake(stream, options)).await;
        stage
            .unwrap_or_else(|_| Err(late(Stage::Handshake, options.handshake_timeout, "no complete answer".to_owned())))
    }

    /// A stream to the server, with TLS if the URL says so.
    async fn reach(&self, socket: Option<OwnedFd>, progress: &mut Progress) -> Result<Reached, Failure> {
        let (host, port) = (self.url.host(), self.url.port());
        let mut stream = match (socket, &self.via.unix) {
            (Some(fd), _) => {
                let failed = |error: io::Error| self.unreachable(format!("sock: {error}"), error.raw_os_error());
                Stream::Plain(Socket::from_fd(fd).map_err(failed)?)
            }
            (None, Some(path)) => {
                let failed = |error: io::Error| {
                    self.unreachable(format!("unix_path {}: {error}", path.display()), error.raw_os_error())
                };
                Stream::Plain(UnixStream::connect(path).await.map_err(failed)?.into())
            }
            (None, None) => self.dialled(progress).await?,
        };
        stream.socket().set_nodelay();
        progress.tunnelled();
        let addresses = stream.socket().addresses().map_err(Failure::Transport)?;
        if self.url.secure() {
            progress.tls();
            let failed = |reason, broken| Failure::Tls { host: self.host(), port, reason, broken };
            let config = match &self.tls {
                Some(config) => Arc::clone(config),
                None => tls::system_trust().await.map_err(|reason| failed(reason, false))?,
            };
            let secured = stream.secured(&config, self.server_name.as_ref(), host).await;
            stream = secured.map_err(|error| failed(tls::reason(&error), !tls::is_ours(&error)))?;
        }
        Ok(Reached { stream, addresses })
    }

    /// TCP, and a proxy if there is one.
    async fn dialled(&self, progress: &mut Progress) -> Result<Stream, Failure> {
        let (host, port) = (self.url.host(), self.url.port());
        let proxy = self.via.proxies.for_url(&self.url).map_err(|error| Failure::Proxy {
            proxy: "of the environment".to_owned(),
            server: authority(host, port),
            error: Box::new(error.into()),
        })?;
        if let Some(proxy) = &proxy {
            return self.via.through(proxy, host, port, progress).await;
        }
        let socket = self.via.tcp(host, port, progress).await.map_err(|error| match error {
            Unreachable::Unresolved(source) => Failure::Resolve { host: self.host(), source },
            Unreachable::Failed(errno) => self.unreachable(progress.attempts(), errno),
        })?;
        Ok(Stream::Plain(socket.into()))
    }

    fn unreachable(&self, attempts: String, errno: Option<i32>) -> Failure {
        Failure::Connect { host: self.host(), port: self.url.port(), attempts, errno }
    }

    async fn handshake(&self, reached: Reached, options: &Options) -> Result<Upgraded, Failure> {
        let Reached { mut stream, addresses } = reached;
        let failed = |error| Failure::Handshake { host: self.host(), port: self.url.port(), error };
        let (bytes, key) = self.request(options).encode()?;
        let mut parser = ResponseParser::new(&key, &self.protocols).with_deflate(options.deflate);
        let accepted = match &mut stream {
            Stream::Plain(socket) => exchange(socket, &bytes, &mut parser).await,
            Stream::Tls(socket) => exchange(socket.as_mut(), &bytes, &mut parser).await,
        };
        let accepted = accepted.map_err(|source| self.interrupted(source))?.map_err(failed)?;
        if self.require_protocol && accepted.protocol.is_none() && !self.protocols.is_empty() {
            return Err(Failure::NoProtocol { offered: self.protocols.join(", ") });
        }
        let (socket, tls) = match stream {
            Stream::Plain(socket) => (socket, None),
            Stream::Tls(stream) => {
                let (socket, tls) = stream.into_inner();
                (socket, Some(rustls::Connection::from(tls)))
            }
        };
        Ok(Upgraded { socket, addresses, tls, accepted })
    }

    /// With TLS 1.3 a server that wants a client certificate says so only now.
    fn interrupted(&self, source: io::Error) -> Failure {
        let (host, port) = (self.host(), self.url.port());
        if tls::is_ours(&source) {
            return Failure::Tls { host, port, reason: tls::reason(&source), broken: false };
        }
        Failure::Interrupted { host, port, source }
    }

    fn host(&self) -> String {
        match self.url.host() {
            Host::Name(name) => name.clone(),
            Host::Ip(IpAddr::V4(ip)) => ip.to_string(),
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        }
    }

    fn late(&self, stage: Stage, seconds: Duration, waiting: String) -> Failure {
        Failure::Timeout { host: self.host(), port: self.url.port(), stage, seconds, waiting }
    }
}

/// A stream to the server, not upgraded yet.
struct Reached {
    stream: Stream,
    /// Those of the socket to the server, or to the proxy.
    addresses: Option<(SocketAddr, SocketAddr)>,
}

enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// TLS over this stream.
    async fn secured(
        self,
        config: &Arc<ClientConfig>,
        name: Option<&ServerName<'static>>,
        host: &Host,
    ) -> io::Result<Self> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => tunnel::relayed(stream)?,
        };
        tls::handshake(socket, config, name, host).await.map(Self::Tls)
    }
}

/// Sends the request and reads the response.
async fn exchange(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    request: &[u8],
    parser: &mut ResponseParser,
) -> io::Result<Result<Accepted, HandshakeError>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut buffer = vec![0; 4096];
    let mut refused = None;
    loop {
        let n = if parser.is_refused() {
            // Why is good to know, but not worth much waiting.
            let until = *refused.get_or_insert_with(|| Instant::now() + REST_OF_REFUSAL);
            timeout_at(until.into(), stream.read(&mut buffer)).await.unwrap_or(Ok(0)).unwrap_or(0)
        } else {
            stream.read(&mut buffer).await?
        };
        if n == 0 {
            return Ok(Err(parser.eof()));
        }
        match parser.feed(&buffer[..n]) {
            Ok(None) => {}
            Ok(Some(accepted)) => return Ok(Ok(accepted)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// The result of `work`, or the limit that ran out; what it took is no longer left.
async fn spend<T>(left: &mut Option<Duration>, work: impl Future<Output = T>) -> Result<T, Duration> {
    let began = Instant::now();
    let result = within(*left, work).await;
    *left = left.map(|left| left.saturating_sub(began.elapsed()));
    result
}

/// The result of `work`, or the limit that ran out.
pub(super) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, Duration> {
    match limit {
        None => Ok(work.await),
        Some(limit) => timeout(limit, work).await.map_err(|_| limit),
    }
}
