//! The target's end of its routes: what several sources send into one stream, or into one unit, is mixed here. A single
//! source goes straight through.
//!
//! A second source starts a clock of 20 ms, on the time of the first: from then on frames wait in a `Feed` each, and a
//! mix is made `GRACE` after its time. When one source is left, what it has waiting is sent at once and the clock stops:
//! no frame is lost on the way in or out, and none is sent twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crate::media::encoding::Encoding;
use crate::media::mixer::Mixer;
use crate::media::scratch;
use crate::net::connection::Delivery;
use crate::net::pacer::{Paced, Slot};
use crate::net::runtime::{Core, lock};
use crate::session::OutStream;

use super::feed::{CATCH_UP, FRAME, Feed, GRACE, IDLE};
use super::{RouteError, RouteFigures, RouteParams, Sink};

/// Where sources of one target meet: by its id and the tag of their routes.
pub(in crate::net) type Junctions = Mutex<HashMap<(u64, String), Weak<Junction>>>;

/// The end of the routes to one target, of one tag.
pub(in crate::net) struct Junction {
    /// Whom a unit is told that mixed audio comes from; also its place among the pacers.
    id: u64,
    core: Arc<Core>,
    sink: Sink,
    tag: String,
    slot: Slot,
    state: Mutex<State>,
}

struct State {
    ports: Vec<Port>,
    out: Out,
    /// The time of the next mix; `None` while frames go straight through.
    next: Option<Instant>,
    mixer: Mixer,
    mixed: Vec<i16>,
    /// The last time anybody told.
    now: Instant,
}

/// Where one route comes in.
struct Port {
    route: u64,
    source: u64,
    feed: Feed,
    /// When it gave the last frame.
    gave: Option<Instant>,
    /// A stream of its source runs.
    open: bool,
    /// The route is gone; what waits is still to be heard.
    leaving: bool,
    /// What a stream that it begins is called.
    tag: String,
    custom: Option<String>,
    played: u64,
}

/// What became of the audio of one route, in samples of the target's rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PortFigures {
    pub(super) played: u64,
    pub(super) discarded: u64,
    pub(super) waiting: usize,
    /// A stream of the source runs.
    pub(super) open: bool,
    /// It is mixed with others.
    pub(super) mixed: bool,
}

/// The outgoing end.
struct Out {
    encoding: Encoding,
    rate: u32,
    /// Only a WebSocket has one.
    stream: Option<OutStream>,
    alive: bool,
}

impl Junction {
    /// The junction that `route` from `source` to `sink` ends in: that which is there, or a new one.
    pub(super) fn join(
        core: &Arc<Core>,
        sink: &Sink,
        params: &RouteParams,
        source: u64,
        route: u64,
    ) -> Result<Arc<Self>, RouteError> {
        let tag = params.tag.clone().unwrap_or_default();
        let junction = if sink.mixes() {
            // No junction is dropped under this lock: the last one to let go of it takes the lock, too.
            let mut junctions = lock(&core.junctions);
            let key = (sink.id(), tag.clone());
            if let Some(junction) = junctions.get(&key).and_then(Weak::upgrade) {
                junction
            } else {
                let junction = Self::new(core, sink, tag, params)?;
                junctions.insert(key, Arc::downgrade(&junction));
                junction
            }
        } else {
            Self::new(core, sink, tag, params)?
        };
        junction.enter(params, source, route)?;
        Ok(junction)
    }

    fn new(core: &Arc<Core>, sink: &Sink, tag: String, params: &RouteParams) -> Result<Arc<Self>, RouteError> {
        Ok(Arc::new(Self {
            id: core.next_id(),
            core: Arc::clone(core),
            sink: sink.clone(),
            tag,
            slot: Slot::new(),
            state: Mutex::new(State {
                ports: Vec::new(),
                out: Out::new(sink, params)?,
                next: None,
                mixer: Mixer::new(),
                mixed: Vec::new(),
                now: Instant::now(),
            }),
        }))
    }

