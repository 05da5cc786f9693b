//! Reading of one open connection: bytes from the socket, through TLS, to messages and what they lead to.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::timeout;

use crate::media::event::MediaEvent;
use crate::media::scratch;
use crate::net::connection::Connection;
use crate::net::error::Failure;
use crate::net::io::Decrypted;
use crate::net::mailbox::{Notice, Taker};
use crate::net::room::{VecRoom, fill};
use crate::net::runtime::lock;
use crate::net::socket::{OpenSocket, Watch};
use crate::net::trace::Direction;
use crate::proto::{CloseFrame, Kind, Negotiated, Payload, ProtocolError, Receiver, Text};
use crate::session::inbound::{self, Port};
use crate::session::{Applied, Keepalive, MediaRefusal};

use super::LINGER;

/// Bytes read at a time. The buffer belongs to the thread that reads, not to the connection: an idle one holds none.
const READ: usize = 64 * 1024;
/// A message of which at least this much is still to come is read straight to where it is to be.
const LONG: u64 = 16 * 1024;
/// Reads between two looks at the rest of the world.
const READS_PER_TURN: usize = 8;

thread_local! {
    static SCRATCH: RefCell<[Box<[u8]>; 2]> = RefCell::new([(); 2].map(|()| vec![0; READ].into_boxed_slice()));
}

/// What reading changes, for whoever reads: the connection's task, or its loop. Locked while one read is taken apart.
pub(in crate::net) struct Reading {
    socket: Arc<OpenSocket>,
    receiver: Receiver,
    tls: bool,
    pub(super) keepalive: Keepalive,
    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    pub(super) received_close: Option<Option<CloseFrame>>,
    /// Why nothing more is read. The task finds it here, whoever has read.
    pub(super) end: Option<ReadEnd>,
    /// The last read of a turn has filled the buffer: there is more.
    pub(super) more: bool,
    /// What was read and could not be taken, because the application has enough to handle: less than a read.
    left: Vec<u8>,
    /// A long message that is not whole.
    long: Option<Box<Long>>,
}

/// A long message on its way to its room.
struct Long {
    kind: Kind,
    room: VecRoom,
}

/// Why reading ended.
pub(super) enum ReadEnd {
    /// The stream has ended.
    Stream,
    Protocol(ProtocolError),
    Io(io::Error),
}

/// Where messages go that have been read.
struct Inlet<'a, T> {
    connection: &'a Arc<Connection>,
    keepalive: &'a mut Keepalive,
    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    received_close: &'a mut Option<Option<CloseFrame>>,
    taker: &'a mut T,
    left: &'a mut Vec<u8>,
    long: &'a mut Option<Box<Long>>,
    /// Messages, their bytes, and what they cost: counted once for all of a read.
    messages: usize,
    bytes: usize,
    cost: usize,
    /// Something came that the task has to look at: a close frame, a pong.
    stirred: bool,
}

/// What is left of a connection after its end.
pub(in crate::net) struct Rest {
    pub(super) socket: Option<Arc<OpenSocket>>,
}

/// What one read has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Progress {
    /// There may be more.
    More,
    /// The socket has nothing more for now.
    Dry,
    /// The task has something to look at: a close frame, a pong, the end.
    Stirred,
}

impl Reading {
    pub(super) fn new(
        socket: Arc<OpenSocket>,
        connection: &Connection,
        tls: bool,
        agreed: Option<&Negotiated>,
    ) -> Self {
        let options = &connection.options;
        Self {
            socket,
            receiver: Receiver::with_deflate(connection.role(), options.limits, agreed),
            tls,
            keepalive: Keepalive::new(options.ping_interval, options.ping_timeout, Instant::now()),
            received_close: None,
            end: None,
            more: false,
            left: Vec::new(),
            long: None,
        }
    }

