//! Opus (RFC 6716): packets to 16-bit PCM and back, by libopus, which is linked in.
//!
//! A safe face of libopus and no more: what a lost packet is and when to conceal it is the caller's business; Ogg is `ogg`.
//! The only unsafe code of this layer beside the SIMD of the resampler.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use opusic_sys as ffi;
use thiserror::Error;

/// The sample rate that Opus works at inside, and that its time stamps count in (RFC 7587, RFC 7845).
pub const RATE: u32 = 48_000;
/// The sample rates that libopus converts to and from by itself.
pub const RATES: [u32; 5] = [8000, 12_000, 16_000, 24_000, 48_000];
/// The longest packet that an encoder here makes: three frames of 20 ms with 1275 bytes each, and their lengths.
const MAX_ENCODED: usize = 4000;
/// No packet lasts longer (RFC 6716 section 3.4, R5).
const MAX_PACKET_MS: u32 = 120;

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

/// What the encoder is to be good at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Application {
    /// Speech over a network.
    #[default]
    Voip,
    /// Anything, as faithful as possible.
    Audio,
    /// The least delay: 5 ms less, and worse at speech.
    LowDelay,
}

/// How much audio a packet holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FrameDuration {
    Ms2_5,
    Ms5,
    Ms10,
    #[default]
    Ms20,
    Ms40,
    Ms60,
}

impl FrameDuration {
    /// All of them, shortest first.
    pub const ALL: [Self; 6] = [Self::Ms2_5, Self::Ms5, Self::Ms10, Self::Ms20, Self::Ms40, Self::Ms60];

    /// In units of 2.5 ms.
    fn steps(self) -> usize {
        match self {
            Self::Ms2_5 => 1,
            Self::Ms5 => 2,
            Self::Ms10 => 4,
            Self::Ms20 => 8,
            Self::Ms40 => 16,
            Self::Ms60 => 24,
        }
    }

    /// Samples of one channel at `rate` Hz.
    pub fn samples(self, rate: u32) -> usize {
        self.steps() * rate as usize / 400
    }
}

/// How to encode. The default is what a call needs: 48 kHz mono speech in packets of 20 ms, libopus choosing the bit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Sample rate of the PCM in Hz, one of [`RATES`].
    pub rate: u32,
    /// Channels of the PCM.
    pub channels: Channels,
    /// What to be good at.
    pub application: Application,
    /// How much audio a packet holds.
    pub frame: FrameDuration,
    /// Bits a second, 500..=512000 for each channel; `None`: libopus chooses by rate and channels.
    pub bitrate: Option<u32>,
    /// How hard to try, 0..=10: CPU for quality.
    pub complexity: u8,
    /// In silence send hardly anything (discontinuous transmission).
    pub dtx: bool,
    /// Repeat each frame coarsely in the next packet (in-band forward error correction). It is done for speech, in packets of 10 ms and more,
    /// when `expected_loss` is not 0.
    pub fec: bool,
    /// How many packets are lost, in percent, 0..=100: what FEC spends bits by.
    pub expected_loss: u8,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            rate: RATE,
            channels: Channels::Mono,
            application: Application::Voip,
            frame: FrameDuration::Ms20,
            bitrate: None,
            complexity: 9,
            dtx: false,
            fec: false,
            expected_loss: 0,
        }
    }
}

/// Frames of PCM into packets.
#[derive(Debug)]
pub struct Encoder {
    state: NonNull<ffi::OpusEncoder>,
    frame_length: usize,
    rate: u32,
    channels: Channels,
}

// SAFETY: the state is plain memory that nobody else points to; libopus keeps nothing in thread locals.
unsafe impl Send for Encoder {}
// SAFETY: every call into libopus needs `&mut self`.
unsafe impl Sync for Encoder {}

impl Encoder {
    /// An encoder; the parameters are checked here.
    pub fn new(config: EncoderConfig) -> Result<Self, OpusError> {
        check_rate(config.rate)?;
        let application = match config.application {
            Application::Voip => ffi::OPUS_APPLICATION_VOIP,
            Application::Audio => ffi::OPUS_APPLICATION_AUDIO,
            Application::LowDelay => ffi::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        };
        let channels = config.channels.count();
        let mut code = ffi::OPUS_OK;
        // SAFETY: `code` lives through the call; the other arguments are numbers.
        let state =
            unsafe { ffi::opus_encoder_create(config.rate as i32, channels as c_int, application, &raw mut code) };
        let state = NonNull::new(state).ok_or(OpusError::Library { call: "opus_encoder_create", code })?;
        let frame_length = config.frame.samples(config.rate) * channels;
        let mut encoder = Self { state, frame_length, rate: config.rate, channels: config.channels };
        encoder.set_bitrate(config.bitrate)?;
        encoder.set_complexity(config.complexity)?;
        encoder.set(ffi::OPUS_SET_DTX_REQUEST, i32::from(config.dtx))?;
        encoder.set(ffi::OPUS_SET_INBAND_FEC_REQUEST, i32::from(config.fec))?;
        encoder.set_expected_loss(config.expected_loss)?;
        Ok(encoder)
    }