    fn enter(&self, params: &RouteParams, source: u64, route: u64) -> Result<(), RouteError> {
        let mut state = lock(&self.state);
        if state.out.stream.is_some() && state.out.encoding != params.encoding {
            if state.ports.iter().any(|port| !port.leaving) {
                return Err(RouteError::Encoding {
                    tag: self.tag.clone(),
                    is: state.out.encoding.wire_name(),
                    wanted: params.encoding.wire_name(),
                });
            }
            // Only the rest of a route that has ended waits: another stream begins.
            let out = Out::new(&self.sink, params)?;
            state.ports.clear();
            state.settle(self);
            state.out = out;
        }
        state.ports.push(Port {
            route,
            source,
            feed: Feed::default(),
            gave: None,
            open: false,
            leaving: false,
            tag: String::new(),
            custom: None,
            played: 0,
        });
        Ok(())
    }

    /// Samples per second of what is given here.
    pub(super) fn rate(&self) -> u32 {
        lock(&self.state).out.rate
    }

    /// The source of `route` begins to send; a stream that it begins has this tag and these parameters.
    pub(super) fn begin(&self, route: u64, tag: &str, custom: Option<&str>) {
        let mut state = lock(&self.state);
        if let Some(port) = state.port(route) {
            port.open = true;
            tag.clone_into(&mut port.tag);
            port.custom = custom.map(str::to_owned);
        }
    }

    /// Takes 20 ms from `route`. False when the target has gone.
    pub(super) fn give(self: &Arc<Self>, route: u64, now: Instant, pcm: &[i16]) -> bool {
        let mut state = lock(&self.state);
        let state = &mut *state;
        state.now = now;
        let Some(index) = state.ports.iter().position(|port| port.route == route) else { return true };
        if state.next.is_none() {
            let others = state.ports.iter().filter(|port| port.route != route && port.is_heard(now));
            let Some(last) = others.filter_map(|port| port.gave).max() else {
                let port = &mut state.ports[index];
                port.gave = Some(now);
                port.played += pcm.len() as u64;
                let from = port.source;
                state.out.send(&self.sink, from, port, now, pcm);
                return state.out.alive;
            };
            // Those who have been heard are expected on the clock they have.
            for port in state.ports.iter_mut().filter(|port| port.route != route && port.is_heard(now)) {
                port.feed.join();
            }
            let next = now.max(last + FRAME);
            state.next = Some(next);
            self.core.pacer(self.id).schedule(Arc::<Self>::clone(self), next + GRACE);
        }
        let port = &mut state.ports[index];
        port.gave = Some(now);
        port.feed.push(now, pcm);
        state.out.alive
    }

    /// The source of `route` sends nothing more, for now.
    pub(super) fn over(&self, route: u64) {
        let mut state = lock(&self.state);
        if let Some(port) = state.port(route) {
            port.open = false;
            state.settle(self);
        }
    }

    /// The route ends; what it has given is still heard. Answers what became of its audio.
    pub(super) fn leave(&self, route: u64) -> RouteFigures {
        let mut state = lock(&self.state);
        let mut figures = state.figures(route);
        // What waits will be played.
        figures.played += std::mem::take(&mut figures.waiting) as u64;
        figures.open = false;
        if let Some(port) = state.port(route) {
            (port.open, port.leaving) = (false, true);
            state.settle(self);
        }
        RouteFigures::new(route, state.out.rate, figures)
    }

    /// What became of the audio of a route so far.
    pub(super) fn figures(&self, route: u64) -> RouteFigures {
        let state = lock(&self.state);
        RouteFigures::new(route, state.out.rate, state.figures(route))
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }
}

