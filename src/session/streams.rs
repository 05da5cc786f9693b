//! The incoming media streams of one connection, told apart by tag, played on one 20 ms grid.
//! The reader pushes what arrives, the pacer ticks; neither sockets nor routes are known here.

use std::time::{Duration, Instant};

use crate::media::codec::PayloadError;
use crate::media::duration_of;
use crate::media::encoding::{Encoding, FormatError};
use crate::media::event::{self, EventError, Media, MediaEvent};
use crate::media::level::Level;
use crate::media::scratch;
use crate::media::stream::{CATCH_UP, Reached, Stream, StreamConfig, StreamEvent};
use crate::media::voice::VoiceEvent;

mod marks;
mod pauses;
mod starts;

use marks::Marks;
pub use pauses::Pauses;
pub use starts::Stereo;

/// Bounds and timing of the streams of one connection.
#[derive(Debug, Clone, Copy)]
pub struct StreamsConfig {
    /// Timing and bounds of each stream.
    pub stream: StreamConfig,
    /// How many streams may be open at once on one connection, those that still play out after `stop` included.
    pub max_streams: usize,
    /// What becomes of two channels.
    pub stereo: Stereo,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self { stream: StreamConfig::default(), max_streams: 32, stereo: Stereo::default() }
    }
}

/// What became of a media event.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was audio (or its start or stop) and needs no one else.
    Audio,
    /// Not audio here: media or stop of a stream that has not started. An ordinary message.
    Ordinary,
}

/// Why a media event cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MediaRefusal {
    /// Its JSON is not as the format wants it.
    #[error(transparent)]
    Event(EventError),
    /// An encoding, rate or channel count we cannot decode.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The payload does not fit its encoding.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A tag or custom parameters that would keep more memory than they are worth, for as long as the stream lasts.
    #[error("media event: field \"{field}\" of a start has {length} bytes; the limit is {limit}")]
    TooLong {
        /// Its path, such as `start.tag`.
        field: &'static str,
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More streams than the limit.
    #[error("media event: start of tag {tag:?} would be stream {} of this connection; max_streams is {limit}", limit + 1)]
    TooManyStreams {
        /// The tag of the start that was refused.
        tag: String,
        /// The limit.
        limit: usize,
    },
}

/// What a tick brings, in order.
#[derive(Debug)]
pub enum Output<'a> {
    /// A stream starts playing.
    Started {
        /// Its tag.
        tag: &'a str,
        /// Its encoding.
        encoding: Encoding,
        /// JSON text of its custom parameters.
        custom: Option<&'a str>,
    },
    /// 20 ms of audio.
    Frame {
        /// Tells streams apart, also those of one tag that follow each other.
        key: u64,
        /// Its tag.
        tag: &'a str,
        /// JSON text of its custom parameters.
        custom: Option<&'a str>,
        /// Samples per second.
        rate: u32,
        /// The samples.
        pcm: &'a [i16],
    },
    /// The audio ended, by stop or by silence.
    Ended {
        /// Its tag.
        tag: &'a str,
        /// How much was played.
        duration: Duration,
    },
    /// Audio was thrown away, over a bound. At most once a second for each stream.
    Discarded {
        /// Its tag.
        tag: &'a str,
        /// How much, since the last time.
        duration: Duration,
    },
    /// Speech began or ended in what came in.
    Voice {
        /// Its tag.
        tag: &'a str,
        /// What was found.
        event: VoiceEvent,
    },
    /// A mark was reached by all streams that it was set in.
    Mark(Reached),
    /// The stream is over and will not come back under this key.
    Over {
        /// The key of its frames.
        key: u64,
    },
}

#[derive(Debug)]
struct Entry {
    key: u64,
    /// The same for the two streams that one start has made.
    start: u64,
    /// How much of the stream's tag the sender knows: the rest names the channel.
    sent: usize,
    stream: Stream,
}

impl Entry {
    /// The tag that media and stop of it have.
    fn sent_tag(&self) -> &str {
        self.stream.tag().get(..self.sent).unwrap_or_default()
    }
}

/// The incoming streams of one connection.
#[derive(Debug)]
pub struct Streams {
    /// In order of their starts. Of several with one tag, the first plays and the others wait for it to end.
    entries: Vec<Entry>,
    config: StreamsConfig,
    next_key: u64,
    /// Any time of the grid on which several streams are ticked together, so that they can be mixed.
    grid: Option<Instant>,
    marks: Marks,
    pauses: Pauses,
    past: StreamsCounters,
}

