//! The two ends of one stream's encoding, with what they remember from chunk to chunk: bytes to samples and back.
//!
//! G.711 and PCM remember nothing; Opus and G.722 do, so that each stream has a decoder or encoder of its own.

use thiserror::Error;

use super::encoding::Encoding;
use super::ogg::{self, WriterConfig};
use super::opus::{self, Channels, EncoderConfig, OpusError};
use super::pcm::channels::{left_into, right_into, stereo_to_mono_into};
use super::pcm::format::{PartialSample, SampleFormat};
use super::playout::Encoded;
use super::{g711, g722, scratch};

/// A payload that is not what its encoding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// No whole number of samples.
    #[error("media payload: {0}")]
    Pcm(#[from] PartialSample),
    /// No Opus packet.
    #[error("media payload: {0}")]
    Opus(#[from] OpusError),
    /// An Ogg stream that cannot be decoded.
    #[error("media payload: {0}")]
    Ogg(#[from] ogg::HeadError),
}

/// The encodings in which each sample stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// PCM.
    Pcm(SampleFormat),
    /// ITU-T G.711 µ-law.
    Ulaw,
    /// ITU-T G.711 A-law.
    Alaw,
}

impl Plain {
    /// Appends the samples of `bytes` to `out`; on an error `out` is as before.
    pub fn decode_into(self, bytes: &[u8], out: &mut Vec<i16>) -> Result<(), PayloadError> {
        match self {
            Self::Pcm(format) => format.decode_into(bytes, out)?,
            Self::Ulaw => g711::ulaw_decode_into(bytes, out),
            Self::Alaw => g711::alaw_decode_into(bytes, out),
        }
        Ok(())
    }

    /// Appends the bytes of `pcm` to `out`.
    pub fn encode_into(self, pcm: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Pcm(format) => format.encode_into(pcm, out),
            Self::Ulaw => g711::ulaw_encode_into(pcm, out),
            Self::Alaw => g711::alaw_encode_into(pcm, out),
        }
    }
}

/// What one stream has of two interleaved channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Both, mixed.
    Mixed,
    /// The first of each pair of samples.
    Left,
    /// The second.
    Right,
}

/// What was made in the place of a chunk that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeUp {
    /// Something like the audio before it.
    Concealed,
    /// What it was, coarsely, out of the chunk after it.
    Recovered,
}

/// Bytes of one stream into samples.
#[derive(Debug)]
pub struct Decoder(Decoding);

#[derive(Debug)]
enum Decoding {
    Plain(Plain),
    /// Two channels, of which one comes out.
    Interleaved(Plain, Part),
    G722(Box<g722::Decoder>),
    /// Packets or Ogg, which the first payload tells.
    OpusOfAnyKind,
    Opus(opus::Decoder),
    Ogg(Box<OggDecoder>),
}

#[derive(Debug, Default)]
struct OggDecoder {
    reader: ogg::Reader,
    /// Fresh for each stream of a chain.
    decoder: Option<opus::Decoder>,
    packet: Vec<i16>,
}

impl Decoder {
    /// A decoder before the first chunk.
    pub fn new(encoding: Encoding) -> Self {
        Self(match encoding {
            Encoding::Pcm { format, .. } => Decoding::Plain(Plain::Pcm(format)),
            Encoding::Ulaw => Decoding::Plain(Plain::Ulaw),
            Encoding::Alaw => Decoding::Plain(Plain::Alaw),
            Encoding::G722 => Decoding::G722(Box::default()),
            Encoding::Opus => Decoding::OpusOfAnyKind,
            Encoding::OggOpus => Decoding::Ogg(Box::default()),
        })
    }

    /// A decoder of two channels of PCM and G.711, which gives `part` of them. The others are as they are made by `new`.
    pub fn interleaved(encoding: Encoding, part: Part) -> Self {
        match Self::new(encoding) {
            Self(Decoding::Plain(plain)) => Self(Decoding::Interleaved(plain, part)),
            other => other,
        }
    }

    /// Appends the samples of one chunk to `out`; on an error `out` is as before. A chunk of Ogg may end anywhere, and give
    /// no samples, or those of several packets: a few bytes can stand for 120 ms each, so that no packet is decoded once
    /// there are `most` samples. Answers how many were left out by that.
    pub fn decode_into(&mut self, payload: &[u8], most: usize, out: &mut Vec<i16>) -> Result<usize, PayloadError> {
        self.recognise(payload)?;
        match &mut self.0 {
            Decoding::Plain(plain) => plain.decode_into(payload, out)?,
            Decoding::Interleaved(plain, part) => scratch::samples(|pairs| {
                plain.decode_into(payload, pairs)?;
                match part {
                    Part::Mixed => stereo_to_mono_into(pairs, out),
                    Part::Left => left_into(pairs, out),
                    Part::Right => right_into(pairs, out),
                }
                Ok::<_, PayloadError>(())
            })?,
            Decoding::G722(decoder) => decoder.decode_into(payload, out),
            Decoding::Opus(decoder) => drop(decoder.decode_into(payload, out)?),
            Decoding::Ogg(ogg) => return ogg.decode_into(payload, most, out),
            Decoding::OpusOfAnyKind => {}
        }
        Ok(0)
    }

