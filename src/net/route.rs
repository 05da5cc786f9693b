//! The routes of one source: to whom its audio goes, converted to what each of them wants.
//! A source (a connection, a player, an audio unit) ticks; its frames come here and leave for every `Leg`, which ends in
//! the `Junction` of its target.

mod feed;
mod junction;
mod leg;
mod table;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::media::encoding::Encoding;
use crate::media::opus::{EncoderConfig, OpusError};
use crate::media::resample::UnsupportedRate;

use super::connection::Connection;
use super::mailbox::{Mailbox, Notice};
use super::runtime::{self, lock};

pub(super) use feed::{CATCH_UP, FRAME, Feed, GRACE};
pub(super) use junction::Junctions;
use leg::Leg;
use table::Entry;
pub use table::RouteFigures;
pub(super) use table::Table;

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

    /// Whether it takes nothing any more.
    fn is_closed(&self) -> bool;

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
        match self {
            Self::Socket(connection) => connection.is_closed(),
            Self::Unit(unit) => unit.is_closed(),
        }
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
    /// Only the source's streams of this tag go this way; `None`: all.
    pub source_tag: Option<String>,
}

impl Default for RouteParams {
    fn default() -> Self {
        let encoding = Encoding::pcm16(8000);
        Self { encoding, opus: EncoderConfig::default(), tag: None, custom: None, gain: 0.0, source_tag: None }
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

/// Why a route ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteEnd {
    /// `unroute` was called.
    Stopped,
    /// Another one with the same ends and tag took its place.
    Replaced,
    /// The source is gone.
    Source,
    /// The target is gone.
    Target,
}

/// Something that audio comes from: a connection, a player, an audio unit.
pub trait Source {
    /// Its routes.
    fn fanout(&self) -> &Fanout;

    /// Its id: that under which its routes report, and under which a target knows it.
    fn source_id(&self) -> u64 {
        self.fanout().0.id
    }

    /// Adds a route to `sink`, or changes or replaces the one with the same tag. Answers its id; `None` when one of the two
    /// is gone, and there is no route.
    fn route(&self, sink: Sink, params: RouteParams) -> Result<Option<u64>, RouteError> {
        self.fanout().route(sink, params)
    }

    /// Removes the routes to `sink`: all, or those with this tag, and of them those for this tag of the source.
    fn unroute(&self, sink: &Sink, tag: Option<&str>, source_tag: Option<&str>) {
        self.fanout().0.end_if(RouteEnd::Stopped, |leg| {
            let meant = if tag.is_some() { leg.is_to(sink, tag) } else { leg.sink_id() == sink.id() };
            meant && (source_tag.is_none() || leg.source_tag() == source_tag)
        });
    }
}

/// All routes of one source.
pub struct Fanout(Arc<Inner>);

pub(super) struct Inner {
    id: u64,
    /// Hears of routes that have ended, under the id of the source.
    mailbox: Arc<dyn Mailbox>,
    legs: Mutex<Legs>,
}

#[derive(Default)]
struct Legs {
    all: Vec<Leg>,
    /// The source is gone, and so are its routes.
    closed: bool,
}

impl Fanout {
    /// None yet, of the source with this id.
    pub(super) fn new(id: u64, mailbox: Arc<dyn Mailbox>) -> Self {
        Self(Arc::new(Inner { id, mailbox, legs: Mutex::default() }))
    }

    /// Adds a route, for `Source::route`.
    pub(super) fn route(&self, sink: Sink, params: RouteParams) -> Result<Option<u64>, RouteError> {
        if let Sink::Socket(connection) = &sink {
            // A connection with audio does not wait for its loop.
            connection.leave_loop();
        }
        self.0.add(sink, params)
    }

    /// Takes one frame of one stream of this source.
    pub(super) fn frame(&self, origin: Origin<'_>, pcm: &[i16]) {
        for leg in &mut lock(&self.0.legs).all {
            leg.take(origin, pcm);
        }
    }

    /// The same where each target gets another one: `make` appends that for the target with this id to what is empty.
    pub(super) fn frame_for(&self, origin: Origin<'_>, pcm: &mut Vec<i16>, mut make: impl FnMut(u64, &mut Vec<i16>)) {
        for leg in &mut lock(&self.0.legs).all {
            pcm.clear();
            make(leg.sink_id(), pcm);
            leg.take(origin, pcm);
        }
    }

    /// Sends what `frame` brought since the last time, mixed; routes whose target has gone are taken down.
    pub(super) fn flush(&self, now: Instant) {
        self.0.end_if(RouteEnd::Target, |leg| !leg.send(now));
    }

    /// A stream of this source is over: a target that got nothing else is told so.
    pub(super) fn over(&self, key: u64) {
        for leg in &mut lock(&self.0.legs).all {
            leg.over(key);
        }
    }

    /// The source is gone: every outgoing stream ends.
    pub(super) fn close(&self) {
        lock(&self.0.legs).closed = true;
        self.0.end_if(RouteEnd::Source, |_| true);
    }
}

impl Inner {
    fn add(self: &Arc<Self>, sink: Sink, params: RouteParams) -> Result<Option<u64>, RouteError> {
        let Some(core) = runtime::current() else { return Ok(None) };
        let mut legs = lock(&self.legs);
        if sink.is_closed() || legs.closed {
            // As `send` after the end: the application will hear of it in order, and may be just about to.
            return Ok(None);
        }
        if let Some(old) = legs.all.iter().position(|leg| leg.is_to(&sink, params.tag.as_deref())) {
            if legs.all[old].adopt(&params) {
                return Ok(Some(legs.all[old].id()));
            }
            self.end(legs.all.remove(old), RouteEnd::Replaced);
        }
        let leg = Leg::new(&core, self.id, sink, params)?;
        let id = leg.id();
        let entry = Entry { source: Arc::downgrade(self), sink: leg.sink_id(), junction: leg.junction() };
        core.routes.add(id, entry);
        if leg.is_alive() {
            legs.all.push(leg);
            Ok(Some(id))
        } else {
            // It went away meanwhile, and may have looked for its routes before this one was there.
            leg.end();
            Ok(None)
        }
    }

    /// Ends the routes that `gone` names.
    fn end_if(&self, why: RouteEnd, gone: impl FnMut(&mut Leg) -> bool) {
        let mut legs = lock(&self.legs);
        for leg in legs.all.extract_if(.., gone) {
            self.end(leg, why);
        }
    }

    fn end(&self, leg: Leg, why: RouteEnd) {
        let figures = leg.end();
        self.mailbox.post_one(self.id, Notice::RouteEnded { why, figures });
    }
}
