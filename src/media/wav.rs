//! WAV files: reading any common kind as mono samples, piece by piece, and the header of a 16-bit PCM file.
//!
//! Bytes in memory; files are opened elsewhere.

use thiserror::Error;

use super::g711;

/// The audio of a WAV file, mixed to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wav {
    /// Samples a second.
    pub rate: u32,
    /// The mean of all channels.
    pub samples: Vec<i16>,
}

/// A WAV file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WavError {
    /// The file does not begin as a WAV file does.
    #[error("WAV: the file does not begin with \"RIFF\", a size and \"WAVE\"")]
    NotWav,
    /// A chunk that must be there is not, or is cut short.
    #[error("WAV: chunk \"{chunk}\" is missing or too short; expected {expected}")]
    Chunk {
        /// Its four-letter name.
        chunk: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A field of the `fmt ` chunk holds a value that cannot be read.
    #[error("WAV: {field} is {value}; expected {expected}")]
    Format {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// What can be read.
        expected: &'static str,
    },
}

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xFFFE;

/// What the `fmt ` chunk says.
#[derive(Clone, Debug)]
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    /// Bytes of one sample of one channel.
    width: usize,
}

/// Reads a whole WAV file: see [`Reader`].
pub fn parse(bytes: &[u8]) -> Result<Wav, WavError> {
    let (mut reader, mut samples) = (Reader::new(), Vec::new());
    reader.push(bytes, &mut samples)?;
    reader.finish()?;
    Ok(Wav { rate: reader.rate().unwrap_or_default(), samples })
}

/// Reads a WAV file in pieces cut anywhere: PCM of 8, 16, 24 or 32 bits, float of 32 or 64, A-law or µ-law, any number of
/// channels.
///
/// A data chunk that is cut short, or whose size is still 0 or 0xFFFFFFFF because the file is being written, reaches to the
/// end of the file. What follows the data is left out.
#[derive(Debug, Default)]
pub struct Reader {
    place: Place,
    /// The beginning of what is not whole yet.
    pending: Vec<u8>,
    format: Option<Format>,
    read: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Start,
    ChunkHeader,
    /// The beginning of a format chunk, and how much of it is left out after that.
    Format {
        size: usize,
        skip: u64,
    },
    Skip(u64),
    /// So many bytes of samples, if it is known.
    Data(Option<u64>),
    End,
}

impl Reader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Samples a second, once it is known.
    pub fn rate(&self) -> Option<u32> {
        self.format.as_ref().map(|format| format.rate)
    }

    /// How many samples follow in a file of so many bytes: known where the data begins.
    pub fn samples_left(&self, bytes: u64) -> Option<u64> {
        let (Place::Data(left), Some(format)) = (self.place, &self.format) else { return None };
        let partial = self.pending.len() as u64;
        let there = bytes.saturating_sub(self.read) + partial;
        Some(left.map_or(there, |left| there.min(left + partial)) / format.block() as u64)
    }

    /// Appends the samples of some bytes to `out`.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<i16>) -> Result<(), WavError> {
        let all = bytes.len() as u64;
        while !bytes.is_empty() && !matches!(self.place, Place::End) {
            self.step(&mut bytes, out)?;
        }
        self.read += all;
        Ok(())
    }

    /// No more bytes come. Fails when there was no data.
    pub fn finish(&self) -> Result<(), WavError> {
        match (self.place, &self.format) {
            (Place::Start, _) => Err(WavError::NotWav),
            (Place::Data(_) | Place::End, _) => Ok(()),
            (_, None) => Err(WavError::Chunk { chunk: "fmt ", expected: "at least 16 bytes" }),
            _ => Err(WavError::Chunk { chunk: "data", expected: "the samples" }),
        }
    }

    fn step(&mut self, bytes: &mut &[u8], out: &mut Vec<i16>) -> Result<(), WavError> {
        match self.place {
            Place::Start => {
                let Some(head) = self.whole(bytes, 12) else { return Ok(()) };
                if !head.starts_with(b"RIFF") || !head.ends_with(b"WAVE") {
                    return Err(WavError::NotWav);
                }
                self.place = Place::ChunkHeader;
            }
            Place::ChunkHeader => {
                let Some(head) = self.whole(bytes, 8) else { return Ok(()) };
                let size = u64::from(four(&head, 4).map_or(0, u32::from_le_bytes));
                let padded = size + size % 2;
                self.place = match head.first_chunk() {
                    Some(b"fmt ") if self.format.is_none() => {
                        let wanted = size.min(40);
                        Place::Format { size: wanted as usize, skip: padded - wanted }
                    }
                    Some(b"data") if self.format.is_none() => {
                        return Err(WavError::Chunk { chunk: "fmt ", expected: "before the data" });
                    }
                    Some(b"data") => Place::Data(Some(size).filter(|&size| size != 0 && size != u64::from(u32::MAX))),
                    _ => Place::Skip(padded),
                };
            }
            Place::Format { size, skip } => {
                let Some(chunk) = self.whole(bytes, size) else { return Ok(()) };
                self.format = Some(read_format(&chunk)?);
                self.place = Place::Skip(skip);
            }
            Place::Skip(0) => self.place = Place::ChunkHeader,
            Place::Skip(left) => {
                let count = left.min(bytes.len() as u64);
                *bytes = bytes.get(count as usize..).unwrap_or_default();
                self.place = Place::Skip(left - count);
            }
            Place::Data(Some(0)) => self.place = Place::End,
            Place::Data(left) => {
                let count = left.map_or(bytes.len(), |left| left.min(bytes.len() as u64) as usize);
                let (data, rest) = bytes.split_at(count);
                *bytes = rest;
                self.place = Place::Data(left.map(|left| left - count as u64));
                self.samples(data, out);
            }
            Place::End => {}
        }
        Ok(())
    }

    /// The next `size` bytes, once they are there.
    fn whole(&mut self, bytes: &mut &[u8], size: usize) -> Option<Vec<u8>> {
        let (taken, rest) = bytes.split_at(size.saturating_sub(self.pending.len()).min(bytes.len()));
        self.pending.extend_from_slice(taken);
        *bytes = rest;
        (self.pending.len() >= size).then(|| std::mem::take(&mut self.pending))
    }

    fn samples(&mut self, mut data: &[u8], out: &mut Vec<i16>) {
        let Some(format) = self.format.clone() else { return };
        let block = format.block();
        if !self.pending.is_empty() {
            let Some(first) = self.whole(&mut data, block) else { return };
            read_samples(&format, &first, out);
        }
        let whole = data.len() - data.len() % block;
        let (blocks, rest) = data.split_at(whole);
        read_samples(&format, blocks, out);
        self.pending.extend_from_slice(rest);
    }
}