    fn recognise(&mut self, payload: &[u8]) -> Result<(), OpusError> {
        if matches!(self.0, Decoding::OpusOfAnyKind) {
            self.0 =
                if payload.starts_with(b"OggS") { Decoding::Ogg(Box::default()) } else { Decoding::Opus(decoder()?) };
        }
        Ok(())
    }

    /// How a chunk is to wait until it is decoded in its order; `None`: any order will do, so that it need not wait. An
    /// error: it is nothing of this encoding.
    pub fn in_order<'a>(&mut self, payload: &'a [u8]) -> Result<Option<Encoded<'a>>, PayloadError> {
        self.recognise(payload)?;
        Ok(match self.0 {
            Decoding::Plain(_) | Decoding::Interleaved(..) | Decoding::OpusOfAnyKind => None,
            Decoding::G722(_) => Some(Encoded { payload, samples: Some(2 * payload.len()), a_byte: Some(2) }),
            Decoding::Opus(_) => {
                let samples = opus::check_packet(payload, opus::RATE)?;
                Some(Encoded { payload, samples: Some(samples), a_byte: None })
            }
            Decoding::Ogg(_) => Some(Encoded { payload, samples: None, a_byte: None }),
        })
    }

    /// Appends `samples` samples for a lost chunk, if the codec can; `next` is the chunk right after it, still to be
    /// decoded.
    pub fn make_up(&mut self, next: Option<&[u8]>, samples: usize, out: &mut Vec<i16>) -> Option<MadeUp> {
        let Decoding::Opus(decoder) = &mut self.0 else { return None };
        if let Some(next) = next.filter(|next| opus::has_fec(next))
            && decoder.recover_into(next, samples, out).is_ok()
        {
            return Some(MadeUp::Recovered);
        }
        decoder.conceal_into(samples, out).ok().map(|_| MadeUp::Concealed)
    }
}

impl OggDecoder {
    fn decode_into(&mut self, payload: &[u8], most: usize, out: &mut Vec<i16>) -> Result<usize, PayloadError> {
        let Self { reader, decoder, packet } = self;
        let (start, mut left_out, mut result) = (out.len(), 0, Ok(()));
        reader.push(payload, |event| {
            if result.is_err() {
                return;
            }
            result = match event {
                ogg::Event::Start(_) => self::decoder().map(|fresh| *decoder = Some(fresh)).map_err(PayloadError::from),
                ogg::Event::Packet { samples, .. } if out.len() - start >= most => {
                    left_out += samples;
                    Ok(())
                }
                ogg::Event::Packet { data, skip, samples } => {
                    packet.clear();
                    let decoded = match decoder {
                        Some(decoder) => decoder.decode_into(data, packet),
                        // The reader gives no packet before a start.
                        None => Ok(0),
                    };
                    out.extend(packet.iter().skip(skip).take(samples));
                    decoded.map(drop).map_err(PayloadError::from)
                }
                ogg::Event::Refused(error) => Err(error.into()),
                // Pages that are missing are not made up: over TCP nothing is lost on the way.
                ogg::Event::Tags(_) | ogg::Event::Gap { .. } | ogg::Event::End => Ok(()),
            };
        });
        if result.is_err() {
            out.truncate(start);
        }
        result.map(|()| left_out)
    }
}

fn decoder() -> Result<opus::Decoder, OpusError> {
    opus::Decoder::new(opus::RATE, Channels::Mono)
}

/// Samples of one stream into bytes.
#[derive(Debug)]
pub struct Encoder {
    encoding: Encoding,
    opus: EncoderConfig,
    coding: Coding,
}

#[derive(Debug)]
enum Coding {
    Plain(Plain),
    G722(Box<g722::Encoder>),
    Opus(Box<OpusEncoder>),
}

#[derive(Debug)]
struct OpusEncoder {
    encoder: opus::Encoder,
    dtx: bool,
    /// Samples encoded so far.
    given: u64,
    /// Samples that are no whole frame yet.
    pending: Vec<i16>,
    packet: Vec<u8>,
    /// Puts the packets into pages, for Ogg.
    pages: Option<ogg::Writer>,
    /// Pages with the headers, before the first packet.
    head: Vec<u8>,
}

