//! The receiving side of a blocking connection: bytes from the socket, through TLS, to messages. One thread at a time has
//! it. It reads much at once and takes the messages out of that one by one, when somebody wants them; a long one is read
//! to where it is to be. Waiting, and what a control frame leads to, is the connection's.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::Connection as Tls;

use crate::net::connection::MESSAGE_OVERHEAD;
use crate::proto::{CloseFrame, Incoming, Input, Kind, Message, ProtocolError, Receiver};
use crate::session::Keepalive;

use crate::net::room::{Data, InvalidText, Room, VecRoom, fill};

/// Bytes read at a time.
const READ: usize = 64 * 1024;
/// A message of which at least this much is still to come is read straight to where it is to be.
const LONG: u64 = 16 * 1024;

/// Who hears what was found between the messages.
pub(super) trait Port {
    /// A message of this many bytes came.
    fn message(&self, data: &Data<'_>, length: usize);
    /// The peer must get a pong with this payload.
    fn ping(&self, payload: &[u8]);
    /// A pong came.
    fn pong(&self, keepalive: &mut Keepalive, payload: &[u8]);
    /// Whether messages are dropped, because we close.
    fn drops(&self) -> bool;
    /// Whether a long message may be read without being looked at.
    fn reads_long(&self) -> bool;
}

/// What there is to take.
#[derive(Debug)]
pub enum Next<T> {
    /// A message.
    Message(T),
    /// Room for a binary message of this many bytes is wanted.
    Long(usize),
    /// Nothing: more has to be read.
    Nothing,
}

/// The receiving side.
pub(super) struct Inlet {
    /// Until the end of the connection.
    pub(super) socket: Option<Arc<OwnedFd>>,
    receiver: Receiver,
    /// What was read and not taken.
    plain: Chunk,
    /// The same before TLS.
    cipher: Chunk,
    long: Option<Long>,
    /// Messages that were read while nobody wanted one.
    kept: VecDeque<Kept>,
    held: usize,
    pub(super) keepalive: Keepalive,
    /// Messages sent when the last ping went out.
    pub(super) sent_at_ping: u64,
    /// The peer's close frame.
    #[expect(clippy::option_option, reason = "a close frame may carry no code")]
    pub(super) received_close: Option<Option<CloseFrame>>,
    /// The peer broke a rule.
    pub(super) fault: Option<ProtocolError>,
}

/// Bytes that were read, and which of them are still to be used.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Chunk {
    fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room for a read, when all is used.
    fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() != READ {
            self.bytes = vec![0; READ];
        }
        &mut self.bytes
    }

    fn filled(&mut self, count: usize) {
        (self.start, self.end) = (0, count);
    }
}

/// A long message on its way to its room; binary without room when that was not made yet.
struct Long {
    kind: Kind,
    size: usize,
    filled: usize,
    room: Option<Box<dyn Room>>,
}

impl Long {
    /// Room for text is made here; for bytes somebody else makes it.
    fn new(kind: Kind, size: usize) -> Self {
        let room: Option<Box<dyn Room>> = match kind {
            Kind::Text => Some(Box::new(VecRoom::new(size))),
            Kind::Binary => None,
        };
        Self { kind, size, filled: 0, room }
    }
}

/// A message that waits.
enum Kept {
    Text(String),
    Binary(Vec<u8>),
    Room(Box<dyn Room>, usize),
}

impl Kept {
    fn cost(&self) -> usize {
        MESSAGE_OVERHEAD
            + match self {
                Self::Text(text) => text.len(),
                Self::Binary(data) => data.len(),
                Self::Room(_, size) => *size,
            }
    }
}

impl Inlet {
    /// Begins with bytes that came with the handshake; they went through TLS already.
    pub(super) fn new(socket: Arc<OwnedFd>, receiver: Receiver, keepalive: Keepalive, rest: Vec<u8>) -> Self {
        let end = rest.len();
        Self {
            socket: Some(socket),
            receiver,
            plain: Chunk { bytes: rest, start: 0, end },
            cipher: Chunk::default(),
            long: None,
            kept: VecDeque::new(),
            held: 0,
            keepalive,
            sent_at_ping: 0,
            received_close: None,
            fault: None,
        }
    }