    /// Reads and takes what is there, once, and gives it to `taker`.
    pub(in crate::net) fn read(&mut self, connection: &Arc<Connection>, taker: &mut impl Taker) -> Progress {
        if !self.left.is_empty() {
            return self.receive_left(connection, taker);
        }
        if let Some(long) = self.long.as_mut().filter(|_| !self.tls) {
            let missing = long.room.missing();
            return match self.socket.recv_into(&mut long.room) {
                Ok(0) => self.ended(ReadEnd::Stream),
                Ok(n) => match self.read_long(connection, n, taker) {
                    Progress::More if n < missing => Progress::Dry,
                    progress => progress,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Progress::Dry,
                Err(error) => self.ended(ReadEnd::Io(error)),
            };
        }
        SCRATCH.with_borrow_mut(|[scratch, plain]| match self.socket.recv(scratch) {
            Ok(0) => self.ended(ReadEnd::Stream),
            Ok(n) => match self.take_into(connection, &mut scratch[..n], plain, taker) {
                // What did not fill the buffer was all there was.
                Progress::More if n < READ => Progress::Dry,
                progress => progress,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Progress::Dry,
            Err(error) => self.ended(ReadEnd::Io(error)),
        })
    }

    /// The same in a task, which goes on while it is nothing that it has to look at: audio does not take it through its
    /// round of time-outs.
    pub(super) fn poll_read(
        &mut self,
        connection: &Arc<Connection>,
        watch: &Watch,
        cx: &mut Context<'_>,
    ) -> Poll<Progress> {
        if !self.left.is_empty() {
            let mut notices = Vec::new();
            self.receive_left(connection, &mut notices);
            connection.post(&mut notices);
            return Poll::Ready(Progress::More);
        }
        SCRATCH.with_borrow_mut(|[scratch, plain]| {
            for _ in 0..READS_PER_TURN {
                // After a read that did not fill the buffer, this is no system call but the knowledge that nothing is there.
                if let Some(long) = self.long.as_mut().filter(|_| !self.tls) {
                    let missing = long.room.missing();
                    let n = match ready!(watch.poll_recv_into(cx, &mut long.room)) {
                        Ok(0) => return Poll::Ready(self.ended(ReadEnd::Stream)),
                        Ok(n) => n,
                        Err(error) => return Poll::Ready(self.ended(ReadEnd::Io(error))),
                    };
                    let mut notices = Vec::new();
                    let progress = self.read_long(connection, n, &mut notices);
                    connection.post(&mut notices);
                    self.more = n == missing;
                    if progress == Progress::Stirred || connection.is_paused() {
                        break;
                    }
                    continue;
                }
                let n = match ready!(watch.poll_recv(cx, scratch)) {
                    Ok(0) => return Poll::Ready(self.ended(ReadEnd::Stream)),
                    Ok(n) => n,
                    Err(error) => return Poll::Ready(self.ended(ReadEnd::Io(error))),
                };
                let mut notices = Vec::new();
                let progress = self.take_into(connection, &mut scratch[..n], plain, &mut notices);
                connection.post(&mut notices);
                self.more = n == READ;
                if progress == Progress::Stirred || connection.is_paused() {
                    break;
                }
            }
            Poll::Ready(Progress::More)
        })
    }

    pub(in crate::net) fn socket(&self) -> &Arc<OpenSocket> {
        &self.socket
    }

    /// Whether nothing more is to be read but the end of the stream.
    pub(in crate::net) fn is_over(&self) -> bool {
        self.end.is_some() || self.received_close.is_some()
    }

    /// Reads what waits in the socket, within reason, for the task to go through.
    pub(super) fn catch_up(&mut self, connection: &Arc<Connection>) {
        for _ in 0..READS_PER_TURN {
            let mut notices = Vec::new();
            let progress = self.read(connection, &mut notices);
            connection.post(&mut notices);
            if progress != Progress::More {
                break;
            }
        }
    }

    /// Takes bytes that came with the handshake: they went through TLS already. TLS may hold more, so it is asked.
    pub(in crate::net) fn take(&mut self, connection: &Arc<Connection>, bytes: &mut [u8]) {
        let mut notices = Vec::new();
        self.receive(connection, bytes, &mut notices);
        if self.tls && self.end.is_none() {
            SCRATCH.with_borrow_mut(|[_, plain]| self.take_into(connection, &mut [], plain, &mut notices));
        }
        connection.post(&mut notices);
    }

    /// Takes bytes from the socket, through TLS if there is any.
    fn take_into(
        &mut self,
        connection: &Arc<Connection>,
        bytes: &mut [u8],
        plain: &mut [u8],
        taker: &mut impl Taker,
    ) -> Progress {
        connection.stats.wire_bytes_received.add(bytes.len());
        if !self.tls {
            return self.receive(connection, bytes, taker);
        }
        let mut cipher: &[u8] = bytes;
        let mut all = Progress::More;
        loop {
            match connection.with_open(|io| io.decrypt(&mut cipher, plain)) {
                Some(Ok(Decrypted::Bytes(0))) => return all,
                Some(Ok(Decrypted::Bytes(n))) => {
                    if self.receive(connection, &mut plain[..n], taker) == Progress::Stirred {
                        all = Progress::Stirred;
                    }
                    if self.end.is_some() {
                        return all;
                    }
                }
                Some(Ok(Decrypted::End)) | None => return self.ended(ReadEnd::Stream),
                Some(Err(error)) => return self.ended(ReadEnd::Io(error)),
            }
        }
    }

    /// Why nothing more comes, once all that came before is taken.
    pub(super) fn take_end(&mut self) -> Option<ReadEnd> {
        if self.left.is_empty() { self.end.take() } else { None }
    }

    /// Takes what was left of an earlier read.
    fn receive_left(&mut self, connection: &Arc<Connection>, taker: &mut impl Taker) -> Progress {
        let mut left = std::mem::take(&mut self.left);
        self.receive(connection, &mut left, taker)
    }

    /// Whether something was read that could not be taken.
    pub(in crate::net) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// So many bytes of a long message were read.
    fn read_long(&mut self, connection: &Arc<Connection>, count: usize, taker: &mut impl Taker) -> Progress {
        connection.stats.wire_bytes_received.add(count);
        self.receive(connection, &mut [], taker)
    }

    fn receive(&mut self, connection: &Arc<Connection>, bytes: &mut [u8], taker: &mut impl Taker) -> Progress {
        if !self.left.is_empty() {
            self.left.extend_from_slice(bytes);
            return Progress::More;
        }
        let mut used = 0;
        if let Some(long) = &mut self.long {
            used = fill(&mut long.room, bytes);
            if long.room.missing() > 0 {
                return Progress::More;
            }
        }
        let whole = self.long.take();
        let bytes = bytes.get_mut(used..).unwrap_or_default();
        let media = connection.streams.is_some() && !connection.is_closing();
        let mut inlet = Inlet {
            connection,
            keepalive: &mut self.keepalive,
            received_close: &mut self.received_close,
            taker,
            left: &mut self.left,
            long: &mut self.long,
            messages: 0,
            bytes: 0,
            cost: 0,
            stirred: false,
        };
        let mut result = Ok(());
        if let Some(Long { kind, room }) = whole.map(|long| *long) {
            result = inbound::receive_long(kind, room.into_vec(), media, &mut inlet);
        }
        if result.is_ok() && !bytes.is_empty() {
            if inlet.is_full() {
                inlet.leave(bytes);
            } else {
                result = inbound::receive(&mut self.receiver, bytes, media, &mut inlet);
            }
        }
        let stirred = inlet.stirred;
        if inlet.messages > 0 {
            connection.stats.messages_received.add(inlet.messages);
            connection.stats.bytes_received.add(inlet.bytes);
            connection.charge(inlet.cost);
        }
        match result {
            Err(error) => self.ended(ReadEnd::Protocol(error)),
            Ok(()) if stirred => Progress::Stirred,
            Ok(()) => Progress::More,
        }
    }

    fn ended(&mut self, end: ReadEnd) -> Progress {
        self.end = Some(end);
        Progress::Stirred
    }
}

impl<T> Inlet<'_, T> {
    /// Whether a message is for the application: after `close` none is.
    fn counts(&mut self, length: usize) -> bool {
        if self.connection.is_closing() {
            return false;
        }
        self.messages += 1;
        self.bytes += length;
        self.cost += Connection::cost(length);
        true
    }
}

impl<T: Taker> Port for Inlet<'_, T> {
    fn text(&mut self, text: Text<'_>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.text(Direction::Received, text.as_str());
        }
        if self.counts(text.as_str().len()) {
            self.taker.text(text);
        }
    }

    fn binary(&mut self, data: Payload<'_>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.binary(Direction::Received, data.as_slice());
        }
        if self.counts(data.as_slice().len()) {
            self.taker.binary(data);
        }
    }

    fn ping(&mut self, payload: &[u8]) {
        self.connection.with_open(|io| io.outbound.pong(payload));
    }

    fn pong(&mut self, payload: &[u8]) {
        self.connection.stats.pongs_received.add(1);
        match self.keepalive.pong(payload, Instant::now()) {
            Some(latency) => {
                self.stirred = true;
                self.connection.answered(latency);
            }
            None if self.connection.is_answer(payload) => self.taker.notice(Notice::Pong(payload.to_vec())),
            None => {}
        }
    }

    fn close(&mut self, frame: Option<CloseFrame>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.close(Direction::Received, frame.as_ref());
        }
        *self.received_close = Some(frame);
        self.stirred = true;
    }

    fn media(&mut self, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal> {
        let Some(streams) = &self.connection.streams else { return Ok(Applied::Ordinary) };
        // Audio is read by the task, whatever the loop is at.
        self.connection.leave_loop();
        let (now, mut notices) = (Instant::now(), Vec::new());
        let mut streams = lock(streams);
        let applied = streams.apply(now, event)?;
        streams.tell_voices(&mut |output| self.connection.play(now, &output, &mut notices));
        let deadline = streams.next_deadline();
        drop(streams);
        for notice in notices {
            self.taker.notice(notice);
        }
        if applied == Applied::Audio {
            self.connection.stats.messages_received.add(1);
            self.connection.schedule(deadline);
        }
        Ok(applied)
    }

    fn is_full(&self) -> bool {
        self.connection.is_full_with(self.cost) && !self.connection.is_closing()
    }

    fn reads_long(&self) -> u64 {
        LONG
    }

    fn long(&mut self, kind: Kind, length: usize, first: &[u8]) -> Result<(), ProtocolError> {
        let room = VecRoom::within(scratch::take_long(), length);
        let mut room = room.ok_or(ProtocolError::NoMemory { size: length })?;
        fill(&mut room, first);
        *self.long = Some(Box::new(Long { kind, room }));
        Ok(())
    }

    fn leave(&mut self, rest: &[u8]) {
        self.left.extend_from_slice(rest);
    }

    fn media_error(&mut self, error: MediaRefusal) {
        self.taker.notice(Notice::Error(Failure::Media(error)));
    }
}

impl Rest {
    /// Reads and forgets what the peer still sends, for a short while.
    pub(in crate::net) async fn linger(self) {
        let Some(socket) = self.socket else { return };
        let Ok(watch) = Watch::both(&socket) else { return };
        let end = poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|[scratch, _]| {
                loop {
                    match ready!(watch.poll_recv(cx, scratch)) {
                        Ok(n) if n > 0 => {}
                        _ => return Poll::Ready(()),
                    }
                }
            })
        });
        let _ = timeout(LINGER, end).await;
    }
}