impl Encoder {
    /// An encoder at the start of a stream; `opus` is how Opus is made, if that is the encoding.
    pub fn new(encoding: Encoding, opus: EncoderConfig) -> Result<Self, OpusError> {
        let coding = match encoding {
            Encoding::Pcm { format, .. } => Coding::Plain(Plain::Pcm(format)),
            Encoding::Ulaw => Coding::Plain(Plain::Ulaw),
            Encoding::Alaw => Coding::Plain(Plain::Alaw),
            Encoding::G722 => Coding::G722(Box::default()),
            Encoding::Opus | Encoding::OggOpus => {
                let mut encoder = opus::Encoder::new(opus)?;
                let mut head = Vec::new();
                let pages = match encoding {
                    Encoding::OggOpus => {
                        let pre_skip = encoder.lookahead()? as u16;
                        Some(ogg::Writer::new(&WriterConfig { pre_skip, ..WriterConfig::default() }, &mut head))
                    }
                    _ => None,
                };
                let (pending, packet) = (Vec::new(), Vec::new());
                let dtx = opus.dtx;
                Coding::Opus(Box::new(OpusEncoder { encoder, dtx, given: 0, pending, packet, pages, head }))
            }
        };
        Ok(Self { encoding, opus, coding })
    }

    /// Which encoding it is.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Takes samples, at the rate of the encoding, and calls `chunk` with the bytes of each chunk that they complete. Opus
    /// is made of frames (20 ms, if nothing else is asked for): what is left of one waits for the next call. A chunk
    /// without bytes is not to be sent, though its time goes by: with DTX that is silence.
    pub fn encode(
        &mut self,
        pcm: &[i16],
        bytes: &mut Vec<u8>,
        mut chunk: impl FnMut(&[u8], usize),
    ) -> Result<(), OpusError> {
        bytes.clear();
        match &mut self.coding {
            Coding::Plain(plain) => {
                plain.encode_into(pcm, bytes);
                chunk(bytes, pcm.len());
            }
            Coding::G722(encoder) => {
                encoder.encode_into(pcm, bytes);
                chunk(bytes, pcm.len());
            }
            Coding::Opus(opus) => opus.encode(pcm, bytes, chunk)?,
        }
        Ok(())
    }

    /// The stream ends: `chunk` gets what was kept back, filled up with silence, and the end of an Ogg stream. What comes
    /// next begins a new stream.
    pub fn finish(&mut self, bytes: &mut Vec<u8>, chunk: impl FnMut(&[u8], usize)) -> Result<(), OpusError> {
        bytes.clear();
        let finished = match &mut self.coding {
            Coding::Opus(opus) => opus.finish(bytes, chunk),
            Coding::Plain(_) | Coding::G722(_) => Ok(()),
        };
        *self = Self::new(self.encoding, self.opus)?;
        finished
    }
}

impl OpusEncoder {
    fn encode(
        &mut self,
        pcm: &[i16],
        bytes: &mut Vec<u8>,
        mut chunk: impl FnMut(&[u8], usize),
    ) -> Result<(), OpusError> {
        self.pending.extend_from_slice(pcm);
        let length = self.encoder.frame_length();
        let whole = self.pending.len() - self.pending.len() % length;
        for frame in self.pending[..whole].chunks_exact(length) {
            bytes.clear();
            self.packet.clear();
            self.encoder.encode_into(frame, &mut self.packet)?;
            match &mut self.pages {
                // The decoder goes on by itself. In Ogg it would take it for a loss.
                None if self.dtx && self.packet.len() <= opus::NOT_SENT => {}
                None => bytes.append(&mut self.packet),
                Some(pages) => {
                    bytes.append(&mut self.head);
                    page(pages, &self.packet, bytes);
                    // A page for each packet: a call does not wait for a page to fill.
                    pages.flush_into(bytes);
                }
            }
            chunk(bytes, length);
        }
        self.given += whole as u64;
        self.pending.drain(..whole);
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>, mut chunk: impl FnMut(&[u8], usize)) -> Result<(), OpusError> {
        let (length, rest) = (self.encoder.frame_length(), self.pending.len());
        let Some(mut pages) = self.pages.take() else {
            let missing = if rest == 0 { 0 } else { length - rest };
            return self.encode(&vec![0; missing], bytes, chunk);
        };
        if self.given == 0 && rest == 0 {
            return Ok(());
        }
        // What the encoder looks ahead is still inside it. The last page says where the audio ends, so that what fills up
        // the last packets is left out.
        let played = self.given + rest as u64;
        let inside = rest + self.encoder.lookahead()?;
        self.pending.resize(inside.next_multiple_of(length), 0);
        bytes.append(&mut self.head);
        for frame in self.pending.chunks_exact(length) {
            self.packet.clear();
            self.encoder.encode_into(frame, &mut self.packet)?;
            page(&mut pages, &self.packet, bytes);
        }
        pages.finish_into(Some(played), bytes);
        chunk(bytes, rest);
        Ok(())
    }
}

/// Adds a packet that libopus made: it is one, and shorter than a page, so that nothing can be wrong with it.
fn page(pages: &mut ogg::Writer, packet: &[u8], bytes: &mut Vec<u8>) {
    let added = pages.packet_into(packet, bytes);
    debug_assert!(added.is_ok(), "{added:?}");
}

#[cfg(test)]
mod tests;