/// Sums over all streams of a connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StreamsCounters {
    /// Chunks taken.
    pub received: u64,
    /// Chunks that never came, by their numbers.
    pub lost: u64,
    /// Chunks dropped because they were there already or too late.
    pub duplicates: u64,
    /// Audio over the bound of the playout buffer, too late, cleared.
    pub discarded: Duration,
    /// Audio made up for chunks that were lost.
    pub concealed: Duration,
    /// For how many gaps.
    pub concealed_gaps: u64,
    /// Audio recovered for lost chunks out of those after them (Opus with FEC).
    pub recovered: Duration,
    /// Audio left out, and put in, to correct the delay.
    pub adjusted: Duration,
    /// Starts that were refused because there were too many streams.
    pub refused: u64,
}

impl StreamsCounters {
    fn add(&mut self, stream: &Stream) {
        let counters = stream.counters();
        self.received += counters.received;
        // Two numbers that a peer makes up are enough for as many as there are.
        self.lost = self.lost.saturating_add(counters.lost);
        self.duplicates += counters.duplicates;
        let rate = f64::from(stream.encoding().sample_rate());
        let time = |samples: u64| Duration::from_secs_f64(samples as f64 / rate);
        self.discarded += time(counters.discarded_samples);
        self.concealed += time(counters.concealed_samples);
        self.concealed_gaps += counters.concealed_gaps;
        self.recovered += time(counters.recovered_samples);
        self.adjusted += time(counters.shortened_samples + counters.lengthened_samples);
    }
}

impl Streams {
    /// No streams yet.
    pub fn new(config: StreamsConfig) -> Self {
        Self {
            entries: Vec::new(),
            config,
            next_key: 0,
            grid: None,
            marks: Marks::default(),
            pauses: Pauses::default(),
            past: StreamsCounters::default(),
        }
    }

