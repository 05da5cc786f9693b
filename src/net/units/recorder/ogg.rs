//! One Ogg Opus file of a recording: a stream of its own, that plays exactly the samples given to it. Each write ends with a
//! page, so that a file whose writer is killed can be read up to then.

use std::fs::File;
use std::io::{Error, Write};
use std::path::Path;

use crate::media::ogg::{Writer, WriterConfig};
use crate::media::opus::{self, Channels, Encoder, EncoderConfig};

/// The longest packet that libopus makes here (RFC 6716 section 3.2.1: three frames of 1275 bytes), with its place on a page.
const PACKET: u64 = 4000 + 16;
/// What is added at the end at most: a packet, one of the lookahead, and their pages.
const END: u64 = 2 * (PACKET + PAGE);
/// The header of a page.
const PAGE: u64 = 27;

pub(super) struct OggFile {
    file: File,
    encoder: Encoder,
    /// `None` once the file is complete.
    pages: Option<Writer>,
    /// Interleaved samples that are no whole packet yet.
    pending: Vec<i16>,
    packet: Vec<u8>,
    out: Vec<u8>,
    rate: u32,
    channels: usize,
    /// Samples of each channel that there is room for, and that there are.
    room: u64,
    length: u64,
    /// Bytes that there is room for, and that there are or will be once the open page is written.
    most: u64,
    size: u64,
}

impl OggFile {
    /// Makes the file, with the headers of its stream. At most `samples` samples of each channel and `bytes` bytes go into
    /// it.
    pub(super) fn create(path: &Path, config: EncoderConfig, samples: u64, bytes: u64) -> std::io::Result<Self> {
        let mut encoder = Encoder::new(config).map_err(Error::other)?;
        let lookahead = encoder.lookahead().map_err(Error::other)? as u64;
        let (mut file, mut out) = (File::create(path)?, Vec::new());
        let pages = WriterConfig {
            serial: rand::random(),
            channels: config.channels,
            pre_skip: at_48_khz(lookahead, config.rate) as u16,
            input_rate: config.rate,
            ..WriterConfig::default()
        };
        let pages = Some(Writer::new(&pages, &mut out));
        file.write_all(&out)?;
        let size = out.len() as u64;
        out.clear();
        Ok(Self {
            file,
            encoder,
            pages,
            pending: Vec::new(),
            packet: Vec::new(),
            size,
            out,
            rate: config.rate,
            channels: config.channels.count(),
            room: samples,
            length: 0,
            most: bytes,
        })
    }

    /// Appends interleaved samples and answers how many (all channels together) there was room for.
    pub(super) fn write(&mut self, pcm: &[i16]) -> std::io::Result<usize> {
        let mut rest = pcm;
        while !rest.is_empty() && self.length < self.room && self.size + PACKET + END <= self.most {
            let missing = self.encoder.frame_length() - self.pending.len();
            let left = usize::try_from(self.room - self.length).unwrap_or(usize::MAX).saturating_mul(self.channels);
            let (taken, after) = rest.split_at(missing.min(left).min(rest.len()));
            self.pending.extend_from_slice(taken);
            self.length += (taken.len() / self.channels) as u64;
            rest = after;
            if self.pending.len() == self.encoder.frame_length() {
                self.encode()?;
            }
        }
        if let Some(pages) = &mut self.pages {
            let before = self.out.len();
            pages.flush_into(&mut self.out);
            self.size += if self.out.len() > before { PAGE } else { 0 };
        }
        self.write_out()?;
        Ok(pcm.len() - rest.len())
    }

    /// Writes the end of the stream: what the encoder has still inside, and where the audio ends.
    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        let lookahead = self.encoder.lookahead().map_err(Error::other)? * self.channels;
        let mut inside = self.pending.len() + lookahead;
        while inside > 0 {
            self.pending.resize(self.encoder.frame_length(), 0);
            self.encode()?;
            inside = inside.saturating_sub(self.encoder.frame_length());
        }
        if let Some(pages) = self.pages.take() {
            pages.finish_into(Some(at_48_khz(self.length, self.rate)), &mut self.out);
        }
        self.write_out()
    }

    fn encode(&mut self) -> std::io::Result<()> {
        self.packet.clear();
        self.encoder.encode_into(&self.pending, &mut self.packet).map_err(Error::other)?;
        self.pending.clear();
        if let Some(pages) = &mut self.pages {
            let before = self.out.len();
            pages.packet_into(&self.packet, &mut self.out).map_err(Error::other)?;
            self.size += if self.out.len() > before { PAGE } else { 0 };
        }
        self.size += (self.packet.len() + self.packet.len() / 255 + 1) as u64;
        Ok(())
    }

    fn write_out(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

fn at_48_khz(samples: u64, rate: u32) -> u64 {
    samples * u64::from(opus::RATE) / u64::from(rate)
}

/// The parameters for a recording of this rate and so many channels.
pub(super) fn encoder(config: EncoderConfig, rate: u32, channels: u16) -> EncoderConfig {
    let channels = if channels == 2 { Channels::Stereo } else { Channels::Mono };
    EncoderConfig { rate, channels, ..config }
}