/// The 44-byte header of a 16-bit PCM file with `data_bytes` of samples behind it.
pub fn header(rate: u32, channels: u16, data_bytes: u32) -> [u8; 44] {
    let block = channels.saturating_mul(2);
    let mut header = [0; 44];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data_bytes.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &PCM.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &rate.saturating_mul(u32::from(block)).to_le_bytes(),
        &block.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    for (place, byte) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    header
}

impl Format {
    /// Bytes of one sample of all channels.
    fn block(&self) -> usize {
        self.width * usize::from(self.channels)
    }
}

fn read_format(chunk: &[u8]) -> Result<Format, WavError> {
    let short = |expected| WavError::Chunk { chunk: "fmt ", expected };
    let field = |at| two(chunk, at).ok_or(short("at least 16 bytes"));
    let (mut tag, channels, block, bits) = (field(0)?, field(2)?, field(12)?, field(14)?);
    let rate = four(chunk, 4).ok_or(short("at least 16 bytes"))?;
    let rate = u32::from_le_bytes(rate);
    if tag == EXTENSIBLE {
        // The sub-format GUID begins with the tag that it stands for.
        tag = two(chunk, 24).ok_or(short("40 bytes for an extensible format"))?;
    }
    let wrong = |field, value: u32, expected| WavError::Format { field, value, expected };
    if rate == 0 {
        return Err(wrong("the sample rate", rate, "1 Hz or more"));
    }
    if channels == 0 {
        return Err(wrong("the number of channels", 0, "1 or more"));
    }
    let whole = block.is_multiple_of(channels);
    let width = if whole { block / channels } else { 0 };
    let bits = u32::from(bits);
    let expected = match tag {
        PCM if !(1..=4).contains(&width) || bits.div_ceil(8) > u32::from(width) => {
            "8, 16, 24 or 32 for PCM, and a block of as many bytes"
        }
        FLOAT if !matches!((width, bits), (4, 32) | (8, 64)) => "32 or 64 for float samples",
        ALAW | ULAW if width != 1 => "8 for G.711",
        PCM | FLOAT | ALAW | ULAW => {
            return Ok(Format { tag, channels, rate, width: usize::from(width) });
        }
        _ => {
            let expected = "1 (PCM), 3 (float), 6 (A-law) or 7 (µ-law)";
            return Err(wrong("the format tag", u32::from(tag), expected));
        }
    };
    Err(wrong("the number of bits a sample", bits, expected))
}

fn read_samples(format: &Format, data: &[u8], out: &mut Vec<i16>) {
    let channels = i64::from(format.channels);
    out.extend(data.chunks_exact(format.block()).map(|block| {
        let sum: i64 = block.chunks_exact(format.width).map(|sample| i64::from(read_sample(format.tag, sample))).sum();
        sum.div_euclid(channels) as i16
    }));
}

/// One sample of one channel. PCM of more than 16 bits keeps its upper 16.
fn read_sample(tag: u16, bytes: &[u8]) -> i16 {
    match (tag, bytes) {
        (PCM, &[byte]) => (i16::from(byte) - 128) << 8,
        (PCM, &[.., low, high]) => i16::from_le_bytes([low, high]),
        (ALAW, &[code]) => g711::alaw_decode(code),
        (ULAW, &[code]) => g711::ulaw_decode(code),
        (FLOAT, &[a, b, c, d]) => {
            // The cast saturates, and makes 0 of a NaN.
            (f32::from_le_bytes([a, b, c, d]) * 32_768.0).round() as i16
        }
        (FLOAT, bytes) => {
            let value = bytes.first_chunk().map_or(0.0, |&bytes| f64::from_le_bytes(bytes));
            (value * 32_768.0).round() as i16
        }
        _ => 0,
    }
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
