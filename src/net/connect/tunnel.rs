//! Through a proxy to the server: the proxy's protocol spoken over a socket, and TLS to the proxy where it wants it.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{UnixStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::net::error::Failure;
use crate::net::proxy::{Proxy, ProxyError, Scheme, Socks, SocksReply, SocksVersion, authority};
use crate::net::socket::Socket;
use crate::net::tls::{self, TlsStream};
use crate::proto::Host;
use crate::proto::handshake::{Tunnel, TunnelParser, connect_request};

use super::REST_OF_REFUSAL;
use super::Stream;
use super::dial::{Progress, Unreachable, Via};

/// How long a connection through a TLS proxy may take to end once our side has: as long as `driver` gives any peer.
const LINGER: Duration = Duration::from_secs(2);

/// What to do next in a dialogue with a proxy.
enum Next {
    Read,
    /// It has refused; only the rest of its words is missing.
    ReadRest,
    Send(Vec<u8>),
    Open,
}

/// A dialogue with a proxy, sans-IO.
trait Dialogue {
    fn feed(&mut self, bytes: &[u8]) -> Result<Next, ProxyError>;
    fn eof(&mut self) -> ProxyError;
}

struct HttpDialogue {
    parser: TunnelParser,
    credentials: bool,
}

impl Dialogue for HttpDialogue {
    fn feed(&mut self, bytes: &[u8]) -> Result<Next, ProxyError> {
        match self.parser.feed(bytes).map_err(|error| ProxyError::Tunnel { error, credentials: self.credentials })? {
            Tunnel::Waiting => Ok(Next::Read),
            Tunnel::Refused => Ok(Next::ReadRest),
            Tunnel::Open => Ok(Next::Open),
        }
    }

    fn eof(&mut self) -> ProxyError {
        ProxyError::Tunnel { error: self.parser.eof(), credentials: self.credentials }
    }
}

impl Dialogue for Socks {
    fn feed(&mut self, bytes: &[u8]) -> Result<Next, ProxyError> {
        Ok(match Socks::feed(self, bytes)? {
            SocksReply::More => Next::Read,
            SocksReply::Send(bytes) => Next::Send(bytes),
            SocksReply::Open => Next::Open,
        })
    }

    fn eof(&mut self) -> ProxyError {
        Socks::eof(self).into()
    }
}

impl Via {
    /// A stream to `host` that goes through `proxy`.
    pub(super) async fn through(
        &self,
        proxy: &Proxy,
        host: &Host,
        port: u16,
        progress: &mut Progress,
    ) -> Result<Stream, Failure> {
        progress.through(proxy);
        // The name is resolved before the proxy is bothered.
        let destination = match proxy.scheme {
            Scheme::Socks(SocksVersion::V4) => resolved(host, port, IpAddr::is_ipv4).await?,
            Scheme::Socks(SocksVersion::V5) => resolved(host, port, |_| true).await?,
            _ => host.clone(),
        };
        self.tunnel(proxy, &destination, port, progress).await.map_err(|error| Failure::Proxy {
            proxy: proxy.to_string(),
            server: authority(host, port),
            error: Box::new(error),
        })
    }