    /// Bytes of messages that wait, each with what it costs besides.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether messages are kept.
    pub(super) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Whether reading would be too early: [`next`](Self::next) may find something in what was read.
    pub(super) fn has_more(&self) -> bool {
        let whole = |long: &Long| long.room.is_none() || long.filled == long.size;
        self.long.as_ref().map_or(!self.plain.is_empty(), whole)
    }

    /// Shows the next message to `take`.
    pub(super) fn next<T>(
        &mut self,
        port: &impl Port,
        take: impl FnOnce(Data<'_>) -> Result<T, InvalidText>,
    ) -> Next<T> {
        if let Some(kept) = self.kept.pop_front() {
            self.held -= kept.cost();
            let taken = match kept {
                Kept::Text(text) => take(Data::Text(&text)),
                Kept::Binary(data) => take(Data::Binary(&data)),
                Kept::Room(room, _) => show(room, take),
            };
            return taken.map_or(Next::Nothing, Next::Message);
        }
        match &self.long {
            Some(long) if long.room.is_none() => return Next::Long(long.size),
            Some(long) if long.filled < long.size => return Next::Nothing,
            Some(_) => {
                if let Some(taken) = self.take_long(port, take) {
                    return Next::Message(taken);
                }
                return Next::Nothing;
            }
            None => {}
        }
        let mut take = Some(take);
        while !self.plain.is_empty() && self.fault.is_none() && self.received_close.is_none() {
            let drops = port.drops();
            let behind = if drops || !port.reads_long() { u64::MAX } else { LONG };
            let end = self.plain.end;
            let mut input = Input::new(self.plain.rest());
            let mut taken = None;
            match self.receiver.next_or_long(&mut input, behind) {
                Ok(None) => {}
                Ok(Some(Incoming::Message(Message::Text(_) | Message::Binary(_)))) if drops => {}
                Ok(Some(Incoming::Message(Message::Text(text)))) => {
                    let data = Data::Text(text.as_str());
                    port.message(&data, text.as_str().len());
                    taken = take.take().map(|take| take(data));
                }
                Ok(Some(Incoming::Message(Message::Binary(payload)))) => {
                    let data = Data::Binary(payload.as_slice());
                    port.message(&data, payload.as_slice().len());
                    taken = take.take().map(|take| take(data));
                }
                Ok(Some(Incoming::Message(Message::Ping(payload)))) => port.ping(payload),
                Ok(Some(Incoming::Message(Message::Pong(payload)))) => port.pong(&mut self.keepalive, payload),
                Ok(Some(Incoming::Message(Message::Close(frame)))) => self.received_close = Some(frame),
                Ok(Some(Incoming::Long { kind, length })) => self.long = Some(Long::new(kind, length)),
                Err(error) => self.fault = Some(error),
            }
            self.plain.start = end - input.remaining();
            if let Some(Ok(taken)) = taken {
                return Next::Message(taken);
            }
            if let Some(Long { size, room, .. }) = &self.long {
                let (size, wanted) = (*size, room.is_none());
                self.feed();
                return if wanted { Next::Long(size) } else { Next::Nothing };
            }
        }
        Next::Nothing
    }

    /// Gives the room that [`Next::Long`] wanted, of that size.
    pub(super) fn begin(&mut self, room: Box<dyn Room>) {
        if let Some(long) = self.long.as_mut().filter(|long| long.room.is_none()) {
            long.room = Some(room);
            self.feed();
        }
    }

    /// Keeps all messages that are there for later, within the port's rules.
    pub(super) fn keep(&mut self, port: &impl Port) {
        // Those that are kept already stay in front.
        let mut before = std::mem::take(&mut self.kept);
        loop {
            let owned = |data: Data<'_>| {
                Ok(match data {
                    Data::Text(text) => Kept::Text(text.to_owned()),
                    Data::Unchecked(bytes) => {
                        Kept::Text(simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidText)?.to_owned())
                    }
                    Data::Binary(bytes) => Kept::Binary(bytes.to_vec()),
                    Data::Room(room) => Kept::Room(room, 0),
                })
            };
            let size = self.long.as_ref().map_or(0, |long| long.size);
            match self.next(port, owned) {
                Next::Message(mut kept) => {
                    if let Kept::Room(_, bytes) = &mut kept {
                        *bytes = size;
                    }
                    self.held += kept.cost();
                    before.push_back(kept);
                }
                Next::Long(size) => self.begin(Box::new(VecRoom::new(size))),
                Next::Nothing => break,
            }
        }
        self.kept = before;
    }

    /// Reads once: how many bytes; 0 at the end of the stream.
    pub(super) fn recv(&mut self, tls: bool, flags: RecvFlags) -> io::Result<usize> {
        let Some(socket) = &self.socket else { return Ok(0) };
        if tls {
            let (count, _) = rustix::net::recv(socket, self.cipher.room(), flags)?;
            self.cipher.filled(count);
            return Ok(count);
        }
        if let Some(Long { filled, room: Some(room), .. }) = &mut self.long {
            let (_, count) = rustix::net::recv(socket, room.spare(), flags)?;
            // SAFETY: the kernel has filled them.
            unsafe { room.advance(count) };
            *filled += count;
            return Ok(count);
        }
        let (count, _) = rustix::net::recv(socket, self.plain.room(), flags)?;
        self.plain.filled(count);
        Ok(count)
    }

    /// Decrypts some of what was read. None: more has to be read. False when the peer ended the TLS stream.
    pub(super) fn decrypt(&mut self, tls: &mut Tls) -> io::Result<Option<bool>> {
        loop {
            match tls.reader().read(self.plain.room()) {
                Ok(0) => return Ok(Some(false)),
                Ok(count) => {
                    self.plain.filled(count);
                    self.feed();
                    return Ok(Some(true));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if self.cipher.is_empty() {
                return Ok(None);
            }
            let mut rest: &[u8] = self.cipher.rest();
            let read = tls.read_tls(&mut rest)?;
            self.cipher.start += read;
            tls.process_new_packets().map_err(|e| io::Error::new(ErrorKind::InvalidData, format!("TLS: {e}")))?;
        }
    }

    /// Moves what was read of a long message to its room.
    fn feed(&mut self) {
        if let Some(Long { filled, room: Some(room), .. }) = &mut self.long {
            let count = fill(room.as_mut(), self.plain.rest());
            self.plain.start += count;
            *filled += count;
        }
    }

    /// A long message that is whole. None when it is no text, or nobody wants it.
    fn take_long<T>(&mut self, port: &impl Port, take: impl FnOnce(Data<'_>) -> Result<T, InvalidText>) -> Option<T> {
        let Long { kind, size, room, .. } = self.long.take()?;
        let room = room?;
        if port.drops() {
            return None;
        }
        if kind == Kind::Binary {
            port.message(&Data::Binary(&[]), size);
            return show(room, take).ok();
        }
        let text = into_vec(room);
        let data = Data::Unchecked(&text);
        port.message(&data, size);
        let taken = take(data);
        if taken.is_err() {
            self.fault = Some(ProtocolError::TextNotUtf8);
        }
        taken.ok()
    }
}

/// Shows a long binary message, in whichever room it is.
fn show<T>(room: Box<dyn Room>, take: impl FnOnce(Data<'_>) -> Result<T, InvalidText>) -> Result<T, InvalidText> {
    if (room.as_ref() as &dyn Any).is::<VecRoom>() {
        return take(Data::Binary(&into_vec(room)));
    }
    take(Data::Room(room))
}

fn into_vec(room: Box<dyn Room>) -> Vec<u8> {
    (room as Box<dyn Any>).downcast::<VecRoom>().map(|room| room.into_vec()).unwrap_or_default()
}