    /// Takes one media event that arrived at `now`.
    pub fn apply(&mut self, now: Instant, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal> {
        match event {
            MediaEvent::Start(start) => self.start(now, start),
            MediaEvent::Media(media) => self.media(now, media),
            MediaEvent::Stop(stop) => {
                let mut applied = Applied::Ordinary;
                for stream in self.open(stop.tag.as_deref().unwrap_or_default()) {
                    stream.stop(now);
                    applied = Applied::Audio;
                }
                Ok(applied)
            }
        }
    }

    fn media(&mut self, now: Instant, media: &Media<'_>) -> Result<Applied, MediaRefusal> {
        let tag = media.tag.as_deref().unwrap_or_default();
        if self.open(tag).next().is_none() {
            return Ok(Applied::Ordinary);
        }
        scratch::bytes(|payload| {
            event::decode_payload(&media.payload, payload).map_err(MediaRefusal::Event)?;
            // What one channel refuses the other one refuses, too: they have the same bytes.
            for stream in self.open(tag) {
                stream.push(now, media.chunk, media.timestamp, payload)?;
            }
            Ok(Applied::Audio)
        })
    }

    /// Whether the entry at `index` is the one of its tag that plays.
    fn plays(&self, index: usize) -> bool {
        let tag = self.entries[index].stream.tag();
        !self.entries[..index].iter().any(|e| e.stream.tag() == tag)
    }

    /// When `tick` has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        if let [only] = &*self.entries {
            return only.stream.next_deadline();
        }
        let playing = || {
            (0..self.entries.len()).filter(|&i| self.plays(i)).filter_map(|i| self.entries[i].stream.next_deadline())
        };
        let earliest = playing().min()?;
        // One stream is played at its own deadlines; several share a grid, so that their frames meet for mixing.
        match self.grid {
            Some(grid) if playing().nth(1).is_some() => Some(align(earliest, grid, self.config.stream.frame)),
            _ => Some(earliest),
        }
    }

    /// Plays what is due at `now`: events and frames go to `out`.
    pub fn tick(&mut self, now: Instant, out: &mut impl FnMut(Output<'_>)) {
        // A tick that is a little late does not move the grid: it would fall back further with each.
        let on_time = self.next_deadline().filter(|&at| at <= now && now.duration_since(at) < CATCH_UP);
        self.grid = Some(on_time.unwrap_or(now));
        let mut index = 0;
        while index < self.entries.len() {
            self.tell_marks(index, now, out);
            let due = self.plays(index) && self.entries[index].stream.next_deadline().is_some_and(|d| d <= now);
            if due && scratch::samples(|frame| self.tick_one(index, now, frame, out)) {
                let entry = self.entries.remove(index);
                let mut later = self.entries.iter_mut().map(|entry| &mut entry.stream);
                if let Some(next) = later.find(|stream| stream.tag() == entry.stream.tag()) {
                    next.follow(entry.stream.heard_until());
                }
                self.let_go(entry, out);
            } else {
                index += 1;
            }
        }
    }

    /// True when the stream is over.
    fn tick_one(&mut self, index: usize, now: Instant, frame: &mut Vec<i16>, out: &mut impl FnMut(Output<'_>)) -> bool {
        let Entry { key, stream, .. } = &mut self.entries[index];
        let tick = stream.tick(now, frame);
        tell_voice(stream, out);
        let (tag, encoding, custom) = (stream.tag(), stream.encoding(), stream.custom());
        if let Some(StreamEvent::Started) = tick.event {
            out(Output::Started { tag, encoding, custom });
        }
        if tick.played {
            out(Output::Frame { key: *key, tag, custom, rate: encoding.sample_rate(), pcm: frame });
        }
        match tick.event {
            Some(StreamEvent::Ended { duration }) => out(Output::Ended { tag, duration }),
            Some(StreamEvent::Discarded { duration }) => out(Output::Discarded { tag, duration }),
            Some(StreamEvent::Started) | None => {}
        }
        tick.ended_stream
    }

    /// A stream is over.
    fn let_go(&mut self, mut entry: Entry, out: &mut impl FnMut(Output<'_>)) {
        while let Some((_, part)) = entry.stream.take_last_mark() {
            self.marks.reached(part).into_iter().for_each(|mark| out(Output::Mark(mark)));
        }
        self.past.add(&entry.stream);
        out(Output::Over { key: entry.key });
    }

    /// Drops buffered audio of one tag, or of all: answers how much. What plays goes on with what comes next.
    pub fn clear(&mut self, now: Instant, tag: Option<&str>, out: &mut impl FnMut(Output<'_>)) -> Duration {
        let mut dropped = Duration::ZERO;
        for index in 0..self.entries.len() {
            let stream = &mut self.entries[index].stream;
            if tag.is_none_or(|t| t == stream.tag()) {
                let samples = stream.clear(now);
                dropped += duration_of(samples as u64, stream.encoding().sample_rate());
                self.tell_marks(index, now, out);
            }
        }
        dropped
    }

    /// How much waits to be played: of one tag, or of the tag that has most.
    pub fn buffered(&self, tag: Option<&str>) -> Duration {
        let mut most = Duration::ZERO;
        for (index, entry) in self.entries.iter().enumerate() {
            if tag.is_none_or(|t| t == entry.stream.tag()) && self.plays(index) {
                // What waits behind it under the same tag is played after it.
                let same = self.entries[index..].iter().filter(|e| e.stream.tag() == entry.stream.tag());
                most = most.max(same.map(|e| e.stream.buffered()).sum());
            }
        }
        most
    }

    /// The connection is gone: ends every stream now. What was buffered is not played.
    pub fn finish(&mut self, out: &mut impl FnMut(Output<'_>)) {
        for mut entry in std::mem::take(&mut self.entries) {
            let stream = &mut entry.stream;
            if let Some(duration) = stream.take_discarded() {
                out(Output::Discarded { tag: stream.tag(), duration });
            }
            let ended = stream.abandon();
            tell_voice(stream, out);
            if let Some(duration) = ended {
                out(Output::Ended { tag: stream.tag(), duration });
            }
            self.let_go(entry, out);
        }
    }

    /// Tells of speech in what came in since the last time.
    pub fn tell_voices(&mut self, out: &mut impl FnMut(Output<'_>)) {
        self.entries.iter_mut().for_each(|entry| tell_voice(&mut entry.stream, out));
    }

    /// How loud the last 400 ms were played: of one tag, or of the loudest.
    pub fn level(&self, now: Instant, tag: Option<&str>) -> Option<Level> {
        let streams = self.entries.iter().map(|entry| &entry.stream);
        let streams = streams.filter(|stream| tag.is_none_or(|t| t == stream.tag()));
        streams.filter_map(|stream| stream.level(now)).max_by(|a, b| a.rms.total_cmp(&b.rms))
    }

    /// Sums over all streams there were.
    pub fn counters(&self) -> StreamsCounters {
        let mut sum = self.past;
        for entry in &self.entries {
            sum.add(&entry.stream);
        }
        sum
    }
}

fn tell_voice(stream: &mut Stream, out: &mut impl FnMut(Output<'_>)) {
    while let Some(event) = stream.take_voice() {
        out(Output::Voice { tag: stream.tag(), event });
    }
}

/// The first time on the grid through `anchor` that is not before `at`.
fn align(at: Instant, anchor: Instant, step: Duration) -> Instant {
    let Some(ahead) = at.checked_duration_since(anchor).filter(|d| !d.is_zero()) else { return anchor.max(at) };
    let steps = ahead.as_nanos().div_ceil(step.as_nanos());
    anchor + Duration::from_nanos((steps * step.as_nanos()) as u64)
}

#[cfg(test)]
mod tests;
