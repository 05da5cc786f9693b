//! WAV files: reading any common kind as mono samples, and the header of a 16-bit PCM file.
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
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    /// Bytes of one sample of one channel.
    width: usize,
}

/// Reads a WAV file: PCM of 8, 16, 24 or 32 bits, 32-bit float, A-law or µ-law, any number of channels.
///
/// Chunks may come in any order. A data chunk that is cut short, or whose size is still 0 or
/// 0xFFFFFFFF because the file is being written, reaches to the end of the file.
pub fn parse(bytes: &[u8]) -> Result<Wav, WavError> {
    let [riff, _, wave] = [0, 4, 8].map(|at| four(bytes, at));
    if riff != Some(*b"RIFF") || wave != Some(*b"WAVE") {
        return Err(WavError::NotWav);
    }
    let (mut format, mut data) = (None, None);
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let (Some(name), Some(size)) = (four(rest, 0), four(rest, 4)) {
        let size = u32::from_le_bytes(size);
        let body = rest.get(8..).unwrap_or_default();
        let unknown = &name == b"data" && matches!(size, 0 | u32::MAX);
        let end = if unknown { body.len() } else { size as usize };
        let chunk = body.get(..end).unwrap_or(body);
        match &name {
            b"fmt " => format = Some(read_format(chunk)?),
            b"data" if data.is_none() => data = Some(chunk),
            _ => {}
        }
        rest = body.get(end.saturating_add(end % 2)..).unwrap_or_default();
    }
    let format = format.ok_or(WavError::Chunk { chunk: "fmt ", expected: "at least 16 bytes" })?;
    let data = data.ok_or(WavError::Chunk { chunk: "data", expected: "the samples" })?;
    Ok(Wav { rate: format.rate, samples: read_samples(&format, data) })
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
        FLOAT if width != 4 || bits != 32 => "32 for float samples",
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

fn read_samples(format: &Format, data: &[u8]) -> Vec<i16> {
    let channels = usize::from(format.channels);
    data.chunks_exact(format.width * channels)
        .map(|block| {
            let sum: i64 =
                block.chunks_exact(format.width).map(|sample| i64::from(read_sample(format.tag, sample))).sum();
            sum.div_euclid(channels as i64) as i16
        })
        .collect()
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
mod tests {
    use super::*;

    fn chunk(name: &str, body: &[u8]) -> Vec<u8> {
        let mut chunk = [name.as_bytes(), &(body.len() as u32).to_le_bytes(), body].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let body = chunks.concat();
        let size = (body.len() as u32 + 4).to_le_bytes();
        [b"RIFF".as_slice(), &size, b"WAVE", &body].concat()
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let block = channels * bits.div_ceil(8);
        let mut body = vec![];
        body.extend(tag.to_le_bytes());
        body.extend(channels.to_le_bytes());
        body.extend(rate.to_le_bytes());
        body.extend((rate * u32::from(block)).to_le_bytes());
        body.extend(block.to_le_bytes());
        body.extend(bits.to_le_bytes());
        body
    }

    fn wav(tag: u16, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
        let format = chunk("fmt ", &format(tag, channels, 8000, bits));
        file(&[format, chunk("data", data)])
    }

    fn samples(bytes: &[u8]) -> Vec<i16> {
        let wav = parse(bytes).expect("a WAV file");
        assert_eq!(wav.rate, 8000);
        wav.samples
    }

    #[test]
    fn every_sample_format() {
        assert_eq!(samples(&wav(PCM, 1, 8, &[0, 128, 255])), [i16::MIN, 0, 127 << 8]);
        assert_eq!(samples(&wav(PCM, 1, 16, &[1, 0, 0xFF, 0xFF, 0, 0x80])), [1, -1, i16::MIN]);
        assert_eq!(samples(&wav(PCM, 1, 24, &[9, 1, 0, 9, 0xFF, 0xFF])), [1, -1]);
        assert_eq!(samples(&wav(PCM, 1, 32, &[9, 9, 2, 1])), [0x102]);
        assert_eq!(samples(&wav(ALAW, 1, 8, &[0xD5, 0x2A])), [8, -32_256]);
        assert_eq!(samples(&wav(ULAW, 1, 8, &[0xFF, 0x00])), [0, -32_124]);
        let floats = [0.5f32, -1.0, 1.0, 2.0, f32::NAN, f32::NEG_INFINITY];
        let data: Vec<u8> = floats.iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(samples(&wav(FLOAT, 1, 32, &data)), [16_384, i16::MIN, i16::MAX, i16::MAX, 0, i16::MIN]);
    }

    #[test]
    fn channels_become_their_mean() {
        let data: Vec<u8> = [100i16, 200, i16::MIN, i16::MIN].iter().flat_map(|s| s.to_le_bytes()).collect();
        assert_eq!(samples(&wav(PCM, 2, 16, &data)), [150, i16::MIN]);
        assert_eq!(samples(&wav(PCM, 2, 16, &data[..7])), [150]);
        assert_eq!(samples(&wav(ULAW, 3, 8, &[0x80, 0xFF, 0xFF])), [10_708]);
    }

    #[test]
    fn extensible_names_its_format_in_a_guid() {
        let mut body = format(EXTENSIBLE, 1, 8000, 16);
        body.extend(22u16.to_le_bytes());
        body.extend([16, 0, 4, 0, 0, 0]);
        body.extend([1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
        let bytes = file(&[chunk("fmt ", &body), chunk("data", &[5, 0])]);
        assert_eq!(samples(&bytes), [5]);
        let bytes = file(&[chunk("fmt ", &body[..20]), chunk("data", &[5, 0])]);
        assert!(matches!(parse(&bytes), Err(WavError::Chunk { chunk: "fmt ", .. })));
    }

    #[test]
    fn chunks_in_any_order_with_odd_padding() {
        let format = chunk("fmt ", &format(PCM, 1, 8000, 16));
        let (list, data) = (chunk("LIST", b"odd"), chunk("data", &[7, 0]));
        assert_eq!(samples(&file(&[list.clone(), format.clone(), list.clone(), data.clone()])), [7]);
        assert_eq!(samples(&file(&[data, list, format])), [7]);
    }

    #[test]
    fn a_file_still_being_written_is_what_is_there() {
        let whole = wav(PCM, 1, 16, &[1, 0, 2, 0, 3, 0]);
        for size in [0, u32::MAX, 7, 1_000_000] {
            let mut bytes = whole.clone();
            bytes[40..44].copy_from_slice(&u32::to_le_bytes(size));
            assert_eq!(samples(&bytes), [1, 2, 3], "{size}");
        }
        assert_eq!(samples(&whole[..whole.len() - 1]), [1, 2]);
        assert!(samples(&whole[..44]).is_empty());
    }

    #[test]
    fn bad_files_say_why() {
        assert_eq!(parse(b""), Err(WavError::NotWav));
        assert_eq!(parse(b"RIFFxxxxAVI "), Err(WavError::NotWav));
        let format_chunk = |body: &[u8]| parse(&file(&[chunk("fmt ", body)]));
        assert!(matches!(format_chunk(&format(PCM, 1, 8000, 16)), Err(WavError::Chunk { chunk: "data", .. })));
        assert!(matches!(format_chunk(&format(PCM, 1, 8000, 16)[..15]), Err(WavError::Chunk { chunk: "fmt ", .. })));
        let message = |bytes: &[u8]| parse(bytes).expect_err("an error").to_string();
        assert_eq!(
            message(&wav(2, 1, 4, &[0])),
            "WAV: the format tag is 2; expected 1 (PCM), 3 (float), 6 (A-law) or 7 (µ-law)"
        );
        assert!(message(&wav(PCM, 1, 64, &[0])).starts_with("WAV: the number of bits a sample is 64"));
        assert!(message(&wav(FLOAT, 1, 64, &[0])).contains("expected 32"));
        assert!(message(&wav(ULAW, 1, 16, &[0])).contains("expected 8"));
        assert!(message(&wav(PCM, 0, 16, &[0])).contains("channels is 0"));
        let silent = file(&[chunk("fmt ", &format(PCM, 1, 0, 16))]);
        assert!(message(&silent).contains("sample rate is 0"));
    }

    #[test]
    fn a_header_reads_back() {
        let mut bytes = header(16_000, 1, 4).to_vec();
        bytes.extend([1, 0, 2, 0]);
        assert_eq!(parse(&bytes), Ok(Wav { rate: 16_000, samples: vec![1, 2] }));
        assert_eq!(bytes[4..8], 40u32.to_le_bytes());
        assert_eq!(bytes[28..32], 32_000u32.to_le_bytes());
        assert_eq!(header(8000, 1, u32::MAX)[4..8], u32::MAX.to_le_bytes());
    }

    #[test]
    fn no_input_panics() {
        let whole = wav(PCM, 2, 24, &[1; 30]);
        for at in 0..whole.len() {
            let _ = parse(&whole[..at]);
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = parse(&bytes);
            }
        }
    }
}
