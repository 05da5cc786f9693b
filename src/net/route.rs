//! The routes of one source: to whom its audio goes, converted to what each of them wants.
//! A source (a connection, a player, an audio unit) ticks; its frames come here and leave for every `Leg`, which ends in
//! the `Junction` of its target.

mod feed;
mod junction;
mod leg;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::media::encoding::Encoding;
use crate::media::opus::{EncoderConfig, OpusError};
use crate::media::resample::UnsupportedRate;

use super::connection::Connection;
use super::runtime::{self, lock};

pub(super) use junction::Junctions;
use leg::Leg;

/// Something that takes audio as samples: a recorder, an audio unit. A WebSocket takes media streams instead.
pub trait MediaSink: Send + Sync {
    /// Tells targets apart; ids are unique in a process.
    fn id(&self) -> u64;

    /// Samples per second of the frames that it wants.
    fn rate(&self) -> u32;

    /// Whether several sources are mixed before they come here; else each frame comes as it was sent.
    fn mixes(&self) -> bool {
        true
    }

    /// Takes 20 ms from the source `from` (of mixed audio: an id that no source has), heard at `now`. False when it takes
    /// nothing any more. Nothing may be locked here under which audio is sent: routes may go in circles.
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

    /// Whether sources meet there.
    fn mixes(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Unit(unit) => unit.mixes(),
        }
    }

    fn id(&self) -> u64 {
        match self {
            Self::Socket(connection) => connection.id(),
            Self::Unit(unit) => unit.id(),
        }
    }
}

/// How audio is sent along a route (`SendMediaParameters` of `VoxEngine`).
#[derive(Debug, Clone, PartialEq)]
pub struct RouteParams {
    /// Encoding of the outgoing stream; only a WebSocket has one.
    pub encoding: Encoding,
    /// How Opus is made, if that is the encoding.
    pub opus: EncoderConfig,
    /// Its tag; `None` takes over the tag of the stream that is sent on.
    pub tag: Option<String>,
    /// JSON text of its custom parameters; `None` takes over those of the stream that is sent on.
    pub custom: Option<String>,
    /// How much louder it gets, in dB; minus infinity is silence.
    pub gain: f32,
}

impl Default for RouteParams {
    fn default() -> Self {
        let encoding = Encoding::pcm16(8000);
        Self { encoding, opus: EncoderConfig::default(), tag: None, custom: None, gain: 0.0 }
    }
}

impl RouteParams {
    /// What samples are multiplied with.
    fn factor(&self) -> f32 {
        10_f32.powf(self.gain / 20.0)
    }
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
    /// Sources that are mixed into one stream share its encoding.
    #[error(
        "another source sends to this WebSocket with tag {tag:?} as {is}, and both are mixed into one stream: \
         it cannot be {wanted} at the same time; use {is} for both, or another tag"
    )]
    Encoding {
        /// The tag of the routes.
        tag: String,
        /// The encoding of the stream.
        is: &'static str,
        /// The encoding of the route that was refused.
        wanted: &'static str,
    },
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
    legs: Mutex<Legs>,
}

#[derive(Default)]
struct Legs {
    all: Vec<Leg>,
    /// The source is gone, and so are its routes.
    closed: bool,
}

impl Fanout {
    /// Adds a route, or replaces the one to the same sink with the same tag.
    fn add(&self, source: u64, sink: Sink, params: RouteParams) -> Result<(), RouteError> {
        let Some(core) = runtime::current() else { return Ok(()) };
        let mut legs = lock(&self.legs);
        if sink.is_closed() || legs.closed {
            // As `send` after the end: the application will hear of it in order, and may be just about to.
            return Ok(());
        }
        // A source that is silent for long never finds out by itself that a target has gone.
        legs.end_if(|leg| !leg.is_alive());
        if let Some(old) = legs.all.iter().position(|leg| leg.is_to(&sink, params.tag.as_deref())) {
            if legs.all[old].adopt(&params) {
                return Ok(());
            }
            legs.all.remove(old).end();
        }
        legs.all.push(Leg::new(&core, source, sink, params)?);
        Ok(())
    }

    /// Removes the routes to `sink`: that with this tag, or all.
    fn remove(&self, sink: &Sink, tag: Option<&str>) {
        lock(&self.legs).end_if(|leg| if tag.is_some() { leg.is_to(sink, tag) } else { leg.ends_at(sink) });
    }

    /// Takes one frame of one stream of this source.
    pub(super) fn frame(&self, origin: Origin<'_>, pcm: &[i16]) {
        for leg in &mut lock(&self.legs).all {
            leg.take(origin, pcm);
        }
    }

    /// Sends what `frame` brought since the last time, mixed; routes whose target has gone are taken down.
    pub(super) fn flush(&self, now: Instant) {
        lock(&self.legs).end_if(|leg| !leg.send(now));
    }

    /// A stream of this source is over: a target that got nothing else is told so.
    pub(super) fn over(&self, key: u64) {
        for leg in &mut lock(&self.legs).all {
            leg.over(key);
        }
    }

    /// The source is gone: every outgoing stream ends.
    pub(super) fn close(&self) {
        let mut legs = lock(&self.legs);
        legs.closed = true;
        legs.end_if(|_| true);
    }
}

impl Legs {
    fn end_if(&mut self, gone: impl FnMut(&mut Leg) -> bool) {
        for leg in self.all.extract_if(.., gone) {
            leg.end();
        }
    }
}
