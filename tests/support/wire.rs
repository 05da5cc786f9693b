//! Bytes through a `Receiver`: what comes out, how much memory it took, and that neither depends on the cuts.

use voxwire::proto::{CloseFrame, Input, Limits, Message, Negotiated, ProtocolError, Receiver, Role};

use super::memory::Watch;

/// What was received, without borrows.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The close frame.
    Close(Option<CloseFrame>),
    /// The end, by an error.
    Error(ProtocolError),
}

/// How a connection is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'n> {
    /// Our side.
    pub role: Role,
    /// Our limits.
    pub limits: Limits,
    /// Compression, if agreed.
    pub agreed: Option<&'n Negotiated>,
}

impl Reading<'_> {
    /// A receiver that has read nothing.
    pub fn receiver(&self) -> Receiver {
        Receiver::with_deflate(self.role, self.limits, self.agreed)
    }

    /// All that comes of these chunks.
    ///
    /// # Panics
    /// Unless memory, order and state are as they should be.
    pub fn receive<'c>(&self, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Got> {
        let (mut receiver, mut all) = (self.receiver(), Vec::new());
        for chunk in chunks {
            let got = self.feed(&mut receiver, chunk);
            assert!(got.is_empty() || !is_last(all.last()), "{got:?} behind {:?}", all.last());
            all.extend(got);
        }
        all
    }

    /// What comes of one chunk.
    ///
    /// # Panics
    /// As `receive`.
    pub fn feed(&self, receiver: &mut Receiver, chunk: &[u8]) -> Vec<Got> {
        let (mut chunk, mut all) = (chunk.to_vec(), Vec::new());
        let mut input = Input::new(&mut chunk);
        loop {
            let (held, watch) = (receiver.held(), Watch::start());
            let next = receiver.next(&mut input);
            // What is put together doubles while it grows; an error and a reason are small.
            let (peak, allowed) =
                (held + watch.peak(), self.limits.max_message_size.saturating_mul(2).saturating_add(1024));
            assert!(peak <= allowed, "{peak} bytes; at most {allowed}");
            let got = match next {
                Ok(None) => break,
                Ok(Some(Message::Text(text))) => Got::Text(text.into_string()),
                Ok(Some(Message::Binary(payload))) => Got::Binary(payload.into_vec()),
                Ok(Some(Message::Ping(payload))) => Got::Ping(payload.to_vec()),
                Ok(Some(Message::Pong(payload))) => Got::Pong(payload.to_vec()),
                Ok(Some(Message::Close(frame))) => Got::Close(frame),
                Err(error) => Got::Error(error),
            };
            self.check(&got);
            assert!(!is_last(all.last()), "{got:?} behind {:?}", all.last());
            all.push(got);
            assert_eq!(receiver.is_done(), is_last(all.last()), "{all:?}");
        }
        assert_eq!(input.remaining(), 0);
        if receiver.is_done() {
            assert_eq!((receiver.held(), receiver.holds_context()), (0, false));
        }
        all
    }

    fn check(&self, got: &Got) {
        let size = match got {
            Got::Text(text) => text.len(),
            Got::Binary(payload) => payload.len(),
            Got::Ping(payload) | Got::Pong(payload) => {
                assert!(payload.len() <= 125);
                0
            }
            Got::Close(_) => 0,
            Got::Error(error) => {
                assert!([1002, 1007, 1009].contains(&error.close_code()), "{error}");
                0
            }
        };
        assert!(size <= self.limits.max_message_size, "{size} bytes");
    }

    /// The same, whole, in these pieces of it, and byte by byte where that is not too much.
    ///
    /// # Panics
    /// If a cut makes a difference, or an error comes later than the byte that shows it.
    pub fn receive_in_all_ways(&self, wire: &[u8], pieces: Vec<&[u8]>) -> Vec<Got> {
        let whole = self.receive([wire]);
        let mut others = vec![self.receive(pieces)];
        if wire.len() <= 512 {
            others.push(self.receive(wire.chunks(1)));
        }
        if others.iter().chain([&whole]).any(|all| self.is_beyond_its_window(all)) {
            // A peer that refers back further than the window it agreed to is found out only where its bytes are cut in
            // between. Nothing that comes out is wrong.
            for other in others {
                let before = whole.len().min(other.len()).saturating_sub(1);
                assert_eq!(whole[..before], other[..before]);
            }
            return whole;
        }
        for other in others {
            assert_eq!(whole, other, "cut differently");
        }
        if wire.len() <= 512 && is_last(whole.last()) {
            self.check_place(wire, &whole);
        }
        whole
    }

    fn is_beyond_its_window(&self, all: &[Got]) -> bool {
        let window = self.agreed.and_then(|agreed| match self.role {
            Role::Client => agreed.server_max_window_bits,
            Role::Server => agreed.client_max_window_bits,
        });
        let error = Got::Error(ProtocolError::Inflate { reason: "invalid distance too far back" });
        window.is_some_and(|bits| bits < 15) && all.last() == Some(&error)
    }

    /// The end is noticed at the same byte, whether all bytes before it come at once or one by one.
    fn check_place(&self, wire: &[u8], whole: &[Got]) {
        let mut receiver = self.receiver();
        let place = wire.iter().position(|&byte| {
            let mut byte = [byte];
            let mut input = Input::new(&mut byte);
            while let Ok(Some(_)) = receiver.next(&mut input) {}
            receiver.is_done()
        });
        let Some(place) = place else { panic!("no end, byte by byte") };
        assert_eq!(self.receive([&wire[..=place]]), whole, "all bytes up to the one that ends it");
        assert_eq!(self.receive([&wire[..place]]), whole[..whole.len() - 1], "one byte less");
    }
}

fn is_last(got: Option<&Got>) -> bool {
    matches!(got, Some(Got::Close(_) | Got::Error(_)))
}