    /// Samples of one frame, of all channels together.
    pub fn frame_length(&self) -> usize {
        self.frame_length
    }

    /// By how many samples (of one channel, at the encoder's rate) the decoded audio is late. What an Ogg stream skips.
    pub fn lookahead(&mut self) -> Result<usize, OpusError> {
        let mut samples: i32 = 0;
        // SAFETY: the state is alive; this request takes a pointer to an opus_int32.
        let code =
            unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), ffi::OPUS_GET_LOOKAHEAD_REQUEST, &raw mut samples) };
        done("opus_encoder_ctl", code)?;
        Ok(usize::try_from(samples).unwrap_or(0))
    }

    /// Appends the packet of one frame to `out` and says how many bytes it has. With DTX, a packet of 2 bytes or fewer need
    /// not be sent: the decoder conceals what is missing with comfort noise.
    pub fn encode_into(&mut self, frame: &[i16], out: &mut Vec<u8>) -> Result<usize, OpusError> {
        if frame.len() != self.frame_length {
            return Err(OpusError::FrameLength { samples: frame.len(), expected: self.frame_length });
        }
        let start = out.len();
        out.resize(start + MAX_ENCODED, 0);
        let place = &mut out[start..];
        let samples = (frame.len() / self.channels.count()) as c_int;
        // SAFETY: the state is alive; `frame` holds `samples` samples of each of its channels; `place` holds as many
        // bytes as it says.
        let bytes = unsafe {
            ffi::opus_encode(self.state.as_ptr(), frame.as_ptr(), samples, place.as_mut_ptr(), MAX_ENCODED as i32)
        };
        let made = usize::try_from(bytes);
        out.truncate(start + made.unwrap_or(0));
        made.map_err(|_| OpusError::Library { call: "opus_encode", code: bytes })
    }

    /// Bits a second from the next frame on; `None`: libopus chooses.
    pub fn set_bitrate(&mut self, bitrate: Option<u32>) -> Result<(), OpusError> {
        let highest = 512_000 * self.channels.count() as u32;
        let value = match bitrate {
            None => ffi::OPUS_AUTO,
            Some(bits) if (500..=highest).contains(&bits) => bits as i32,
            Some(bits) => {
                let expected = "500..=512000 for each channel, or none";
                return Err(OpusError::Setting { name: "bitrate", value: i64::from(bits), expected });
            }
        };
        self.set(ffi::OPUS_SET_BITRATE_REQUEST, value)
    }

    /// How hard to try, 0..=10, from the next frame on.
    pub fn set_complexity(&mut self, complexity: u8) -> Result<(), OpusError> {
        if complexity > 10 {
            let value = i64::from(complexity);
            return Err(OpusError::Setting { name: "complexity", value, expected: "0..=10" });
        }
        self.set(ffi::OPUS_SET_COMPLEXITY_REQUEST, i32::from(complexity))
    }

    /// How many packets are lost, in percent, as the far side reports it.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), OpusError> {
        if percent > 100 {
            let value = i64::from(percent);
            return Err(OpusError::Setting { name: "expected_loss", value, expected: "0..=100 (percent)" });
        }
        self.set(ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, i32::from(percent))
    }

    /// The state of the range coder after the last packet: a decoder that got every packet has the same.
    pub fn final_range(&mut self) -> Result<u32, OpusError> {
        let mut range = 0u32;
        // SAFETY: the state is alive; this request takes a pointer to an opus_uint32.
        let code =
            unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), ffi::OPUS_GET_FINAL_RANGE_REQUEST, &raw mut range) };
        done("opus_encoder_ctl", code).map(|()| range)
    }

    /// Forgets all audio, keeps the parameters.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        // SAFETY: the state is alive; this request takes nothing.
        done("opus_encoder_ctl", unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), ffi::OPUS_RESET_STATE) })
    }

    /// Sample rate of the PCM in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    fn set(&mut self, request: c_int, value: i32) -> Result<(), OpusError> {
        // SAFETY: the state is alive; the requests that are set here take one opus_int32.
        done("opus_encoder_ctl", unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), request, value) })
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_encoder_create` and is not used again.
        unsafe { ffi::opus_encoder_destroy(self.state.as_ptr()) };
    }
}

/// Packets into PCM.
#[derive(Debug)]
pub struct Decoder {
    state: NonNull<ffi::OpusDecoder>,
    rate: u32,
    channels: Channels,
}

// SAFETY: as for `Encoder`.
unsafe impl Send for Decoder {}
// SAFETY: as for `Encoder`.
unsafe impl Sync for Decoder {}

impl Decoder {
    /// A decoder that gives PCM at `rate` Hz, one of [`RATES`], whatever rate and channels the packets have inside.
    pub fn new(rate: u32, channels: Channels) -> Result<Self, OpusError> {
        check_rate(rate)?;
        let mut code = ffi::OPUS_OK;
        // SAFETY: `code` lives through the call; the other arguments are numbers.
        let state = unsafe { ffi::opus_decoder_create(rate as i32, channels.count() as c_int, &raw mut code) };
        let state = NonNull::new(state).ok_or(OpusError::Library { call: "opus_decoder_create", code })?;
        Ok(Self { state, rate, channels })
    }

    /// Appends the audio of a packet to `out` and says how many samples of one channel it was. On an error `out` is as before,
    /// and the packet is as good as lost.
    pub fn decode_into(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<usize, OpusError> {
        let samples = packet_samples(packet, self.rate)?;
        self.run(Some(packet), samples, false, out)
    }

    /// Appends `samples` samples (of one channel) that continue what was decoded last, for packets that are lost: fading out,
    /// into silence or comfort noise. Multiples of 2.5 ms up to 120 ms.
    pub fn conceal_into(&mut self, samples: usize, out: &mut Vec<i16>) -> Result<usize, OpusError> {
        self.check_concealed(samples)?;
        self.run(None, samples, false, out)
    }

    /// Appends the last `samples` samples (of one channel) *before* `next`, the packet after a lost one, from the copy that it
    /// carries when the encoder used FEC ([`has_fec`]); without one they are concealed. `next` is still to be decoded.
    pub fn recover_into(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> Result<usize, OpusError> {
        self.check_concealed(samples)?;
        packet_samples(next, self.rate)?;
        self.run(Some(next), samples, true, out)
    }

    /// The state of the range coder after the last packet: the encoder's, if no packet was lost.
    pub fn final_range(&mut self) -> Result<u32, OpusError> {
        let mut range = 0u32;
        // SAFETY: the state is alive; this request takes a pointer to an opus_uint32.
        let code =
            unsafe { ffi::opus_decoder_ctl(self.state.as_ptr(), ffi::OPUS_GET_FINAL_RANGE_REQUEST, &raw mut range) };
        done("opus_decoder_ctl", code).map(|()| range)
    }

    /// Forgets all audio.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        // SAFETY: the state is alive; this request takes nothing.
        done("opus_decoder_ctl", unsafe { ffi::opus_decoder_ctl(self.state.as_ptr(), ffi::OPUS_RESET_STATE) })
    }

    /// Sample rate of the PCM in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels of the PCM.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    fn check_concealed(&self, samples: usize) -> Result<(), OpusError> {
        let step = self.rate as usize / 400;
        let limit = (self.rate * MAX_PACKET_MS / 1000) as usize;
        if samples == 0 || samples > limit || !samples.is_multiple_of(step) {
            return Err(OpusError::ConcealedLength { samples, step, limit });
        }
        Ok(())
    }

    fn run(
        &mut self,
        packet: Option<&[u8]>,
        samples: usize,
        fec: bool,
        out: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        let (start, channels) = (out.len(), self.channels.count());
        out.resize(start + samples * channels, 0);
        let place = &mut out[start..];
        let (data, bytes) = packet.map_or((std::ptr::null(), 0), |packet| (packet.as_ptr(), packet.len()));
        // SAFETY: the state is alive; `data` has `bytes` bytes, or is null with 0 of them; `place` holds `samples` samples of
        // each channel. The length fits: `packet_samples` was asked about each packet.
        let made = unsafe {
            ffi::opus_decode(
                self.state.as_ptr(),
                data,
                bytes as i32,
                place.as_mut_ptr(),
                samples as c_int,
                c_int::from(fec),
            )
        };
        let count = usize::try_from(made);
        out.truncate(start + count.unwrap_or(0) * channels);
        count.map_err(|_| match (made, packet) {
            (ffi::OPUS_INVALID_PACKET, Some(packet)) => OpusError::Packet { bytes: packet.len() },
            _ => OpusError::Library { call: "opus_decode", code: made },
        })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_decoder_create` and is not used again.
        unsafe { ffi::opus_decoder_destroy(self.state.as_ptr()) };
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
