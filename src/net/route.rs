//! The routes of one source: to whom its audio goes, converted to what each of them wants.
//! A source (a connection, a player, an audio unit) ticks; its frames come here and leave for every leg.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::media::encoding::Encoding;
use crate::media::mixer::Mixer;
use crate::media::opus::{EncoderConfig, OpusError};
use crate::media::resample::{Resampler, UnsupportedRate};
use crate::session::OutStream;

use super::connection::{Connection, Delivery};
use super::runtime::lock;

/// Something that takes audio as samples: a recorder, an audio unit. A WebSocket takes media streams instead.
pub trait MediaSink: Send + Sync {
    /// Tells targets apart; ids are unique in a process.
    fn id(&self) -> u64;

    /// Samples per second of the frames that it wants.
    fn rate(&self) -> u32;

    /// Takes 20 ms from the source `from`, heard at `now`. False when it takes nothing any more.
    fn frame(&self, from: u64, now: Instant, pcm: &[i16]) -> bool;
}

/// Somewhere audio can go.
#[derive(Clone)]
pub enum Sink {
    /// Into a WebSocket, as a media stream.
    Socket(Arc<Connection>),
    /// Into a media unit, as samples.
    Unit(Arc<dyn MediaSink>),
}

impl Sink {
    /// Whether nothing can arrive there any more.
    fn is_closed(&self) -> bool {
        matches!(self, Self::Socket(connection) if connection.is_closed())
    }

    fn id(&self) -> u64 {
        match self {
            Self::Socket(connection) => connection.id(),
            Self::Unit(unit) => unit.id(),
        }
    }
}

/// How audio is sent along a route (`SendMediaParameters` of `VoxEngine`).
#[derive(Debug, Clone)]
pub struct RouteParams {
    /// Encoding of the outgoing stream; only a WebSocket has one.
    pub encoding: Encoding,
    /// How Opus is made, if that is the encoding.
    pub opus: EncoderConfig,
    /// Its tag; `None` takes over the tag of the stream that is sent on.
    pub tag: Option<String>,
    /// JSON text of its custom parameters; `None` takes over those of the stream that is sent on.
    pub custom: Option<String>,
}

/// Why a route cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No conversion between the rates.
    #[error(transparent)]
    Rate(#[from] UnsupportedRate),
    /// No encoder for what is to be sent.
    #[error(transparent)]
    Encoder(#[from] OpusError),
    /// Two sources would feed one outgoing stream.
    #[error("another source already sends to this WebSocket with tag {0:?}; give each route a tag of its own")]
    TagTaken(String),
}

/// What a frame belongs to, as its source knows it.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// Tells the streams of a source apart.
    pub(super) key: u64,
    pub(super) tag: &'a str,
    pub(super) custom: Option<&'a str>,
    pub(super) rate: u32,
}

/// Something that audio comes from: a connection, a player, an audio unit.
pub trait Source {
    /// Its id, under which it claims tags at its targets.
    fn source_id(&self) -> u64;
    /// Its routes.
    fn fanout(&self) -> &Fanout;

    /// Adds a route to `sink`, or replaces the one with the same tag.
    fn route(&self, sink: Sink, params: RouteParams) -> Result<(), RouteError> {
        self.fanout().add(self.source_id(), sink, params)
    }

    /// Removes the routes to `sink` with this tag, or all.
    fn unroute(&self, sink: &Sink, tag: Option<&str>) {
        self.fanout().remove(sink, tag);
    }
}

/// All routes of one source.
#[derive(Default)]
pub struct Fanout {
    legs: Mutex<Vec<Leg>>,
    /// The source is gone, and so are its routes. Read and written with the legs locked.
    closed: AtomicBool,
}

impl Fanout {
    /// Adds a route, or replaces the one to the same sink with the same tag.
    fn add(&self, source: u64, sink: Sink, params: RouteParams) -> Result<(), RouteError> {
        let mut legs = lock(&self.legs);
        if sink.is_closed() || self.closed.load(Ordering::Relaxed) {
            // As `send` after the end: the application will hear of it in order, and may be just about to.
            return Ok(());
        }
        // A source that is silent for long never finds out by itself that a target has gone.
        legs.retain(Leg::is_alive);
        if let Some(old) = legs.iter().position(|leg| leg.sink.id() == sink.id() && leg.params.tag == params.tag) {
            legs.remove(old).end();
        }
        legs.push(Leg::new(source, sink, params)?);
        Ok(())
    }

    /// Removes the routes to `sink`: that with this tag, or all.
    fn remove(&self, sink: &Sink, tag: Option<&str>) {
        let mut legs = lock(&self.legs);
        let gone = |leg: &mut Leg| leg.sink.id() == sink.id() && (tag.is_none() || leg.params.tag.as_deref() == tag);
        for leg in legs.extract_if(.., gone) {
            leg.end();
        }
    }

    /// Takes one frame of one stream of this source.
    pub(super) fn frame(&self, origin: Origin<'_>, pcm: &[i16]) {
        for leg in lock(&self.legs).iter_mut() {
            leg.take(origin, pcm);
        }
    }

