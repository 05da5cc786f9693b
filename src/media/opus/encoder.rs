//! The encoder: parameters and frames of PCM in, packets out.

use std::ffi::c_int;
use std::ptr::NonNull;

use opusic_sys as ffi;

use super::{Channels, OpusError, RATE, check_rate, done};

/// The longest packet that an encoder here makes: three frames of 20 ms with 1275 bytes each, and their lengths.
pub(super) const MAX_ENCODED: usize = 4000;

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
    /// Sample rate of the PCM in Hz, one of [`RATES`](super::RATES).
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
