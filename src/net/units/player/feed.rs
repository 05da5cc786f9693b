//! What a player plays: bytes from a file, from memory or as they come, decoded a little ahead. Runs on the file thread, apart
//! from `take` and `give`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Mutex;
use std::time::Duration;

use crate::media::samples_in;
use crate::media::sound::{OggLength, SoundFormat, SoundReader};

use crate::net::runtime::lock;

use super::PlayerError;

/// Bytes decoded at a time: few, because a few bytes of Ogg can stand for seconds.
const PIECE: usize = 512;

/// Where the bytes come from.
pub(super) enum Input {
    /// A file that is too large to be kept.
    File(File),
    /// Bytes that are all there.
    Memory(Vec<u8>),
    /// What `give` brings.
    Stream,
}

/// Where the next bytes come from.
enum Next {
    File(File),
    Nowhere,
    Given,
}

/// The decoder's side.
struct Source {
    next: Next,
    /// Bytes that were read, and how many of them were decoded.
    block: Vec<u8>,
    at: usize,
    format: SoundFormat,
    reader: SoundReader,
    /// How often it is still to be played after this time; `None`: for ever.
    again: Option<u64>,
    /// Samples since the beginning.
    this_time: u64,
}

/// The player's side.
#[derive(Default)]
struct Ready {
    pcm: VecDeque<i16>,
    rate: Option<u32>,
    /// There is nothing more than `pcm`.
    ended: bool,
    error: Option<PlayerError>,
}

/// Bytes on their way from `give` to the decoder.
#[derive(Default)]
struct Given {
    pieces: VecDeque<Vec<u8>>,
    ended: bool,
}

pub(super) struct Feed {
    source: Mutex<Source>,
    ready: Mutex<Ready>,
    given: Mutex<Given>,
    ahead: Duration,
}

/// A frame, or why there is none.
pub(super) enum Taken {
    /// So many samples of it are audio; what is missing of the last frame is silence.
    Frame {
        rate: u32,
        samples: usize,
    },
    /// There is none yet.
    Wait,
    End,
}

impl Feed {
    /// `plays`: how often it is played; `None`: for ever. At most `ahead` is decoded before it is played.
    pub(super) fn new(
        input: Input,
        format: SoundFormat,
        plays: Option<u64>,
        ahead: Duration,
    ) -> Result<Self, PlayerError> {
        let reader = SoundReader::new(format)?;
        let ready = Ready { rate: reader.rate(), ..Ready::default() };
        let again = plays.map(|plays| plays.saturating_sub(1));
        let (next, block) = match input {
            Input::File(file) => (Next::File(file), Vec::new()),
            Input::Memory(bytes) => (Next::Nowhere, bytes),
            Input::Stream => (Next::Given, Vec::new()),
        };
        let source = Source { next, block, at: 0, format, reader, again, this_time: 0 };
        Ok(Self { source: Mutex::new(source), ready: Mutex::new(ready), given: Mutex::default(), ahead })
    }

    /// Samples a second, once it is known.
    pub(super) fn rate(&self) -> Option<u32> {
        lock(&self.ready).rate
    }

    /// Takes the next frame, of 20 ms.
    pub(super) fn take(&self, frame: &mut Vec<i16>) -> Taken {
        let mut ready = lock(&self.ready);
        let rate = ready.rate.unwrap_or(8000);
        let length = rate as usize / 50;
        if ready.pcm.len() < length && !ready.ended {
            return Taken::Wait;
        }
        let count = length.min(ready.pcm.len());
        if count == 0 {
            return Taken::End;
        }
        frame.clear();
        frame.extend(ready.pcm.drain(..count));
        // A target counts in frames of 20 ms.
        frame.resize(length, 0);
        Taken::Frame { rate, samples: count }
    }

    /// What went wrong, once all before it was played.
    pub(super) fn error(&self) -> Option<PlayerError> {
        lock(&self.ready).error.take()
    }

    /// Whether a frame or the end can be taken.
    pub(super) fn has_frame(&self) -> bool {
        let ready = lock(&self.ready);
        ready.ended || ready.rate.is_some_and(|rate| ready.pcm.len() >= rate as usize / 50)
    }

    /// Whether it is time to decode more.
    pub(super) fn is_low(&self) -> bool {
        let ready = lock(&self.ready);
        !ready.ended && ready.pcm.len() < self.most(&ready) / 2
    }

    /// Whether more bytes are wanted: what was given is decoded, and it is not much.
    pub(super) fn wants_bytes(&self) -> bool {
        let ready = lock(&self.ready);
        ready.ended || (ready.pcm.len() < self.most(&ready) && lock(&self.given).pieces.is_empty())
    }

    /// More bytes of a stream; `None` is its end.
    pub(super) fn give(&self, bytes: Option<Vec<u8>>) {
        let mut given = lock(&self.given);
        match bytes {
            Some(bytes) if !given.ended => given.pieces.push_back(bytes),
            Some(_) => {}
            None => given.ended = true,
        }
    }

    /// Forgets all that could still be played.
    pub(super) fn clear(&self) {
        *lock(&self.given) = Given { pieces: VecDeque::new(), ended: true };
        let mut ready = lock(&self.ready);
        ready.pcm = VecDeque::new();
        ready.ended = true;
    }

