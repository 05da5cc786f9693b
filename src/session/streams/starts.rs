//! What a start makes: one stream, or one for each of two channels; and how media and stop find it by the sender's tag.
//! The streams themselves are `media::stream`.

use std::time::Instant;

use super::{Applied, Entry, MediaRefusal, Streams};
use crate::media::codec::Part;
use crate::media::encoding::Encoding;
use crate::media::event::Start;
use crate::media::opus::Channels;
use crate::media::stream::Stream;

/// Bytes of a tag. It is kept with the stream and goes with each of its events.
const MAX_TAG: usize = 1024;
/// Bytes of JSON text of the custom parameters.
const MAX_CUSTOM: usize = 64 * 1024;

/// What becomes of two channels (of PCM and G.711; Opus is mixed by its decoder).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stereo {
    /// They are one stream, mixed.
    #[default]
    Mix,
    /// They are two streams, `<tag>.left` and `<tag>.right`; without a tag `left` and `right`.
    Split,
}

impl Streams {
    pub(super) fn start(&mut self, now: Instant, start: &Start<'_>) -> Result<Applied, MediaRefusal> {
        let tag = start.tag.as_deref().unwrap_or_default();
        let (encoding, channels) = Encoding::received(start.encoding.as_deref(), start.sample_rate, start.channels)?;
        let split = channels == Channels::Stereo && self.config.stereo == Stereo::Split;
        let custom_length = start.custom_parameters.as_deref().map_or(0, str::len);
        for (field, length, limit) in
            [("start.tag", tag.len(), MAX_TAG), ("start.customParameters", custom_length, MAX_CUSTOM)]
        {
            if length > limit {
                return Err(MediaRefusal::TooLong { field, length, limit });
            }
        }
        if self.entries.len() + usize::from(split) >= self.config.max_streams {
            self.past.refused += 1;
            return Err(MediaRefusal::TooManyStreams { tag: tag.to_owned(), limit: self.config.max_streams });
        }
        // A start without a stop before it: the old stream is over, its audio plays out first.
        self.open(tag).for_each(|stream| stream.stop(now));
        let custom = start.custom_parameters.as_deref().map(str::to_owned);
        let config = self.config.stream;
        let first = self.next_key + 1;
        if split {
            for (part, side) in [(Part::Left, "left"), (Part::Right, "right")] {
                let dot = if tag.is_empty() { "" } else { "." };
                let own = format!("{tag}{dot}{side}");
                // Somebody may call a stream of one channel so.
                self.stop_whole(now, &own);
                self.add(now, first, tag.len(), Stream::interleaved(part, own, encoding, custom.clone(), config));
            }
        } else {
            self.stop_whole(now, tag);
            let tag = tag.to_owned();
            let sent = tag.len();
            self.add(
                now,
                first,
                sent,
                match channels {
                    Channels::Mono => Stream::new(tag, encoding, custom, config),
                    Channels::Stereo => Stream::interleaved(Part::Mixed, tag, encoding, custom, config),
                },
            );
        }
        Ok(Applied::Audio)
    }

    fn add(&mut self, now: Instant, start: u64, sent: usize, mut stream: Stream) {
        self.next_key += 1;
        if self.pauses.of(stream.tag()) {
            stream.pause(now);
        }
        self.entries.push(Entry { key: self.next_key, start, sent, stream });
    }

    /// Stops the stream of this tag, and what came with it in one start.
    fn stop_whole(&mut self, now: Instant, tag: &str) {
        let last = self.entries.iter().rev().find(|e| e.stream.tag() == tag).map(|e| e.start);
        for entry in self.entries.iter_mut().filter(|e| Some(e.start) == last) {
            entry.stream.stop(now);
        }
    }

    /// What still takes audio that is sent under `tag`: the last stream of that tag (or the two of one start), unless it was
    /// stopped.
    pub(super) fn open(&mut self, tag: &str) -> impl Iterator<Item = &mut Stream> {
        let last = self.entries.iter().rev().find(|e| e.sent_tag() == tag).map(|e| e.start);
        let streams = self.entries.iter_mut().filter(move |e| Some(e.start) == last).map(|e| &mut e.stream);
        streams.filter(|stream| !stream.is_stopping())
    }
}