impl Paced for Junction {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let due = state.next?;
        if due + GRACE > now {
            return Some(due + GRACE);
        }
        let due = if now.saturating_duration_since(due + GRACE) >= CATCH_UP { now } else { due };
        state.now = now;
        state.mix(self, due);
        state.next = Some(due + FRAME);
        state.settle(self);
        state.next.map(|next| next + GRACE)
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for Junction {
    fn drop(&mut self) {
        if self.sink.mixes() {
            let mut junctions = lock(&self.core.junctions);
            let key = (self.sink.id(), std::mem::take(&mut self.tag));
            if junctions.get(&key).is_some_and(|junction| junction.strong_count() == 0) {
                junctions.remove(&key);
            }
        }
    }
}

impl Port {
    /// Whether it has audio, or will have some in a moment.
    fn is_heard(&self, now: Instant) -> bool {
        let recent = self.gave.is_some_and(|gave| now.saturating_duration_since(gave) < IDLE);
        !self.feed.is_empty() || (self.open && recent)
    }
}

impl State {
    fn port(&mut self, route: u64) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.route == route)
    }

    fn figures(&self, route: u64) -> PortFigures {
        let Some(port) = self.ports.iter().find(|port| port.route == route) else { return PortFigures::default() };
        PortFigures {
            played: port.played,
            discarded: port.feed.discarded(),
            waiting: port.feed.samples(),
            open: port.open,
            mixed: self.next.is_some() && port.is_heard(self.now),
        }
    }

    /// Sends the mix whose time is `due`.
    fn mix(&mut self, junction: &Junction, due: Instant) {
        let mut sources = 0;
        for port in &mut self.ports {
            if let Some(samples) = port.feed.take(due, |pcm| self.mixer.add(pcm)) {
                port.played += samples as u64;
                sources += 1;
            }
        }
        self.mixed.clear();
        self.mixer.take_into(&mut self.mixed);
        if sources > 0
            && let Some(port) = self.ports.iter().find(|port| port.gave.is_some())
        {
            self.out.send(&junction.sink, junction.id, port, due, &self.mixed);
        }
    }

    /// After a change of who is heard: back to straight through when it is one, the end of the stream when it is none.
    fn settle(&mut self, junction: &Junction) {
        let now = self.now;
        if self.next.is_some() && self.ports.iter().filter(|port| port.is_heard(now)).nth(1).is_none() {
            self.next = None;
            for index in 0..self.ports.len() {
                let mut feed = std::mem::take(&mut self.ports[index].feed);
                feed.drain(|pcm| {
                    let port = &mut self.ports[index];
                    port.played += pcm.len() as u64;
                    self.out.send(&junction.sink, port.source, port, now, pcm);
                });
                self.ports[index].feed = feed;
            }
        }
        self.ports.retain(|port| !port.leaving || !port.feed.is_empty());
        if !self.ports.iter().any(|port| port.open || !port.feed.is_empty()) {
            self.next = None;
            self.out.stop(&junction.sink);
        }
    }
}

impl Out {
    fn new(sink: &Sink, params: &RouteParams) -> Result<Self, RouteError> {
        let (rate, stream) = match sink {
            Sink::Socket(_) => (params.encoding.sample_rate(), Some(OutStream::new(params.encoding, params.opus)?)),
            Sink::Unit(unit) => (unit.rate(), None),
        };
        Ok(Self { encoding: params.encoding, rate, stream, alive: true })
    }

    /// Sends 20 ms that are heard at `now`; a stream that they begin is called as `port` says.
    fn send(&mut self, sink: &Sink, from: u64, port: &Port, now: Instant, pcm: &[i16]) {
        let Self { rate, stream, alive, .. } = self;
        match (sink, stream) {
            (Sink::Unit(unit), _) => *alive = unit.frame(from, now, pcm),
            (Sink::Socket(connection), Some(stream)) => scratch::bytes(|json| {
                if !stream.is_running() {
                    stream.start(&port.tag, port.custom.as_deref(), json);
                    if connection.send_media(json, None) == Delivery::Gone {
                        *alive = false;
                        return;
                    }
                }
                stream.media(pcm, json, |json, samples| {
                    *alive &= connection.send_media(json, Some((samples, *rate))) != Delivery::Gone;
                });
            }),
            (Sink::Socket(_), None) => {}
        }
    }

    fn stop(&mut self, sink: &Sink) {
        let Self { rate, stream, .. } = self;
        if let (Sink::Socket(connection), Some(stream)) = (sink, stream)
            && stream.is_running()
        {
            scratch::bytes(|json| {
                stream.stop(json, |json, samples| {
                    connection.send_media(json, (samples > 0).then_some((samples, *rate)));
                });
            });
        }
    }
}

#[cfg(test)]
mod tests;
