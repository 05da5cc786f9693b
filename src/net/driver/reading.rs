//! Reading of one open connection: bytes from the socket, through TLS, to messages and what they lead to.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout;

use crate::media::event::MediaEvent;
use crate::net::connection::Connection;
use crate::net::error::Failure;
use crate::net::io::Decrypted;
use crate::net::mailbox::Notice;
use crate::net::runtime::lock;
use crate::net::socket::ReadHalf;
use crate::net::trace::Direction;
use crate::proto::{CloseFrame, ProtocolError, Receiver};
use crate::session::inbound::{self, Port};
use crate::session::{Applied, Keepalive, MediaRefusal};

use super::LINGER;

/// Bytes read at a time. The buffer belongs to the worker thread, not to the connection: an idle one holds none.
const READ: usize = 64 * 1024;
/// Reads between two looks at the rest of the world.
const READS_PER_TURN: usize = 8;

thread_local! {
    static SCRATCH: RefCell<[Box<[u8]>; 2]> = RefCell::new([(); 2].map(|()| vec![0; READ].into_boxed_slice()));
}

/// What reading changes; apart from the socket, so that both can be borrowed at once.
pub(super) struct Reading {
    pub(super) receiver: Receiver,
    pub(super) tls: bool,
    pub(super) inlet: Inlet,
}

/// Where messages go that have been read.
pub(super) struct Inlet {
    pub(super) connection: Arc<Connection>,
    pub(super) keepalive: Keepalive,
    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    pub(super) received_close: Option<Option<CloseFrame>>,
    pub(super) notices: Vec<Notice>,
    /// Something came that the driver has to look at: a close frame, a pong.
    pub(super) stirred: bool,
    /// The last read of a turn has filled the buffer: there is more.
    pub(super) more: bool,
    /// What was read and could not be taken, because the application has enough to handle: less than a read.
    pub(super) left: Vec<u8>,
}

/// Why reading ended.
pub(super) enum ReadError {
    Protocol(ProtocolError),
    Io(io::Error),
}

/// What is left of a connection after its end.
pub(in crate::net) struct Rest {
    pub(super) reader: Option<ReadHalf>,
}

impl Reading {
    /// Reads and takes what is there, and goes on doing so while it is nothing that the driver has to look at: audio does
    /// not take it through its round of time-outs. False at the end of the stream.
    pub(super) fn poll_read(&mut self, reader: &mut ReadHalf, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        if !self.inlet.left.is_empty() {
            let mut left = std::mem::take(&mut self.inlet.left);
            self.receive(&mut left)?;
            // The end of a TLS stream may have been seen behind it.
            let over = self.tls && self.inlet.left.is_empty();
            return Poll::Ready(if over {
                SCRATCH.with_borrow_mut(|[_, plain]| self.take_into(&mut [], plain))
            } else {
                Ok(true)
            });
        }
        SCRATCH.with_borrow_mut(|[scratch, plain]| {
            for _ in 0..READS_PER_TURN {
                let mut buffer = ReadBuf::new(scratch);
                // After a read that did not fill the buffer, this is no system call but the knowledge that nothing is there.
                ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer)).map_err(ReadError::Io)?;
                let bytes = buffer.filled_mut();
                if bytes.is_empty() {
                    return Poll::Ready(Ok(false));
                }
                let connection = &self.inlet.connection;
                connection.stats.wire_bytes_received.add(bytes.len());
                let full = bytes.len() == READ;
                if !self.take_into(bytes, plain)? {
                    return Poll::Ready(Ok(false));
                }
                self.inlet.more = full;
                if std::mem::take(&mut self.inlet.stirred) || self.inlet.connection.is_paused() {
                    break;
                }
            }
            Poll::Ready(Ok(true))
        })
    }

    /// Takes bytes that came with the handshake: they went through TLS already. TLS may hold more, so it is asked.
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Result<bool, ReadError> {
        self.receive(bytes)?;
        if !self.tls {
            return Ok(true);
        }
        SCRATCH.with_borrow_mut(|[_, plain]| self.take_into(&mut [], plain))
    }

    /// Takes bytes from the socket, through TLS if there is any. False when the peer ended the TLS stream.
    fn take_into(&mut self, bytes: &mut [u8], plain: &mut [u8]) -> Result<bool, ReadError> {
        if !self.tls {
            self.receive(bytes)?;
            return Ok(true);
        }
        let connection = Arc::clone(&self.inlet.connection);
        let mut cipher: &[u8] = bytes;
        loop {
            match connection.with_open(|io| io.decrypt(&mut cipher, plain)) {
                Some(Ok(Decrypted::Bytes(0))) => return Ok(true),
                Some(Ok(Decrypted::Bytes(n))) => self.receive(&mut plain[..n])?,
                // What came before the end is taken first.
                Some(Ok(Decrypted::End)) if !self.inlet.left.is_empty() => return Ok(true),
                Some(Ok(Decrypted::End)) | None => return Ok(false),
                Some(Err(error)) => return Err(ReadError::Io(error)),
            }
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        if !self.inlet.left.is_empty() {
            self.inlet.left.extend_from_slice(bytes);
            return Ok(());
        }
        let media = self.inlet.connection.streams.is_some() && !self.inlet.connection.is_closing();
        let result = inbound::receive(&mut self.receiver, bytes, media, &mut self.inlet);
        self.inlet.post();
        result.map_err(ReadError::Protocol)
    }
}

