//! WAV files made by hand: every sample format, where chunks stand, what is wrong.

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
    let expected = [16_384, i16::MIN, i16::MAX, i16::MAX, 0, i16::MIN];
    assert_eq!(samples(&wav(FLOAT, 1, 32, &data)), expected);
    let data: Vec<u8> = floats.iter().flat_map(|&f| f64::from(f).to_le_bytes()).collect();
    assert_eq!(samples(&wav(FLOAT, 1, 64, &data)), expected);
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
fn other_chunks_are_left_out_with_their_padding() {
    let format = chunk("fmt ", &format(PCM, 1, 8000, 16));
    let (list, data) = (chunk("LIST", b"odd"), chunk("data", &[7, 0]));
    assert_eq!(samples(&file(&[list.clone(), format.clone(), list.clone(), data.clone()])), [7]);
    assert_eq!(samples(&file(&[format.clone(), data.clone(), list, data.clone()])), [7]);
    let error = parse(&file(&[data, format])).expect_err("an error").to_string();
    assert_eq!(error, "WAV: chunk \"fmt \" is missing or too short; expected before the data");
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
    assert!(message(&wav(FLOAT, 1, 16, &[0])).contains("expected 32"));
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
fn it_does_not_matter_where_a_file_is_cut() {
    let body: Vec<u8> = (0..90).collect();
    let list = chunk("LIST", b"odd");
    let bytes =
        file(&[list.clone(), chunk("fmt ", &format(PCM, 3, 8000, 24)), list.clone(), chunk("data", &body), list]);
    let whole = parse(&bytes).expect("a WAV file");
    assert_eq!(whole.samples.len(), 10);
    for size in [1, 2, 3, 7, 50] {
        let (mut reader, mut samples) = (Reader::new(), vec![]);
        let mut left = vec![];
        for piece in bytes.chunks(size) {
            reader.push(piece, &mut samples).expect("a WAV file");
            left.extend(reader.samples_left(bytes.len() as u64).map(|left| left + samples.len() as u64));
        }
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(samples, whole.samples);
        assert_eq!(reader.rate(), Some(8000));
        assert!(size == 50 || left.first() == Some(&10), "{size}: {left:?}");
    }
    assert_eq!(Reader::new().finish(), Err(WavError::NotWav));
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
