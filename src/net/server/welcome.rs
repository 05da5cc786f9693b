//! One attempt to connect: TLS, the request, who decides about it, the answer. Whoever does not speak them properly is
//! closed without a word to the application: it could not do anything about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::net::mailbox::Notice;
use crate::net::socket::Socket;
use crate::proto::Negotiated;
use crate::proto::handshake::{Asked, Request, RequestParser, RequestRejected, Response, reject};

use super::question::{Facts, Question, Verdict};
use super::{Listener, Place};

/// What a refused peer gets, beyond the time-out, to take the answer and to hang up.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Bytes that a client may send before it has an answer while the application decides. Behind them it is not read.
const MAX_EARLY: usize = 16 * 1024;

/// A stream that a request comes on.
trait Stream: AsyncReadExt + AsyncWriteExt + Unpin {}
impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Stream for S {}

/// When the handshake has to be done.
type Deadline = Option<Instant>;

/// Who connects.
struct Caller {
    peer: Option<SocketAddr>,
    certificate: Option<Vec<u8>>,
}

/// A request that was answered with 101.
pub(super) struct Answered {
    pub(super) request: Box<Request>,
    pub(super) protocol: Option<String>,
    pub(super) agreed: Option<Negotiated>,
    pub(super) place: Place,
}

/// What is sent: the response that opens the connection, or one that ends it.
enum Answer {
    Open { response: Vec<u8>, request: Box<Request>, protocol: Option<String>, agreed: Option<Negotiated> },
    End(Vec<u8>),
}

impl Listener {
    /// Takes one attempt through its handshake, and a connection to its end.
    pub(super) async fn welcome(self: Arc<Self>, socket: Socket, peer: Option<SocketAddr>, place: Option<Place>) {
        socket.set_nodelay();
        let deadline = self.options.connection.handshake_timeout.map(|limit| Instant::now() + limit);
        // Boxed: what the handshake needs must not stay in the task for the life of the connection.
        let handshake = Box::pin(self.shake_hands(socket, peer, place, deadline));
        let result = tokio::select! {
            result = handshake => result,
            _ = self.stopped() => None,
        };
        let Some((answered, socket, tls)) = result else { return };
        self.hand_over(answered, socket, tls, peer).await;
    }

    async fn shake_hands(
        &self,
        mut socket: Socket,
        peer: Option<SocketAddr>,
        place: Option<Place>,
        deadline: Deadline,
    ) -> Option<(Answered, Socket, Option<rustls::Connection>)> {
        let Some(config) = self.tls() else {
            let answered = self.answer(&mut socket, Caller { peer, certificate: None }, place, deadline).await?;
            return Some((answered, socket, None));
        };
        let mut stream = match by(deadline, TlsAcceptor::from(config).accept(socket).into_fallible()).await? {
            Ok(stream) => stream,
            Err((_, mut socket)) => {
                // The alert is on its way; closing at once could overtake it. Meanwhile the place is free for others.
                drop(place);
                linger(&mut socket).await;
                return None;
            }
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|der| der.to_vec());
        let answered = self.answer(&mut stream, Caller { peer, certificate }, place, deadline).await?;
        let (socket, tls) = stream.into_inner();
        Some((answered, socket, Some(rustls::Connection::from(tls))))
    }

    /// Reads the request and answers it; `None` when it was refused.
    async fn answer(
        &self,
        stream: &mut impl Stream,
        caller: Caller,
        place: Option<Place>,
        deadline: Deadline,
    ) -> Option<Answered> {
        let asked = match by(deadline, self.read_request(stream)).await?? {
            Ok(asked) => asked,
            Err(rejected) => {
                refuse(stream, &rejected.response(), deadline).await;
                return None;
            }
        };
        let Some(place) = place else {
            let limit = self.options.max_connections;
            let reason = format!("max_connections = {limit} reached");
            if let Ok(response) = reject(503, &reason, &[("Retry-After".to_owned(), "5".to_owned())]) {
                refuse(stream, &response, deadline).await;
            }
            self.core.totals.refused.add(1);
            self.refused(503, reason, caller.peer);
            return None;
        };
        match self.decide(stream, asked, caller, deadline).await? {
            Answer::Open { response, request, protocol, agreed } => {
                by(deadline, send(stream, &response)).await?.ok()?;
                Some(Answered { request, protocol, agreed, place })
            }
            Answer::End(response) => {
                refuse(stream, &response, deadline).await;
                None
            }
        }
    }

    /// The request; `None` if the peer hangs up before.
    async fn read_request(&self, stream: &mut impl Stream) -> Option<Result<Asked, RequestRejected>> {
        let mut parser = RequestParser::new(self.options.limits);
        let mut buffer = vec![0; 4096];
        loop {
            let n = stream.read(&mut buffer).await.ok().filter(|&n| n > 0)?;
            let fed = if self.options.ask {
                parser.feed_any(&buffer[..n])
            } else {
                parser.feed(&buffer[..n]).map(|request| request.map(Asked::Upgrade))
            };
            if let Some(result) = fed.transpose() {
                return Some(result);
            }
        }
    }

