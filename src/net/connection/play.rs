//! Audio of a connection: what arrives is played into its routes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::media::level::Level;
use crate::media::stream::{Reached, TooManyMarks};
use crate::net::mailbox::Notice;
use crate::net::pacer::{Paced, Slot};
use crate::net::route::{Fanout, Origin, RouteError, RouteParams, Sink, Source};
use crate::net::runtime::lock;
use crate::session::Output;

use super::Connection;

impl Connection {
    /// Drops buffered incoming audio of one tag, or of all; answers how much.
    pub fn clear_media(self: &Arc<Self>, tag: Option<&str>) -> Duration {
        let Some(streams) = &self.streams else { return Duration::ZERO };
        let (now, mut notices) = (Instant::now(), Vec::new());
        let mut streams = lock(streams);
        let dropped = streams.clear(now, tag, &mut |output| self.play(now, &output, &mut notices));
        self.post(&mut notices);
        let deadline = streams.next_deadline();
        drop(streams);
        self.schedule(deadline);
        dropped
    }

    /// How loud incoming audio was in the last 400 ms: of one tag, or of the loudest.
    pub fn media_level(&self, tag: Option<&str>) -> Option<Level> {
        lock(self.streams.as_ref()?).level(Instant::now(), tag)
    }

    /// Pauses incoming audio, of one tag or all, or has it go on.
    pub fn pause_media(self: &Arc<Self>, tag: Option<&str>, paused: bool) {
        let Some(streams) = &self.streams else { return };
        let mut streams = lock(streams);
        streams.pause(Instant::now(), tag, paused);
        let deadline = streams.next_deadline();
        drop(streams);
        self.schedule(deadline);
    }

    /// Marks the end of the incoming audio that is buffered: of one tag, or of all. `Notice::Mark` brings the id back.
    pub fn mark_media(self: &Arc<Self>, tag: Option<&str>, id: u64) -> Result<(), TooManyMarks> {
        let now = Instant::now();
        if let Some(streams) = &self.streams {
            let mut streams = lock(streams);
            if streams.mark(now, tag, id)? {
                let deadline = streams.next_deadline();
                drop(streams);
                self.schedule(deadline);
                return Ok(());
            }
        }
        // Of a connection that has just ended the audio was dropped; whoever hears of its end knows that of its marks.
        if !self.is_closed() {
            self.post(&mut vec![Notice::Mark(Reached { id, played: true })]);
        }
        Ok(())
    }

    /// How much incoming audio waits to be played: of one tag, or of the tag that has most.
    pub fn buffered_media(&self, tag: Option<&str>) -> Duration {
        self.streams.as_ref().map_or(Duration::ZERO, |streams| lock(streams).buffered(tag))
    }

    /// The streams have something to play at `at`.
    pub(in crate::net) fn schedule(self: &Arc<Self>, at: Option<Instant>) {
        if let Some(at) = at {
            self.core.pacer(self.id).schedule(Arc::<Self>::clone(self), at);
        }
    }

    pub(in crate::net) fn play(&self, now: Instant, output: &Output<'_>, notices: &mut Vec<Notice>) {
        match *output {
            Output::Started { tag, encoding, custom } => notices.push(Notice::MediaStarted {
                tag: tag.to_owned(),
                encoding: encoding.name(),
                custom: custom.map(str::to_owned),
            }),
            Output::Frame { key, tag, custom, rate, pcm } => {
                self.fanout.frame(Origin { key, tag, custom, rate }, pcm);
            }
            Output::Ended { tag, duration } => notices.push(Notice::MediaEnded { tag: tag.to_owned(), duration }),
            Output::Discarded { tag, duration } => {
                notices.push(Notice::MediaDiscarded { tag: tag.to_owned(), duration });
            }
            Output::Voice { tag, event } => notices.push(Notice::Voice { tag: tag.to_owned(), event }),
            Output::Mark(mark) => notices.push(Notice::Mark(mark)),
            Output::Over { key } => {
                self.fanout.flush(now);
                self.fanout.over(key);
            }
        }
    }
}

impl Source for Connection {
    fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    fn route(&self, sink: Sink, params: RouteParams) -> Result<Option<u64>, RouteError> {
        // Its audio does not wait for its loop.
        self.leave_loop();
        self.fanout.route(sink, params)
    }
}

impl Paced for Connection {
    fn tick(&self, now: Instant) -> Option<Instant> {
        self.write_late();
        let streams = self.streams.as_ref()?;
        let mut notices = Vec::new();
        let mut streams = lock(streams);
        if streams.next_deadline().is_none_or(|at| at > now) {
            return streams.next_deadline();
        }
        streams.tick(now, &mut |output| self.play(now, &output, &mut notices));
        self.fanout.flush(now);
        self.post(&mut notices);
        streams.next_deadline()
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
