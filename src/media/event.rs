//! The JSON messages of the media stream format: start, media, stop. Reading them; `write` makes them.
//!
//! Here: text <-> fields. Not here: what an encoding means (`encoding`), what is done with the audio.
//! A text that is no media event is [`Parsed::Ordinary`], whatever else it may be.

mod explain;
mod fields;
mod quick;
mod write;

use std::borrow::Cow;

use thiserror::Error;

pub use write::{write_media, write_start, write_stop};

/// What a text message is to the media layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed<'a> {
    /// No media event: the application's own message.
    Ordinary,
    /// A media event.
    Event(MediaEvent<'a>),
    /// It says that it is a media event, and cannot be read as one.
    Malformed(EventError),
}

/// A media event. Text is borrowed from the message where it needs no unescaping.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent<'a> {
    /// A stream begins.
    Start(Start<'a>),
    /// A chunk of its audio.
    Media(Media<'a>),
    /// The stream ends.
    Stop(Stop<'a>),
}

/// `{"event":"start","start":{…}}`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start<'a> {
    /// `sequenceNumber`
    pub sequence_number: Option<u64>,
    /// `start.tag`, or `tag` beside `event`. An empty tag is none.
    pub tag: Option<Cow<'a, str>>,
    /// `start.mediaFormat.encoding`
    pub encoding: Option<Cow<'a, str>>,
    /// `start.mediaFormat.sampleRate`, Hz
    pub sample_rate: Option<u32>,
    /// `start.mediaFormat.channels`
    pub channels: Option<u32>,
    /// `start.customParameters` as JSON text: the value as it stands, except that a JSON string
    /// which itself holds JSON text (`VoxEngine` sends it so) stands for that text. `null` is none.
    pub custom_parameters: Option<Cow<'a, str>>,
}

/// `{"event":"media","media":{…}}`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media<'a> {
    /// `sequenceNumber`
    pub sequence_number: Option<u64>,
    /// `media.tag`, or `tag` beside `event`. An empty tag is none.
    pub tag: Option<Cow<'a, str>>,
    /// `media.chunk`
    pub chunk: Option<u64>,
    /// `media.timestamp`, samples
    pub timestamp: Option<u64>,
    /// `media.payload`: base64, for [`decode_payload`]
    pub payload: Cow<'a, str>,
}

/// `{"event":"stop","stop":{…}}`; the inner object may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stop<'a> {
    /// `sequenceNumber`
    pub sequence_number: Option<u64>,
    /// `stop.tag`, or `tag` beside `event`. An empty tag is none.
    pub tag: Option<Cow<'a, str>>,
    /// `stop.mediaInfo.bytesSent`
    pub bytes_sent: Option<u64>,
    /// `stop.mediaInfo.duration`, ms
    pub duration: Option<u64>,
}

/// A media event that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// A field must be there.
    #[error("media event: field \"{field}\" is missing; expected {expected}")]
    Missing {
        /// Its path, such as `media.payload`.
        field: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// A field holds something else than it should.
    #[error("media event: field \"{field}\" is {value}; expected {expected}")]
    Wrong {
        /// Its path, such as `media.payload`.
        field: &'static str,
        /// Its JSON text, shortened to 64 characters.
        value: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The text is not JSON.
    #[error("media event: {0}")]
    Syntax(
        /// What is wrong and where, from `serde_json`.
        String,
    ),
}

impl EventError {
    fn wrong(field: &'static str, value: &str, expected: &'static str) -> Self {
        let mut characters = value.chars();
        let mut value: String = characters.by_ref().take(64).collect();
        if characters.next().is_some() {
            value.push('…');
        }
        Self::Wrong { field, value, expected }
    }
}

/// Tells a media event from an ordinary message, at little cost for the latter.
///
/// A media event is a JSON object whose member `event` is `"start"`, `"media"` or `"stop"`; the key
/// must be spelled without escapes. Members that the format does not know are skipped. Numbers may
/// come as strings (`"1"`). Text that is not JSON is malformed if it had named a media event by then.
pub fn parse(text: &str) -> Parsed<'_> {
    if let Some(media) = quick::media(text) {
        return Parsed::Event(MediaEvent::Media(media));
    }
    let object = text.trim_ascii_start().starts_with('{');
    if !object || !text.contains("\"event\"") {
        return Parsed::Ordinary;
    }
    fields::read(text)
}

/// Appends the bytes of a base64 `payload` (RFC 4648 section 4; the padding may be missing).
/// On an error `out` is as before.
pub fn decode_payload(payload: &str, out: &mut Vec<u8>) -> Result<(), EventError> {
    let codec = if payload.len().is_multiple_of(4) { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
    codec
        .decode_append(payload, out)
        .map_err(|_| EventError::wrong("media.payload", payload, "base64 (RFC 4648 section 4)"))
}

#[cfg(test)]
mod tests;