    /// What to answer; `None` if the peer hangs up before it is known.
    async fn decide(
        &self,
        stream: &mut impl Stream,
        asked: Asked,
        caller: Caller,
        deadline: Deadline,
    ) -> Option<Answer> {
        if let (Asked::Upgrade(request), Some(origins)) = (&asked, &self.options.origins)
            && let Err(rejected) = origins.check(request)
        {
            let response = rejected.response();
            self.refused(rejected.status, rejected.reason, caller.peer);
            return Some(Answer::End(response));
        }
        let mut early = Vec::new();
        let verdict = if self.options.ask {
            self.ask(stream, &asked, caller, deadline, &mut early).await?
        } else {
            Verdict::default()
        };
        let (protocol, headers, mut request) = match (verdict, asked) {
            (Verdict::Respond(response), asked) => {
                let method = if let Asked::Plain(request) = &asked { request.method.as_str() } else { "GET" };
                return response.encode(method).ok().map(Answer::End);
            }
            (Verdict::GoOn { .. }, Asked::Plain(request)) => return Some(Answer::End(request.refusal.response())),
            (Verdict::GoOn { protocol, headers }, Asked::Upgrade(request)) => (protocol, headers, request),
        };
        let protocol = protocol.unwrap_or_else(|| {
            let offered = |name: &&String| request.protocols.contains(name);
            self.options.protocols.iter().find(offered).cloned()
        });
        let deflate = self.options.connection.deflate.as_ref();
        let (response, agreed) = request.accept_with(protocol.as_deref(), deflate, &headers).ok()?;
        request.rest.append(&mut early);
        Some(Answer::Open { response, request: Box::new(request), protocol, agreed })
    }

    /// Asks the application. `None` if the peer hangs up before there is an answer; what it sends goes to `early`.
    async fn ask(
        &self,
        stream: &mut impl Stream,
        asked: &Asked,
        caller: Caller,
        deadline: Deadline,
        early: &mut Vec<u8>,
    ) -> Option<Verdict> {
        let id = self.core.next_id();
        let (question, answer) = Question::new(id, &facts(asked), caller.peer, caller.certificate);
        let mut waiting = Waiting { listener: self, question: id, over: false, late: false };
        self.mailbox.post_one(self.id, Notice::Asked(Arc::new(question)));
        let verdict = tokio::select! {
            verdict = decided(answer) => verdict,
            () = ended(stream, early) => return None,
            () = passed(deadline) => {
                waiting.late = true;
                return Some(failed(503, "the server did not decide about this request in time"));
            }
        };
        waiting.over = true;
        Some(verdict)
    }

    fn refused(&self, status: u16, reason: String, peer: Option<SocketAddr>) {
        self.mailbox.post_one(self.id, Notice::Refused { status, reason, peer });
    }
}

/// A question that the application has not answered yet. Dropped before that, the application is told, whatever the
/// cause: the peer is gone, time is over, the listener stops.
struct Waiting<'a> {
    listener: &'a Listener,
    question: u64,
    over: bool,
    late: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over {
            let notice = Notice::Withdrawn { question: self.question, late: self.late };
            self.listener.mailbox.post_one(self.listener.id, notice);
        }
    }
}

fn facts(asked: &Asked) -> Facts<'_> {
    match asked {
        Asked::Upgrade(Request { path, host, headers, protocols, .. }) => {
            Facts { method: "GET", path, host, headers, protocols: Some(protocols) }
        }
        Asked::Plain(request) => Facts {
            method: &request.method,
            path: &request.path,
            host: &request.host,
            headers: &request.headers,
            protocols: None,
        },
    }
}

async fn decided(answer: oneshot::Receiver<Verdict>) -> Verdict {
    // The application let go of the question without an answer.
    answer.await.unwrap_or_else(|_| failed(500, "the server failed to decide about this request"))
}

fn failed(status: u16, body: &str) -> Verdict {
    let headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    Verdict::Respond(Response { status, headers, body: format!("{body}\n").into_bytes() })
}

/// Returns when the peer has hung up. What it sends before is kept, within a bound.
async fn ended(stream: &mut impl Stream, early: &mut Vec<u8>) {
    let mut buffer = vec![0; 4096];
    while early.len() < MAX_EARLY {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => early.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    std::future::pending::<()>().await;
}

async fn passed(deadline: Deadline) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The result of `work`, unless time is over before.
async fn by<T>(deadline: Deadline, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

async fn send(stream: &mut impl Stream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Sends a last response and waits until the peer has had a chance to read it.
async fn refuse(stream: &mut impl Stream, response: &[u8], deadline: Deadline) {
    let deadline = deadline.map(|deadline| deadline.max(Instant::now() + LAST_WORD));
    if let Some(Ok(())) = by(deadline, send(stream, response)).await {
        linger(stream).await;
    }
}

/// Ends our direction and reads what the peer still sends, for a while: closing at once would reset the connection when
/// the peer has sent more than we read, and it might not see our last word.
async fn linger(stream: &mut impl Stream) {
    let read = async {
        if stream.shutdown().await.is_ok() {
            let mut buffer = vec![0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
        }
    };
    let _ = timeout(LAST_WORD, read).await;
}
