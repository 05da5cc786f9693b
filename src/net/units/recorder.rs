//! A recorder: writes what is routed to it into a WAV file, in real time. Gaps become silence.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::media::wav;

use crate::net::files::BackgroundFile;
use crate::net::mailbox::{Mailbox, Notice};
use crate::net::route::MediaSink;
use crate::net::runtime::{Core, lock};

/// Writes a WAV file: 16-bit PCM, mono.
pub struct Recorder {
    id: u64,
    rate: u32,
    mailbox: Arc<dyn Mailbox>,
    state: Mutex<State>,
}

struct State {
    file: BackgroundFile,
    /// When the first sample was heard.
    started: Option<Instant>,
    written: u64,
    waiting: Vec<u8>,
    closed: bool,
}

/// A frame later than this after the end of what is written leaves a gap, which is filled; less is jitter of the clock.
const TOLERANCE: Duration = Duration::from_millis(10);

impl Recorder {
    /// Makes the file, with a header that is right for an empty recording.
    pub fn create(core: &Core, mailbox: Arc<dyn Mailbox>, path: &Path, rate: u32) -> std::io::Result<Arc<Self>> {
        let file = core.files.open(File::create(path)?);
        file.append(wav::header(rate, 1, 0).to_vec());
        let state = State { file, started: None, written: 0, waiting: Vec::new(), closed: false };
        let recorder = Arc::new(Self { id: core.next_id(), rate, mailbox, state: Mutex::new(state) });
        core.add_recorder(&recorder);
        Ok(recorder)
    }

    /// How much is recorded.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(lock(&self.state).written as f64 / f64::from(self.rate))
    }

    /// Completes the file; `Notice::Finished` follows. Later calls do nothing.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.closed = true;
        state.write_out(self.rate);
        let (mailbox, id) = (Arc::clone(&self.mailbox), self.id);
        state.file.finish(move |error| mailbox.post_one(id, Notice::Finished(error)));
    }
}

impl MediaSink for Recorder {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        self.rate
    }

    fn frame(&self, _from: u64, now: Instant, pcm: &[i16]) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        let started = *state.started.get_or_insert(now);
        let end = started + Duration::from_secs_f64(state.written as f64 / f64::from(self.rate));
        let gap = now.saturating_duration_since(end);
        if gap > TOLERANCE {
            let silence = (gap.as_secs_f64() * f64::from(self.rate)).round() as usize;
            let length = state.waiting.len() + silence * 2;
            state.waiting.resize(length, 0);
            state.written += silence as u64;
        }
        state.waiting.extend(pcm.iter().flat_map(|s| s.to_le_bytes()));
        state.written += pcm.len() as u64;
        // Once a second, so that a file whose writer is killed can be read up to then.
        if state.waiting.len() >= self.rate as usize * 2 {
            state.write_out(self.rate);
        }
        true
    }
}

impl State {
    fn write_out(&mut self, rate: u32) {
        self.file.append(std::mem::take(&mut self.waiting));
        let bytes = u32::try_from(self.written * 2).unwrap_or(u32::MAX);
        self.file.overwrite_start(wav::header(rate, 1, bytes).to_vec());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}
