//! One route, at the source's end: its streams, converted to the target's rate and added up. The target's is `junction`.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::media::mixer::{Mixer, amplify};
use crate::media::resample::Resampler;
use crate::media::scratch;
use crate::net::runtime::Core;

use super::junction::Junction;
use super::{Origin, RouteError, RouteFigures, RouteParams, Sink};

/// One stream of the source on its way to one target.
struct Input {
    key: u64,
    resampler: Resampler,
}

/// One route.
pub(super) struct Leg {
    id: u64,
    sink: Sink,
    params: RouteParams,
    /// The factor of its gain, and of that which the last frame had.
    factor: f32,
    before: f32,
    rate: u32,
    junction: Arc<Junction>,
    inputs: Vec<Input>,
    mixer: Mixer,
    /// Streams that gave a frame since the last `send`.
    gave: usize,
    pcm: Vec<i16>,
}

impl Leg {
    pub(super) fn new(core: &Arc<Core>, source: u64, sink: Sink, params: RouteParams) -> Result<Self, RouteError> {
        let id = core.next_id();
        let junction = Junction::join(core, &sink, &params, source, id)?;
        let factor = params.factor();
        Ok(Self {
            id,
            sink,
            factor,
            before: factor,
            rate: junction.rate(),
            junction,
            params,
            inputs: Vec::new(),
            mixer: Mixer::default(),
            gave: 0,
            pcm: Vec::new(),
        })
    }

    /// Whether it goes there, with this tag.
    pub(super) fn is_to(&self, sink: &Sink, tag: Option<&str>) -> bool {
        self.sink.id() == sink.id() && (self.params.tag.as_deref() == tag || matches!(sink, Sink::Unit(_)))
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn sink_id(&self) -> u64 {
        self.sink.id()
    }

    /// The only tag of the source that goes this way; `None`: all do.
    pub(super) fn source_tag(&self) -> Option<&str> {
        self.params.source_tag.as_deref()
    }

    pub(super) fn junction(&self) -> Weak<Junction> {
        Arc::downgrade(&self.junction)
    }

    /// Takes these parameters if nothing has to begin anew for them: another gain.
    pub(super) fn adopt(&mut self, params: &RouteParams) -> bool {
        let same = RouteParams { gain: self.params.gain, ..params.clone() } == self.params;
        if same {
            self.params.gain = params.gain;
            self.factor = params.factor();
        }
        same
    }

    pub(super) fn take(&mut self, origin: Origin<'_>, pcm: &[i16]) {
        if self.source_tag().is_some_and(|tag| tag != origin.tag) {
            return;
        }
        let Some(index) = self.input(origin) else { return };
        self.gave += 1;
        if self.gave == 1 {
            self.pcm.clear();
            self.inputs[index].resampler.process_into(pcm, &mut self.pcm);
            return;
        }
        // One stream is the rule; only a second one makes a mix of it.
        if self.gave == 2 {
            self.mixer.add(&self.pcm);
        }
        scratch::samples(|converted| {
            self.inputs[index].resampler.process_into(pcm, converted);
            self.mixer.add(converted);
        });
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
            let tag = self.params.tag.as_deref().unwrap_or(origin.tag);
            self.junction.begin(self.id, tag, self.params.custom.as_deref().or(origin.custom));
        }
        self.inputs.push(Input { key: origin.key, resampler });
        Some(self.inputs.len() - 1)
    }

    /// False when the target has gone.
    pub(super) fn send(&mut self, now: Instant) -> bool {
        match std::mem::take(&mut self.gave) {
            0 => return self.is_alive(),
            1 => {}
            _ => {
                self.pcm.clear();
                self.mixer.take_into(&mut self.pcm);
            }
        }
        if self.pcm.is_empty() {
            return self.is_alive();
        }
        amplify(&mut self.pcm, std::mem::replace(&mut self.before, self.factor), self.factor);
        self.junction.give(self.id, now, &self.pcm)
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.sink.is_closed()
    }

    pub(super) fn over(&mut self, key: u64) {
        let running = !self.inputs.is_empty();
        self.inputs.retain(|input| input.key != key);
        if running && self.inputs.is_empty() {
            self.junction.over(self.id);
        }
    }

    /// Takes it down; answers what became of its audio.
    pub(super) fn end(self) -> RouteFigures {
        self.junction.core().routes.remove(self.id);
        self.junction.leave(self.id)
    }
}
