//! A sound file or stream of any kind, in pieces cut anywhere, to mono samples: WAV, Ogg Opus, or the bytes of an encoding.
//!
//! Which kind it is and what is decoded; where the bytes come from is the caller's business. A piece of Ogg can stand for far
//! more audio than it has bytes: whoever has a bound gives small pieces.

use thiserror::Error;

use super::codec::{Decoder, PayloadError};
use super::encoding::Encoding;
use super::ogg::{self, Event, HeadError};
use super::opus::{self, Channels, OpusError};
use super::resample::{Resampler, UnsupportedRate};
use super::wav::{self, WavError};

/// How the bytes become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundFormat {
    /// WAV or Ogg Opus, which the first bytes tell.
    Any,
    /// A WAV file.
    Wav,
    /// Ogg Opus.
    Ogg,
    /// Nothing but audio in this encoding.
    Raw(Encoding),
}

/// Bytes that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SoundError {
    #[error(
        "neither WAV nor Ogg: it begins with neither \"RIFF\" nor \"OggS\"; expected one of them, or the format \"raw\""
    )]
    Unknown,
    #[error(transparent)]
    Wav(#[from] WavError),
    #[error("Ogg: no Opus stream begins in it; expected Ogg Opus")]
    NoOpus,
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Opus(#[from] OpusError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Rate(#[from] UnsupportedRate),
    #[error("encoding: raw Opus packets do not say where they end; expected Ogg, or another encoding")]
    RawOpus,
}

/// Reads one sound.
#[derive(Debug)]
pub struct SoundReader(Kind);

#[derive(Debug)]
enum Kind {
    /// The beginning of what may be WAV or Ogg.
    Unknown(Vec<u8>),
    Wav(Box<wav::Reader>),
    Ogg(Box<Ogg>),
    Raw(Box<Raw>),
}

#[derive(Debug, Default)]
struct Ogg {
    reader: ogg::Reader,
    /// Fresh for each stream of a chain.
    decoder: Option<opus::Decoder>,
    packet: Vec<i16>,
}

#[derive(Debug)]
struct Raw {
    encoding: Encoding,
    decoder: Decoder,
    /// Part of a sample.
    partial: Vec<u8>,
}

impl SoundReader {
    /// A reader at the start of a sound.
    pub fn new(format: SoundFormat) -> Result<Self, SoundError> {
        Ok(Self(match format {
            SoundFormat::Any => Kind::Unknown(Vec::new()),
            SoundFormat::Wav => Kind::Wav(Box::default()),
            SoundFormat::Raw(Encoding::Opus) => return Err(SoundError::RawOpus),
            SoundFormat::Ogg | SoundFormat::Raw(Encoding::OggOpus) => Kind::Ogg(Box::default()),
            SoundFormat::Raw(encoding) => {
                Kind::Raw(Box::new(Raw { encoding, decoder: Decoder::new(encoding), partial: Vec::new() }))
            }
        }))
    }

    /// Samples a second, once it is known. It can be converted to any other rate.
    pub fn rate(&self) -> Option<u32> {
        match &self.0 {
            Kind::Unknown(_) => None,
            Kind::Wav(reader) => reader.rate(),
            Kind::Ogg(ogg) => ogg.decoder.as_ref().map(|_| opus::RATE),
            Kind::Raw(raw) => Some(raw.encoding.sample_rate()),
        }
    }

    /// How many samples are still to come when it is known, `bytes` being the length of all; [`ogg_length`] knows it for Ogg.
    pub fn samples_left(&self, bytes: u64) -> Option<u64> {
        match &self.0 {
            Kind::Unknown(_) | Kind::Ogg(_) => None,
            Kind::Wav(reader) => reader.samples_left(bytes),
            Kind::Raw(raw) => Some(match raw.encoding {
                Encoding::Pcm { format, .. } => bytes / format.width() as u64,
                Encoding::G722 => bytes * 2,
                _ => bytes,
            }),
        }
    }

    /// Whether it is Ogg, as far as is known.
    pub fn is_ogg(&self) -> bool {
        matches!(self.0, Kind::Ogg(_))
    }

    /// Appends the samples of some bytes to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<i16>) -> Result<(), SoundError> {
        match &mut self.0 {
            Kind::Unknown(head) => {
                head.extend_from_slice(bytes);
                let Some(first) = head.first_chunk() else { return Ok(()) };
                let kind = match first {
                    b"RIFF" => Kind::Wav(Box::default()),
                    b"OggS" => Kind::Ogg(Box::default()),
                    _ => return Err(SoundError::Unknown),
                };
                let head = std::mem::take(head);
                self.0 = kind;
                self.push(&head, out)
            }
            Kind::Wav(reader) => {
                let before = reader.rate();
                reader.push(bytes, out)?;
                if let (None, Some(rate)) = (before, reader.rate()) {
                    // Every target has one of our rates; one that cannot be taken to them is refused here.
                    Resampler::new(rate, 8000)?;
                }
                Ok(())
            }
            Kind::Ogg(ogg) => ogg.push(bytes, out),
            Kind::Raw(raw) => raw.push(bytes, out),
        }
    }

    /// No more bytes come. Fails when there was no sound at all; one that was cut off is what was there.
    pub fn finish(&mut self, out: &mut Vec<i16>) -> Result<(), SoundError> {
        match &mut self.0 {
            Kind::Unknown(_) => Err(SoundError::Unknown),
            Kind::Wav(reader) => Ok(reader.finish()?),
            Kind::Ogg(ogg) => ogg.finish(out),
            Kind::Raw(_) => Ok(()),
        }
    }
}