    /// Decodes until enough is ready, or no bytes are there.
    pub(super) fn fill(&self) {
        let mut source = lock(&self.source);
        let mut pcm = Vec::new();
        loop {
            let ready = lock(&self.ready);
            if ready.ended || ready.pcm.len() >= self.most(&ready) {
                return;
            }
            drop(ready);
            pcm.clear();
            let step = source.step(&self.given, &mut pcm);
            let mut ready = lock(&self.ready);
            if ready.ended {
                return;
            }
            if step.is_ok() {
                ready.pcm.extend(&pcm);
                ready.rate = source.reader.rate();
            }
            match step {
                Ok(Step::More) => {}
                Ok(Step::Wait) => return,
                Ok(Step::End) => ready.ended = true,
                Err(error) => {
                    ready.error = Some(error);
                    ready.ended = true;
                }
            }
        }
    }

    /// The error there was while nothing was played yet.
    pub(super) fn check(&self) -> Result<(), PlayerError> {
        let mut ready = lock(&self.ready);
        if ready.pcm.is_empty() { ready.error.take().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// How many samples the input has, read once from its beginning to its end if it is Ogg. Before anything is decoded.
    pub(super) fn length(&self) -> std::io::Result<Option<u64>> {
        lock(&self.source).length()
    }

    fn most(&self, ready: &Ready) -> usize {
        // Before the rate is known there are no samples to be too many.
        samples_in(self.ahead, ready.rate.unwrap_or(8000)).max(1)
    }
}

enum Step {
    More,
    Wait,
    End,
}

impl Source {
    /// Decodes a piece.
    fn step(&mut self, given: &Mutex<Given>, pcm: &mut Vec<i16>) -> Result<Step, PlayerError> {
        if self.at >= self.block.len() {
            match self.read(given)? {
                Step::More => {}
                Step::Wait => return Ok(Step::Wait),
                Step::End => {
                    self.reader.finish(pcm)?;
                    self.this_time += pcm.len() as u64;
                    return self.rewind();
                }
            }
        }
        let end = self.block.len().min(self.at + PIECE);
        self.reader.push(self.block.get(self.at..end).unwrap_or_default(), pcm)?;
        self.at = end;
        self.this_time += pcm.len() as u64;
        Ok(Step::More)
    }

    /// Gets the next bytes into `block`.
    fn read(&mut self, given: &Mutex<Given>) -> Result<Step, PlayerError> {
        match &mut self.next {
            Next::File(file) => {
                self.at = 0;
                self.block.resize(16 * PIECE, 0);
                let count = file.read(&mut self.block)?;
                self.block.truncate(count);
                Ok(if count == 0 { Step::End } else { Step::More })
            }
            Next::Nowhere => Ok(Step::End),
            Next::Given => {
                self.at = 0;
                self.block.clear();
                let mut given = lock(given);
                match given.pieces.pop_front() {
                    Some(piece) => {
                        self.block = piece;
                        Ok(Step::More)
                    }
                    None => Ok(if given.ended { Step::End } else { Step::Wait }),
                }
            }
        }
    }

    fn rewind(&mut self) -> Result<Step, PlayerError> {
        // What has no samples has none the next time either.
        if self.again == Some(0) || self.this_time == 0 {
            return Ok(Step::End);
        }
        self.again = self.again.map(|again| again - 1);
        self.this_time = 0;
        self.at = 0;
        self.reader = SoundReader::new(self.format)?;
        if let Next::File(file) = &mut self.next {
            file.seek(SeekFrom::Start(0))?;
            self.block.clear();
        }
        Ok(Step::More)
    }

    fn length(&mut self) -> std::io::Result<Option<u64>> {
        let (mut head, total) = match &mut self.next {
            Next::File(file) => {
                let mut head = vec![0; 4096];
                let count = file.read(&mut head)?;
                head.truncate(count);
                file.seek(SeekFrom::Start(0))?;
                (head, file.metadata()?.len())
            }
            Next::Nowhere => (self.block.clone(), self.block.len() as u64),
            Next::Given => return Ok(None),
        };
        let Ok(mut probe) = SoundReader::new(self.format) else { return Ok(None) };
        if let SoundFormat::Raw(_) = self.format {
            return Ok(probe.samples_left(total));
        }
        let mut pcm = Vec::new();
        for piece in head.chunks(16) {
            if probe.push(piece, &mut pcm).is_err() || probe.is_ogg() {
                break;
            }
            if let Some(left) = probe.samples_left(total) {
                return Ok(Some(pcm.len() as u64 + left));
            }
        }
        if !probe.is_ogg() {
            return Ok(None);
        }
        let mut length = OggLength::default();
        if let Next::File(file) = &mut self.next {
            head.resize(1 << 16, 0);
            loop {
                let count = file.read(&mut head)?;
                if count == 0 {
                    break;
                }
                length.push(head.get(..count).unwrap_or_default());
            }
            file.seek(SeekFrom::Start(0))?;
        } else {
            length.push(&head);
        }
        Ok(Some(length.finish()))
    }
}
