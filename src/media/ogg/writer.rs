//! Writing an Ogg Opus stream: packets in, whole pages out.
//!
//! What was given out so far is a stream that players take, whatever happens next; at most one page is kept back.

use super::header::{Head, Tags};
use super::page::Page;
use super::{MAX_PACKET, WriteError};
use crate::media::opus::{self, Channels};

/// Segments that a page has room for.
const MAX_SEGMENTS: usize = 255;

/// How a stream is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterConfig {
    /// The serial number of the logical stream: any; another for each stream of a chain.
    pub serial: u32,
    /// Channels of the packets.
    pub channels: Channels,
    /// Samples at 48 kHz that a player leaves out: the encoder's lookahead.
    pub pre_skip: u16,
    /// The rate of what was encoded, in Hz, for information.
    pub input_rate: u32,
    /// Vendor and comments.
    pub tags: Tags,
    /// A page is closed when it holds so many samples at 48 kHz: how much a kill may cost, beside 26 bytes of overhead a page.
    pub page_samples: u64,
}

impl Default for WriterConfig {
    fn default() -> Self {
        let vendor = format!("voxwire {}, {}", env!("CARGO_PKG_VERSION"), opus::version());
        Self {
            serial: 1,
            channels: Channels::Mono,
            pre_skip: 312,
            input_rate: 0,
            tags: Tags { vendor, comments: vec![] },
            page_samples: u64::from(opus::RATE),
        }
    }
}

/// Makes the pages of one logical stream.
#[derive(Clone, Debug)]
pub struct Writer {
    serial: u32,
    pre_skip: u16,
    page_samples: u64,
    /// The number of the next page.
    sequence: u32,
    /// Samples of all packets before the open page, and of those on it.
    granule: u64,
    on_page: u64,
    lacing: Vec<u8>,
    body: Vec<u8>,
}

impl Writer {
    /// A writer; the pages with the headers are appended to `out`.
    pub fn new(config: &WriterConfig, out: &mut Vec<u8>) -> Self {
        let mut writer = Self {
            serial: config.serial,
            pre_skip: config.pre_skip,
            page_samples: config.page_samples,
            sequence: 0,
            granule: 0,
            on_page: 0,
            lacing: vec![],
            body: vec![],
        };
        let head = Head {
            channels: config.channels,
            pre_skip: config.pre_skip,
            input_rate: config.input_rate,
            output_gain: 0,
        };
        writer.add(&head.to_packet());
        writer.page(0, false, out);
        // Comments may be longer than a page.
        let tags = config.tags.to_packet();
        let mut rest = tags.as_slice();
        let mut continued = false;
        while rest.len() >= MAX_SEGMENTS * 255 {
            let (part, after) = rest.split_at(MAX_SEGMENTS * 255);
            rest = after;
            writer.lacing.resize(MAX_SEGMENTS, 255);
            writer.body.extend_from_slice(part);
            writer.write(super::page::NO_GRANULE, continued, false, out);
            continued = true;
        }
        writer.add(rest);
        writer.write(0, continued, false, out);
        writer
    }

    /// Adds a packet, and appends a page to `out` when one is full.
    pub fn packet_into(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let bytes = packet.len();
        if bytes > MAX_PACKET {
            return Err(WriteError::TooLong { bytes });
        }
        let samples = opus::packet_samples(packet, opus::RATE).map_err(|_| WriteError::Packet { bytes })?;
        // Only now: the last page stays open until something follows it, so that it can be marked as the last.
        let full = self.lacing.len() + bytes / 255 + 1 > MAX_SEGMENTS;
        if full || self.on_page >= self.page_samples {
            self.flush_into(out);
        }
        self.add(packet);
        self.on_page += samples as u64;
        Ok(())
    }

    /// Appends the open page, so that nothing is kept back.
    pub fn flush_into(&mut self, out: &mut Vec<u8>) {
        if !self.lacing.is_empty() {
            let granule = self.granule + self.on_page;
            self.page(granule, false, out);
        }
    }

    /// Appends the last page. `samples`: how many samples at 48 kHz are to be played in all; what the packets hold beyond
    /// is trimmed, as far as it is on the last page. `None`: all of them.
    pub fn finish_into(mut self, samples: Option<u64>, out: &mut Vec<u8>) {
        let end = self.granule + self.on_page;
        let wanted = samples.map_or(end, |samples| samples.saturating_add(u64::from(self.pre_skip)));
        self.page(wanted.clamp(self.granule, end), true, out);
    }

    /// Samples at 48 kHz given so far that will be played.
    pub fn samples(&self) -> u64 {
        (self.granule + self.on_page).saturating_sub(u64::from(self.pre_skip))
    }

    fn add(&mut self, packet: &[u8]) {
        self.lacing.resize(self.lacing.len() + packet.len() / 255, 255);
        self.lacing.push((packet.len() % 255) as u8);
        self.body.extend_from_slice(packet);
    }

    fn page(&mut self, granule: u64, last: bool, out: &mut Vec<u8>) {
        self.granule += self.on_page;
        self.on_page = 0;
        self.write(granule, false, last, out);
    }

    fn write(&mut self, granule: u64, continued: bool, last: bool, out: &mut Vec<u8>) {
        let page = Page {
            continued,
            first: self.sequence == 0,
            last,
            granule,
            serial: self.serial,
            sequence: self.sequence,
            lacing: &self.lacing,
            body: &self.body,
        };
        page.write_into(out);
        self.sequence = self.sequence.wrapping_add(1);
        self.lacing.clear();
        self.body.clear();
    }
}
