//! Opus (RFC 6716): packets to 16-bit PCM and back, by libopus, which is linked in.
//!
//! A safe face of libopus and no more: what a lost packet is and when to conceal it is the caller's business; Ogg is `ogg`.
//! The only unsafe code of this layer beside the SIMD of the resampler.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::{Application, Encoder, EncoderConfig, FrameDuration};

use std::ffi::{CStr, c_int};

use opusic_sys as ffi;
use thiserror::Error;

/// The sample rate that Opus works at inside, and that its time stamps count in (RFC 7587, RFC 7845).
pub const RATE: u32 = 48_000;
/// The sample rates that libopus converts to and from by itself.
pub const RATES: [u32; 5] = [8000, 12_000, 16_000, 24_000, 48_000];

/// With DTX, a packet of so many bytes need not be sent (`opus_encode` in `opus.h`).
pub const NOT_SENT: usize = 2;

/// What can go wrong with Opus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpusError {
    /// A parameter of an encoder or decoder that libopus has not.
    #[error("Opus: {name} is {value}; expected {expected}")]
    Setting {
        /// Which parameter.
        name: &'static str,
        /// What it was.
        value: i64,
        /// What it may be.
        expected: &'static str,
    },
    /// PCM to encode that is no frame.
    #[error("Opus: a frame of {samples} samples (all channels); expected {expected}")]
    FrameLength {
        /// Samples given.
        samples: usize,
        /// Samples of one frame.
        expected: usize,
    },
    /// A length to conceal that is not made of 2.5 ms.
    #[error("Opus: {samples} samples to conceal; expected a multiple of {step} (2.5 ms), up to {limit} (120 ms)")]
    ConcealedLength {
        /// Samples asked for.
        samples: usize,
        /// Samples of 2.5 ms.
        step: usize,
        /// Samples of 120 ms.
        limit: usize,
    },
    /// Bytes that are no Opus packet.
    #[error("Opus: a packet of {bytes} bytes is malformed; expected a packet as in RFC 6716 section 3")]
    Packet {
        /// Its length.
        bytes: usize,
    },
    /// libopus refused for a reason of its own: no memory, or a bug.
    #[error("Opus: libopus {call} failed with code {code}; expected 0")]
    Library {
        /// The function.
        call: &'static str,
        /// Its answer (`opus_defines.h`).
        code: i32,
    },
}

/// How many channels go in or come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One. A decoder mixes stereo packets into it.
    #[default]
    Mono,
    /// Two, interleaved, left first. A decoder gives both the same when a packet is mono.
    Stereo,
}

impl Channels {
    /// 1 or 2.
    pub fn count(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// How many samples of one channel at `rate` Hz a packet holds, by its first bytes.
pub fn packet_samples(packet: &[u8], rate: u32) -> Result<usize, OpusError> {
    let malformed = OpusError::Packet { bytes: packet.len() };
    let bytes = i32::try_from(packet.len()).map_err(|_| malformed)?;
    if packet.is_empty() {
        return Err(malformed);
    }
    check_rate(rate)?;
    // SAFETY: `packet` has `bytes` bytes, at least one.
    let samples = unsafe { ffi::opus_packet_get_nb_samples(packet.as_ptr(), bytes, rate as i32) };
    match usize::try_from(samples) {
        Ok(samples) if samples > 0 => Ok(samples),
        _ => Err(malformed),
    }
}

/// Whether a packet is made as RFC 6716 section 3 has it: what the decoder asks of it. Answers its samples of one channel
/// at `rate` Hz.
pub fn check_packet(packet: &[u8], rate: u32) -> Result<usize, OpusError> {
    let samples = packet_samples(packet, rate)?;
    let malformed = OpusError::Packet { bytes: packet.len() };
    let bytes = i32::try_from(packet.len()).map_err(|_| malformed)?;
    let mut sizes = [0i16; 48];
    let (none, toc, offset) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: `packet` has `bytes` bytes, `sizes` room for the 48 frames that a packet has at most; the others may be null.
    let frames = unsafe { ffi::opus_packet_parse(packet.as_ptr(), bytes, toc, none, sizes.as_mut_ptr(), offset) };
    if frames > 0 { Ok(samples) } else { Err(malformed) }
}

/// The channels that a packet was encoded with; `None` for no bytes.
pub fn packet_channels(packet: &[u8]) -> Option<Channels> {
    // RFC 6716 section 3.1: the s bit of the TOC byte.
    packet.first().map(|toc| if toc & 0x04 == 0 { Channels::Mono } else { Channels::Stereo })
}

/// True when a packet carries a copy of the one before it.
pub fn has_fec(packet: &[u8]) -> bool {
    let Ok(bytes) = i32::try_from(packet.len()) else { return false };
    // SAFETY: `packet` has `bytes` bytes, at least one.
    !packet.is_empty() && unsafe { ffi::opus_packet_has_lbrr(packet.as_ptr(), bytes) } == 1
}

/// The library that is linked in, such as `libopus 1.6.1`.
pub fn version() -> &'static str {
    // SAFETY: libopus answers with a string literal.
    let text = unsafe { CStr::from_ptr(ffi::opus_get_version_string()) };
    text.to_str().unwrap_or("libopus")
}

fn check_rate(rate: u32) -> Result<(), OpusError> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    let expected = "8000, 12000, 16000, 24000 or 48000 Hz";
    Err(OpusError::Setting { name: "rate", value: i64::from(rate), expected })
}

fn done(call: &'static str, code: c_int) -> Result<(), OpusError> {
    if code == ffi::OPUS_OK { Ok(()) } else { Err(OpusError::Library { call, code }) }
}

#[cfg(test)]
mod tests;
