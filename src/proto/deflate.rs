//! permessage-deflate (RFC 7692): what can be asked for and was agreed, and the two contexts that
//! messages pass through. Each exists from the first message that needs it, without context
//! takeover to the end of that message. How it is agreed is in `handshake`; frames are not in here.

use std::{fmt, mem::MaybeUninit};

use thiserror::Error;

use super::{
    Role,
    error::ProtocolError,
    zlib::{Compressor, Decompressor, Refused, Stop},
};

/// The name of the extension.
pub(super) const NAME: &str = "permessage-deflate";
/// The end of a flush, which is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Window sizes of the RFC, in bits.
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;
/// Output of the inflater for which there is room at first.
const FIRST_ROOM: usize = 512;
/// Bytes of a message's output allocated before anything of it was compressed.
const MAX_FIRST: usize = 64 * 1024;

/// What to ask for and how to compress. Start from [`for_role`](Self::for_role).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The server shall forget its window after each message: less memory, larger messages.
    pub server_no_context_takeover: bool,
    /// The client shall forget its window after each message.
    pub client_no_context_takeover: bool,
    /// Window of what the server sends: 8 to 15 bits. A client asks for it if it is below 15, and
    /// then the handshake fails with a server that ignores the wish.
    pub server_max_window_bits: u8,
    /// Window of what the client sends: 8 to 15 bits. A client names it in its offer if it is below 15, and then refuses a
    /// server that answers with a larger one.
    pub client_max_window_bits: u8,
    /// Window of what we send: 8 to 15 bits, and never more than what is agreed.
    pub own_max_window_bits: u8,
    /// Messages of fewer bytes are not compressed; for one in fragments the first counts.
    pub threshold: usize,
    /// Effort: 0 (none) to 9 (best).
    pub level: u8,
    /// Memory for the compressor beside its window: 1 to 9; 2^(n+9) bytes.
    pub mem_level: u8,
}

impl DeflateConfig {
    /// The default for a connection on which we are `role`. Windows of what we send have 12 bits:
    /// a context of 38 KiB rather than the 150 of 15 bits, for a few percent more bytes. A server asks
    /// clients for the same. A client asks for nothing: some servers ignore what they do not know, some
    /// answer with more than what was offered, and the handshake would fail.
    ///
    /// The threshold: below 64 bytes a message is smaller than the headers of its packet, so that
    /// even compressed to nothing it would save less than half; the context stays unallocated.
    pub fn for_role(role: Role) -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: if role == Role::Server { 12 } else { 15 },
            client_max_window_bits: if role == Role::Server { 12 } else { 15 },
            own_max_window_bits: 12,
            threshold: 64,
            level: 6,
            mem_level: 5,
        }
    }

    /// Checks the ranges; the error names the field.
    pub fn check(&self) -> Result<(), DeflateConfigError> {
        for (field, value, range) in [
            ("server_max_window_bits", self.server_max_window_bits, WINDOW_BITS),
            ("client_max_window_bits", self.client_max_window_bits, WINDOW_BITS),
            ("own_max_window_bits", self.own_max_window_bits, WINDOW_BITS),
            ("level", self.level, 0..=9),
            ("mem_level", self.mem_level, 1..=9),
        ] {
            if !range.contains(&value) {
                return Err(DeflateConfigError { field, value, min: *range.start(), max: *range.end() });
            }
        }
        Ok(())
    }
}

/// A field of [`DeflateConfig`] is out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field} is {value}; expected {min} to {max}")]
pub struct DeflateConfigError {
    /// The name of the field.
    pub field: &'static str,
    /// What it was.
    pub value: u8,
    /// The least it may be.
    pub min: u8,
    /// The most it may be.
    pub max: u8,
}

/// permessage-deflate as both sides agreed on it. Its text is the response's element, for `extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Each message of the server stands for itself.
    pub server_no_context_takeover: bool,
    /// Each message of the client stands for itself.
    pub client_no_context_takeover: bool,
    /// Window of what the server sends, in bits; `None` if not spoken about, which means 15.
    pub server_max_window_bits: Option<u8>,
    /// Window of what the client sends, in bits; `None` if not spoken about, which means 15.
    pub client_max_window_bits: Option<u8>,
    /// Our own side's wishes, for what the agreement leaves open.
    pub config: DeflateConfig,
}

impl Negotiated {
    /// What compresses the messages of `role`, our side.
    pub(super) fn deflater(&self, role: Role) -> Deflater {
        let config = self.config;
        // We may do with less than agreed.
        let (no_takeover, agreed, own) = match role {
            Role::Client => (
                self.client_no_context_takeover || config.client_no_context_takeover,
                self.client_max_window_bits,
                config.client_max_window_bits,
            ),
            Role::Server => (
                self.server_no_context_takeover || config.server_no_context_takeover,
                self.server_max_window_bits,
                config.server_max_window_bits,
            ),
        };
        let window_bits = own.min(agreed.unwrap_or(*WINDOW_BITS.end())).min(config.own_max_window_bits);
        Deflater { takeover: !no_takeover, window_bits, config, context: None }
    }

    /// What decompresses the messages sent to `role`, our side.
    pub(super) fn inflater(&self, role: Role) -> Inflater {
        let (no_takeover, bits) = match role {
            Role::Client => (self.server_no_context_takeover, self.server_max_window_bits),
            Role::Server => (self.client_no_context_takeover, self.client_max_window_bits),
        };
        let window_bits = bits.unwrap_or(*WINDOW_BITS.end());
        Inflater { takeover: !no_takeover, window_bits, context: None, open: false }
    }
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        for (name, agreed) in [
            ("server_no_context_takeover", self.server_no_context_takeover),
            ("client_no_context_takeover", self.client_no_context_takeover),
        ] {
            if agreed {
                write!(f, "; {name}")?;
            }
        }
        for (name, bits) in [
            ("server_max_window_bits", self.server_max_window_bits),
            ("client_max_window_bits", self.client_max_window_bits),
        ] {
            if let Some(bits) = bits {
                write!(f, "; {name}={bits}")?;
            }
        }
        Ok(())
    }
}