    /// Sends what `frame` brought since the last time, mixed; routes whose target has gone are taken down.
    pub(super) fn flush(&self, now: Instant) {
        lock(&self.legs).retain_mut(|leg| leg.send(now));
    }

    /// A stream of this source is over: a target that got nothing else is told so.
    pub(super) fn over(&self, key: u64) {
        for leg in lock(&self.legs).iter_mut() {
            leg.over(key);
        }
    }

    /// The source is gone: every outgoing stream ends.
    pub(super) fn close(&self) {
        let mut legs = lock(&self.legs);
        self.closed.store(true, Ordering::Relaxed);
        for leg in legs.drain(..) {
            leg.end();
        }
    }
}

/// One stream of the source on its way to one target.
struct Input {
    key: u64,
    resampler: Resampler,
}

/// One route.
struct Leg {
    sink: Sink,
    params: RouteParams,
    /// The source it belongs to: what it claimed at the target is given back under this id.
    source: u64,
    rate: u32,
    inputs: Vec<Input>,
    mixer: Mixer,
    /// Streams that gave a frame since the last `send`.
    gave: usize,
    pcm: Vec<i16>,
    converted: Vec<i16>,
    stream: OutStream,
    tag: String,
    custom: Option<String>,
    json: Vec<u8>,
}

impl Leg {
    fn new(source: u64, sink: Sink, params: RouteParams) -> Result<Self, RouteError> {
        // What can fail comes before what is claimed.
        let stream = OutStream::new(params.encoding, params.opus)?;
        let rate = match &sink {
            Sink::Socket(connection) => {
                connection.claim_tag(params.tag.as_deref().unwrap_or_default(), source)?;
                params.encoding.sample_rate()
            }
            Sink::Unit(unit) => unit.rate(),
        };
        Ok(Self {
            sink,
            stream,
            params,
            source,
            rate,
            inputs: Vec::new(),
            mixer: Mixer::default(),
            gave: 0,
            pcm: Vec::new(),
            converted: Vec::new(),
            tag: String::new(),
            custom: None,
            json: Vec::new(),
        })
    }

    fn take(&mut self, origin: Origin<'_>, pcm: &[i16]) {
        let Some(index) = self.input(origin) else { return };
        self.converted.clear();
        self.inputs[index].resampler.process_into(pcm, &mut self.converted);
        self.gave += 1;
        match self.gave {
            1 => std::mem::swap(&mut self.pcm, &mut self.converted),
            // One stream is the rule; only a second one makes a mix of it.
            2 => {
                self.mixer.add(&self.pcm);
                self.mixer.add(&self.converted);
            }
            _ => self.mixer.add(&self.converted),
        }
    }

    /// The input of a stream, made when it is new.
    fn input(&mut self, origin: Origin<'_>) -> Option<usize> {
        if let Some(index) = self.inputs.iter().position(|input| input.key == origin.key) {
            return Some(index);
        }
        // The rates of sources and targets are checked where they are made; one that cannot be converted has been
        // refused there.
        let mut resampler = Resampler::new(origin.rate, self.rate).ok()?;
        // 20 ms in, 20 ms out, each time.
        resampler.prime();
        if self.inputs.is_empty() {
            self.tag = self.params.tag.clone().unwrap_or_else(|| origin.tag.to_owned());
            self.custom = self.params.custom.clone().or_else(|| origin.custom.map(str::to_owned));
        }
        self.inputs.push(Input { key: origin.key, resampler });
        Some(self.inputs.len() - 1)
    }

    /// False when the target has gone.
    fn send(&mut self, now: Instant) -> bool {
        match std::mem::take(&mut self.gave) {
            0 => return self.is_alive(),
            1 => {}
            _ => self.mixer.take_into(&mut self.pcm),
        }
        if self.pcm.is_empty() {
            return self.is_alive();
        }
        match &self.sink {
            Sink::Unit(unit) => unit.frame(self.source, now, &self.pcm),
            Sink::Socket(connection) => {
                if !self.stream.is_running() {
                    self.json.clear();
                    self.stream.start(&self.tag, self.custom.as_deref(), &mut self.json);
                    if connection.send_media(&self.json, None) == Delivery::Gone {
                        return false;
                    }
                }
                let (rate, mut alive) = (self.rate, true);
                self.stream.media(&self.pcm, &mut self.json, |json, samples| {
                    alive &= connection.send_media(json, Some((samples, rate))) != Delivery::Gone;
                });
                alive
            }
        }
    }

    fn is_alive(&self) -> bool {
        !self.sink.is_closed()
    }

    fn over(&mut self, key: u64) {
        self.inputs.retain(|input| input.key != key);
        if self.inputs.is_empty() {
            self.stop();
        }
    }

    fn stop(&mut self) {
        if let Sink::Socket(connection) = &self.sink
            && self.stream.is_running()
        {
            let rate = self.rate;
            self.stream.stop(&mut self.json, |json, samples| {
                connection.send_media(json, (samples > 0).then_some((samples, rate)));
            });
        }
    }

    fn end(mut self) {
        self.stop();
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        if let Sink::Socket(connection) = &self.sink {
            connection.release_tag(self.params.tag.as_deref().unwrap_or_default(), self.source);
        }
    }
}