    async fn tunnel(
        &self,
        proxy: &Proxy,
        host: &Host,
        port: u16,
        progress: &mut Progress,
    ) -> Result<Stream, ProxyError> {
        // Everything that can be told without the network comes first.
        let (mut dialogue, hello): (Box<dyn Dialogue + Send>, _) = match proxy.scheme {
            Scheme::Http | Scheme::Https => {
                let hello = connect_request(&authority(host, port), proxy.basic_authorization().as_deref())?;
                let credentials = proxy.credentials.is_some();
                (Box::new(HttpDialogue { parser: TunnelParser::default(), credentials }), hello)
            }
            Scheme::Socks(version) => {
                let (socks, hello) = Socks::new(version, host, port, proxy.credentials.as_ref())?;
                (Box::new(socks), hello)
            }
        };
        let socket = self.tcp(&proxy.host, proxy.port, progress).await.map_err(|error| match error {
            Unreachable::Unresolved(source) => ProxyError::Resolve(source),
            Unreachable::Failed(errno) => ProxyError::Connect { attempts: progress.attempts(), errno },
        })?;
        let _ = socket.set_nodelay(true);
        let mut stream = Stream::Plain(socket.into());
        if proxy.scheme == Scheme::Https {
            progress.tls();
            let config = self.proxy_trust().await.map_err(ProxyError::Tls)?;
            let name = self.proxy_server_name.as_ref();
            let secured = stream.secured(&config, name, &proxy.host).await;
            stream = secured.map_err(|error| ProxyError::Tls(tls::reason(&error)))?;
        }
        progress.asking();
        match &mut stream {
            Stream::Plain(socket) => converse(socket, &mut *dialogue, hello).await?,
            Stream::Tls(socket) => converse(socket.as_mut(), &mut *dialogue, hello).await?,
        }
        Ok(stream)
    }

    async fn proxy_trust(&self) -> Result<Arc<ClientConfig>, String> {
        match &self.proxy_tls {
            Some(config) => Ok(Arc::clone(config)),
            None => tls::system_trust().await,
        }
    }
}

/// The first address of the host that will do.
async fn resolved(host: &Host, port: u16, wanted: impl Fn(&IpAddr) -> bool) -> Result<Host, Failure> {
    let Host::Name(name) = host else { return Ok(host.clone()) };
    let failed = |source| Failure::Resolve { host: name.clone(), source };
    let mut found = lookup_host((name.as_str(), port)).await.map_err(failed)?.map(|address| address.ip());
    let none = || failed(io::Error::other("it has no address that the proxy's protocol takes"));
    found.find(wanted).map(Host::Ip).ok_or_else(none)
}

/// Speaks with a proxy until the stream to the server is there.
async fn converse(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    dialogue: &mut (dyn Dialogue + Send),
    hello: Vec<u8>,
) -> Result<(), ProxyError> {
    let mut next = Next::Send(hello);
    let mut buffer = [0; 2048];
    loop {
        let n = match next {
            Next::Open => return Ok(()),
            Next::Send(bytes) => {
                stream.write_all(&bytes).await.map_err(ProxyError::Lost)?;
                stream.flush().await.map_err(ProxyError::Lost)?;
                next = Next::Read;
                continue;
            }
            Next::Read => stream.read(&mut buffer).await.map_err(ProxyError::Lost)?,
            Next::ReadRest => timeout(REST_OF_REFUSAL, stream.read(&mut buffer)).await.unwrap_or(Ok(0)).unwrap_or(0),
        };
        if n == 0 {
            return Err(dialogue.eof());
        }
        next = dialogue.feed(buffer.get(..n).unwrap_or_default())?;
    }
}

/// A socket in place of a TLS stream, for TLS inside it: a task carries the bytes. The connection proper knows one layer
/// of TLS only, and this second one is rare.
pub(super) fn relayed(stream: Box<TlsStream>) -> io::Result<Socket> {
    let (ours, theirs) = UnixStream::pair()?;
    tokio::spawn(async move {
        let (mut from_us, mut to_us) = theirs.into_split();
        let (mut from_proxy, mut to_proxy) = split(stream);
        let up = async {
            let _ = copy(&mut from_us, &mut to_proxy).await;
            let _ = to_proxy.shutdown().await;
            sleep(LINGER).await;
        };
        let down = async {
            let _ = copy(&mut from_proxy, &mut to_us).await;
            let _ = to_us.shutdown().await;
            // Our side ends when it has seen that.
            pending::<()>().await;
        };
        tokio::select! {
            () = up => {}
            () = down => {}
        }
    });
    Ok(ours.into())
}