/// The context of what we send.
#[derive(Debug)]
pub(super) struct Deflater {
    takeover: bool,
    window_bits: u8,
    config: DeflateConfig,
    context: Option<Compressor>,
}

impl Deflater {
    /// True if a message whose first fragment has this many bytes is to be compressed. An empty one
    /// is not: compressed it would be a byte longer.
    pub(super) fn wants(&self, size: usize) -> bool {
        size >= self.config.threshold.max(1)
    }

    /// True if a compressed message may be thrown away: none that follows refers to it.
    pub(super) fn is_forgetful(&self) -> bool {
        !self.takeover
    }

    /// The payload of a frame of a compressed message (section 7.2.1). `None`: zlib has no memory,
    /// and the context is gone.
    pub(super) fn compress(&mut self, payload: &[u8], fin: bool) -> Option<Vec<u8>> {
        if self.context.is_none() {
            // zlib cannot make a window of 8 bits. With one of 9 it refers back by at most
            // 512 - 262 = 250 bytes, so what it sends can be read with a window of 256.
            self.context = Compressor::new(self.config.level, self.window_bits.max(9), self.config.mem_level);
        }
        let mut out = Vec::with_capacity((payload.len() / 2).clamp(64, MAX_FIRST));
        if self.context.as_mut()?.push(payload, &mut out).is_err() {
            self.context = None;
            return None;
        }
        if fin {
            if out.ends_with(&TAIL) {
                out.truncate(out.len() - TAIL.len());
            }
            if out.is_empty() {
                // The header of an empty stored block, of which the tail is the rest (section 7.2.3.6).
                out.push(0);
            }
            if !self.takeover {
                self.context = None;
            }
        }
        Some(out)
    }

    /// Frees the context. Allowed between any two frames of different messages: nobody has to refer
    /// back.
    pub(super) fn release(&mut self) {
        self.context = None;
    }

    /// True if there is a context.
    pub(super) fn is_allocated(&self) -> bool {
        self.context.is_some()
    }
}

/// The context of what we receive.
#[derive(Debug)]
pub(super) struct Inflater {
    takeover: bool,
    window_bits: u8,
    context: Option<Decompressor>,
    /// Something was read since the last message or the last BFINAL.
    open: bool,
}

impl Inflater {
    /// Inflates from the start of `input`, which is moved on, and appends a piece to `out`, up to
    /// `limit` bytes in all. True if there is more to do. What was appended before an error is as
    /// good as any.
    ///
    /// A peer that refers back further than its window is noticed only where its bytes came in more
    /// than one piece: zlib looks back into what the same call has put out, too.
    pub(super) fn step(&mut self, input: &mut &[u8], limit: usize, out: &mut Vec<u8>) -> Result<bool, ProtocolError> {
        let context = match &mut self.context {
            Some(context) => context,
            empty => empty.insert(Decompressor::new(self.window_bits).ok_or(ProtocolError::InflateMemory)?),
        };
        self.open |= !input.is_empty();
        let left = limit.saturating_sub(out.len());
        let stop = if left == 0 {
            // Full, but the rest of the input may be all ends of blocks.
            let mut past = [MaybeUninit::uninit()];
            let (written, stop) = context.step(input, &mut past);
            if written > 0 {
                return Err(ProtocolError::MessageTooBig { limit, size: limit as u64 + 1 });
            }
            stop
        } else {
            if out.capacity() == out.len() {
                let wanted = out.len().max(input.len().saturating_mul(4)).max(FIRST_ROOM);
                let wanted = wanted.min(left);
                out.try_reserve_exact(wanted).map_err(|_| ProtocolError::NoMemory { size: out.len() + wanted })?;
            }
            let room = out.spare_capacity_mut();
            let count = room.len().min(left);
            let (written, stop) = context.step(input, &mut room[..count]);
            // SAFETY: the decompressor has written `written` bytes at the start of the spare room.
            unsafe { out.set_len(out.len() + written) };
            stop
        };
        match stop {
            Ok(Stop::Full) => Ok(true),
            Ok(Stop::Hungry) => Ok(false),
            Ok(Stop::Final) => {
                self.open = !input.is_empty();
                Ok(self.open)
            }
            Err(Refused::Data(reason)) => Err(ProtocolError::Inflate { reason }),
            Err(Refused::Memory) => Err(ProtocolError::InflateMemory),
        }
    }

    /// What is to be inflated behind the last byte of a message (section 7.2.2): nothing where that
    /// ended with BFINAL and without the byte that should follow (section 7.2.3.4), or was empty.
    pub(super) fn tail(&self) -> &'static [u8] {
        if self.open { &TAIL } else { &[] }
    }

    /// The message is over, its tail inflated.
    pub(super) fn finish(&mut self) -> Result<(), ProtocolError> {
        if self.open && !self.context.as_ref().is_none_or(Decompressor::at_boundary) {
            return Err(ProtocolError::Inflate { reason: "the message ends inside a block" });
        }
        self.open = false;
        if !self.takeover {
            self.context = None;
        }
        Ok(())
    }

    /// True if there is a context.
    pub(super) fn is_allocated(&self) -> bool {
        self.context.is_some()
    }
}

#[cfg(test)]
mod tests;
