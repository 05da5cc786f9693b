//! The two packets that open an Ogg Opus stream: the identification header and the comments (RFC 7845 section 5).
//!
//! Bytes to fields and back; where they stand in the stream is for `reader` and `writer`.

use thiserror::Error;

use crate::media::opus::Channels;

const HEAD: &[u8; 8] = b"OpusHead";
const TAGS: &[u8; 8] = b"OpusTags";

/// The identification header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Channels of the stream.
    pub channels: Channels,
    /// Samples at 48 kHz that a decoder leaves out at the start.
    pub pre_skip: u16,
    /// The sample rate of what was encoded, for information; 0: unknown.
    pub input_rate: u32,
    /// Gain to apply, in dB / 256.
    pub output_gain: i16,
}

/// An identification header of a stream that cannot be decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// Too short.
    #[error("Ogg Opus: an OpusHead of {bytes} bytes; expected 19 or more")]
    Short {
        /// Its length.
        bytes: usize,
    },
    /// A field with a value that this version cannot decode.
    #[error("Ogg Opus: OpusHead's {field} is {value}; expected {expected}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What it held.
        value: u8,
        /// What is taken.
        expected: &'static str,
    },
}

impl Head {
    /// True when a packet is an identification header, whatever it says.
    pub fn is(packet: &[u8]) -> bool {
        packet.starts_with(HEAD)
    }

    /// Reads a packet for which [`is`](Self::is) is true.
    pub fn parse(packet: &[u8]) -> Result<Self, HeadError> {
        let short = HeadError::Short { bytes: packet.len() };
        let fields = packet.get(HEAD.len()..).and_then(|rest| rest.first_chunk::<11>()).ok_or(short)?;
        let &[version, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family] = fields;
        let wrong = |field, value, expected| Err(HeadError::Field { field, value, expected });
        if version & 0xF0 != 0 {
            return wrong("version", version, "0 to 15 (major version 0)");
        }
        // Family 1 with one or two channels is the same as family 0, with a table that says so.
        if family > 1 {
            return wrong("channel mapping family", family, "0 or 1 (mono or stereo)");
        }
        let channels = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            _ => return wrong("number of channels", channels, "1 or 2"),
        };
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            input_rate: u32::from_le_bytes([rate0, rate1, rate2, rate3]),
            output_gain: i16::from_le_bytes([gain0, gain1]),
        })
    }

    /// The packet.
    pub fn to_packet(self) -> [u8; 19] {
        let mut packet = [0; 19];
        let fields: [&[u8]; 6] = [
            HEAD,
            &[1, self.channels.count() as u8],
            &self.pre_skip.to_le_bytes(),
            &self.input_rate.to_le_bytes(),
            &self.output_gain.to_le_bytes(),
            &[0],
        ];
        for (place, byte) in packet.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        packet
    }
}

/// The comment header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Which program wrote the stream.
    pub vendor: String,
    /// `NAME=value`, in the order of the stream.
    pub comments: Vec<String>,
}

impl Tags {
    /// True when a packet is a comment header, whatever it says.
    pub fn is(packet: &[u8]) -> bool {
        packet.starts_with(TAGS)
    }

    /// Reads what is there: a packet cut short gives the comments that are whole. Bytes that are no UTF-8 are replaced.
    pub fn parse(packet: &[u8]) -> Self {
        let mut rest = packet.get(TAGS.len()..).unwrap_or_default();
        let mut tags = Self { vendor: string(&mut rest).unwrap_or_default(), comments: vec![] };
        let count = number(&mut rest).unwrap_or(0);
        for _ in 0..count {
            let Some(comment) = string(&mut rest) else { break };
            tags.comments.push(comment);
        }
        tags
    }

    /// The packet.
    pub fn to_packet(&self) -> Vec<u8> {
        let mut packet = TAGS.to_vec();
        let mut string = |text: &str| {
            packet.extend((text.len() as u32).to_le_bytes());
            packet.extend(text.as_bytes());
        };
        string(&self.vendor);
        let mut rest = vec![];
        for comment in &self.comments {
            rest.extend((comment.len() as u32).to_le_bytes());
            rest.extend(comment.as_bytes());
        }
        packet.extend((self.comments.len() as u32).to_le_bytes());
        packet.extend(rest);
        packet
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*bytes))
}

fn string(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(String::from_utf8_lossy(text).into_owned())
}
