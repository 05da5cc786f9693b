//! What an incoming message means: pongs for pings, the close handshake, media events apart from ordinary messages.
//! The driver reads bytes and gives them to `receive`; what follows from them goes to its `Port`.

use crate::media::event::{self, EventError, MediaEvent, Parsed};
use crate::proto::{CloseFrame, Incoming, Input, Kind, Message, Payload, ProtocolError, Receiver, Text};

use super::{Applied, MediaRefusal};

/// What a driver gives the session to act on.
pub trait Port {
    /// An ordinary text message; mostly it is still where it was read, and need not be copied by who makes something else of it.
    fn text(&mut self, text: Text<'_>);
    /// A binary message.
    fn binary(&mut self, data: Payload<'_>);
    /// A ping: the peer must get a pong with this payload (RFC 6455 section 5.5.2).
    fn ping(&mut self, payload: &[u8]);
    /// A pong arrived.
    fn pong(&mut self, payload: &[u8]);
    /// The peer closes; nothing more will arrive.
    fn close(&mut self, frame: Option<CloseFrame>);
    /// A well-formed media event. Only called when media handling is on.
    fn media(&mut self, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal>;
    /// A media event that could not be used; the message itself follows through `text`.
    fn media_error(&mut self, error: MediaRefusal);
    /// Whether the application has as much to handle as may wait. Asked after each message: one read may bring many, and
    /// compressed ones a thousand times what was read.
    fn is_full(&self) -> bool {
        false
    }
    /// Of a message in one plain frame of which at least so many bytes are not read yet, whoever reads puts the bytes where
    /// the message is to be: `long`. Only where we are the client.
    fn reads_long(&self) -> u64 {
        u64::MAX
    }
    /// A message of `length` bytes that begins with `first`: to be given to `receive_long` when it is whole. It is the last
    /// thing of this read.
    fn long(&mut self, _kind: Kind, _length: usize, _first: &[u8]) -> Result<(), ProtocolError> {
        Ok(())
    }
    /// The rest of a read, when it is full: to be received, before anything else, when there is room again.
    fn leave(&mut self, _rest: &[u8]) {}
}

/// Takes the bytes of one read and tells `port` what they mean, in order.
///
/// With `media`, text messages are looked at for media stream events; without, that costs nothing.
/// An error ends the connection with its close code; nothing after it is looked at.
pub fn receive(
    receiver: &mut Receiver,
    bytes: &mut [u8],
    media: bool,
    port: &mut impl Port,
) -> Result<(), ProtocolError> {
    let mut input = Input::new(bytes);
    loop {
        let message = match receiver.next_or_long(&mut input, port.reads_long())? {
            None => break,
            Some(Incoming::Long { kind, length }) => return port.long(kind, length, input.unread()),
            Some(Incoming::Message(message)) => message,
        };
        match message {
            Message::Text(text) if media => take_text(text, port),
            Message::Text(text) => port.text(text),
            Message::Binary(data) => port.binary(data),
            Message::Ping(payload) => port.ping(payload),
            Message::Pong(payload) => port.pong(payload),
            Message::Close(frame) => port.close(frame),
        }
        if port.is_full() && input.remaining() > 0 {
            port.leave(input.unread());
            break;
        }
    }
    Ok(())
}

/// Takes a message that was read by itself.
pub fn receive_long(kind: Kind, bytes: Vec<u8>, media: bool, port: &mut impl Port) -> Result<(), ProtocolError> {
    match kind {
        Kind::Binary => port.binary(bytes.into()),
        Kind::Text if media => take_text(bytes.try_into()?, port),
        Kind::Text => port.text(bytes.try_into()?),
    }
    Ok(())
}

fn take_text(text: Text<'_>, port: &mut impl Port) {
    let refused = match event::parse(text.as_str()) {
        Parsed::Ordinary => None,
        Parsed::Malformed(error) => Some(MediaRefusal::Event(error)),
        Parsed::Event(event) => match port.media(&event) {
            Ok(Applied::Audio) => return,
            Ok(Applied::Ordinary) => None,
            Err(refusal) => Some(refusal),
        },
    };
    if let Some(refusal) = refused {
        port.media_error(refusal);
    }
    // Nothing is lost silently: what is not audio reaches the application as a message.
    port.text(text);
}

impl From<EventError> for MediaRefusal {
    fn from(error: EventError) -> Self {
        Self::Event(error)
    }
}