impl Ogg {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<i16>) -> Result<(), SoundError> {
        let Self { reader, decoder, packet } = self;
        let mut result = Ok(());
        reader.push(bytes, |event| {
            if result.is_ok() {
                result = take(&event, decoder, packet, out);
            }
        });
        result
    }

    fn finish(&mut self, out: &mut Vec<i16>) -> Result<(), SoundError> {
        let Self { reader, decoder, packet } = self;
        let mut result = Ok(());
        reader.finish(|event| {
            if result.is_ok() {
                result = take(&event, decoder, packet, out);
            }
        });
        result?;
        if decoder.is_none() { Err(SoundError::NoOpus) } else { Ok(()) }
    }
}

fn take(
    event: &Event<'_>,
    decoder: &mut Option<opus::Decoder>,
    packet: &mut Vec<i16>,
    out: &mut Vec<i16>,
) -> Result<(), SoundError> {
    match event {
        Event::Start(_) => *decoder = Some(opus::Decoder::new(opus::RATE, Channels::Mono)?),
        &Event::Packet { data, skip, samples } => {
            packet.clear();
            if let Some(decoder) = decoder {
                // A damaged packet is as silent as one that is missing.
                if decoder.decode_into(data, packet).is_err() {
                    packet.resize(skip + samples, 0);
                }
            }
            out.extend(packet.iter().skip(skip).take(samples));
        }
        &Event::Refused(error) => return Err(error.into()),
        Event::Tags(_) | Event::Gap { .. } | Event::End => {}
    }
    Ok(())
}

impl Raw {
    fn push(&mut self, mut bytes: &[u8], out: &mut Vec<i16>) -> Result<(), SoundError> {
        let width = match self.encoding {
            Encoding::Pcm { format, .. } => format.width(),
            _ => 1,
        };
        if !self.partial.is_empty() {
            let (first, rest) = bytes.split_at(bytes.len().min(width - self.partial.len()));
            self.partial.extend_from_slice(first);
            bytes = rest;
            if self.partial.len() < width {
                return Ok(());
            }
            self.decoder.decode_into(&self.partial, usize::MAX, out)?;
            self.partial.clear();
        }
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % width);
        self.decoder.decode_into(whole, usize::MAX, out)?;
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

/// Counts the samples of an Ogg Opus file, at 48 kHz, without decoding them.
#[derive(Debug, Default)]
pub struct OggLength {
    reader: ogg::Reader,
    samples: u64,
}

impl OggLength {
    /// Takes some bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        let samples = &mut self.samples;
        self.reader.push(bytes, |event| count(&event, samples));
    }

    /// The samples of the whole file.
    pub fn finish(mut self) -> u64 {
        let samples = &mut self.samples;
        self.reader.finish(|event| count(&event, samples));
        self.samples
    }
}

fn count(event: &Event<'_>, total: &mut u64) {
    if let Event::Packet { samples, .. } = event {
        *total += *samples as u64;
    }
}

#[cfg(test)]
mod tests;
