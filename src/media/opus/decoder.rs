//! The decoder: packets in, PCM out, and something in the place of those that are lost.

use std::ffi::c_int;
use std::ptr::NonNull;

use opusic_sys as ffi;

use super::{Channels, OpusError, check_rate, done, packet_samples};

/// No packet lasts longer (RFC 6716 section 3.4, R5).
const MAX_PACKET_MS: u32 = 120;

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
    /// A decoder that gives PCM at `rate` Hz, one of [`RATES`](super::RATES), whatever rate and channels the packets have inside.
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
    /// carries when the encoder used FEC ([`has_fec`](super::has_fec)); without one they are concealed. `next` is still to be decoded.
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