impl Inlet {
    pub(super) fn post(&mut self) {
        self.connection.post(&mut self.notices);
    }

    fn message(&mut self, length: usize, notice: impl FnOnce() -> Notice) {
        if self.connection.is_closing() {
            return;
        }
        self.connection.stats.messages_received.add(1);
        self.connection.stats.bytes_received.add(length);
        self.connection.charge(Connection::cost(length));
        self.notices.push(notice());
    }
}

impl Port for Inlet {
    fn text(&mut self, text: String) {
        if let Some(trace) = self.connection.trace.get() {
            trace.text(Direction::Received, &text);
        }
        self.message(text.len(), || Notice::Text(text));
    }

    fn binary(&mut self, data: Vec<u8>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.binary(Direction::Received, &data);
        }
        self.message(data.len(), || Notice::Binary(data));
    }

    fn ping(&mut self, payload: &[u8]) {
        self.connection.with_open(|io| io.outbound.pong(payload));
    }

    fn pong(&mut self, payload: &[u8]) {
        self.stirred = true;
        self.connection.stats.pongs_received.add(1);
        match self.keepalive.pong(payload, Instant::now()) {
            Some(latency) => self.connection.answered(latency),
            None if self.connection.is_answer(payload) => self.notices.push(Notice::Pong(payload.to_vec())),
            None => {}
        }
    }

    fn close(&mut self, frame: Option<CloseFrame>) {
        if let Some(trace) = self.connection.trace.get() {
            trace.close(Direction::Received, frame.as_ref());
        }
        self.received_close = Some(frame);
        self.stirred = true;
    }

    fn media(&mut self, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal> {
        let Some(streams) = &self.connection.streams else { return Ok(Applied::Ordinary) };
        let mut streams = lock(streams);
        let now = Instant::now();
        let applied = streams.apply(now, event)?;
        streams.tell_voices(&mut |output| self.connection.play(now, &output, &mut self.notices));
        let deadline = streams.next_deadline();
        drop(streams);
        if applied == Applied::Audio {
            self.connection.stats.messages_received.add(1);
            self.connection.schedule(deadline);
        }
        Ok(applied)
    }

    fn is_full(&self) -> bool {
        self.connection.is_paused() && !self.connection.is_closing()
    }

    fn leave(&mut self, rest: &[u8]) {
        self.left.extend_from_slice(rest);
    }

    fn media_error(&mut self, error: MediaRefusal) {
        self.notices.push(Notice::Error(Failure::Media(error)));
    }
}

impl Rest {
    /// Reads and forgets what the peer still sends, for a short while.
    pub(in crate::net) async fn linger(self) {
        let Some(mut reader) = self.reader else { return };
        let end = poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|[scratch, _]| {
                loop {
                    let mut buffer = ReadBuf::new(scratch);
                    match ready!(Pin::new(&mut reader).poll_read(cx, &mut buffer)) {
                        Ok(()) if !buffer.filled().is_empty() => {}
                        _ => return Poll::Ready(()),
                    }
                }
            })
        });
        let _ = timeout(LINGER, end).await;
    }
}
