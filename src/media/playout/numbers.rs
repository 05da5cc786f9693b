//! The sender's chunk numbers, put on one line: repeated, late and missing ones are found, and a numbering that begins anew
//! is told from a duplicate. Nothing here knows the audio but for a fingerprint of each chunk.

/// How far back a number may be and still be one that is late or repeated: what a buffer of 10 s holds, and more.
const WINDOW: u64 = 512;
/// The first chunk is among this many that come first: half a second of chunks of 10 ms, as late as jitter may make it.
const FIRST_WITHIN: u64 = 48;
/// The first chunks of a numbering that come again after so many others, and have been played, begin a new one.
const AGAIN: u64 = 50;
/// The place of the first chunk. Room for `WINDOW` before it.
const FIRST_PLACE: u64 = 1 << 20;
/// No chunk.
const NONE: u16 = 0;
/// A longer step is one of this length: places never end.
const LONGEST_STEP: u64 = 1 << 40;

/// What a number says about its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one, after this many that were left out.
    New { lost: u64 },
    /// One that was left out before, or came before the first.
    Late { was_lost: bool },
    /// It has come before.
    Duplicate,
}

/// One numbering.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// The highest number.
    highest: u64,
    /// Its place.
    place: u64,
    /// The number that it began with.
    start: u64,
}

impl Epoch {
    /// The place of a number not above the highest.
    fn place_of(self, number: u64) -> Option<u64> {
        self.highest.checked_sub(number).filter(|&behind| behind < WINDOW).map(|behind| self.place - behind)
    }
}

/// What is known about the sender's chunk numbers.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    first: u64,
    current: Epoch,
    /// The numbering before this one, whose last chunks may still come.
    former: Option<Epoch>,
    /// How many of its chunks, from the first on, have just come again.
    again: u64,
    /// The audio of the last chunks, by place; `NONE` for one that has not come.
    fingerprints: Box<[u16; WINDOW as usize]>,
}

impl Numbers {
    pub(super) fn from(number: u64, print: u16) -> (Self, u64) {
        let mut numbers = Self {
            first: FIRST_PLACE,
            current: Epoch { highest: number, place: FIRST_PLACE, start: number },
            former: None,
            again: 0,
            fingerprints: Box::new([NONE; WINDOW as usize]),
        };
        numbers.remember(FIRST_PLACE, print);
        (numbers, FIRST_PLACE)
    }

    /// The place of chunk `number` and what it is. `rested`: there was a pause before it. `buffered` answers whether a place waits to be played, and whether
    /// with this audio.
    pub(super) fn note(
        &mut self,
        number: u64,
        print: u16,
        rested: bool,
        buffered: impl Fn(u64) -> Option<bool>,
    ) -> (u64, Verdict) {
        let step = number.wrapping_sub(self.current.highest);
        if step == 1 {
            self.again = 0;
            return self.advance(number, 1, print); // by far the most
        }
        if let Some(place) = self.current.place_of(number) {
            if self.begins_again(number, place, print, rested) && buffered(place).is_none() {
                return self.restart(number, print);
            }
            return self.behind(place, number, print);
        }
        if number < self.current.highest {
            // Too far behind to be late. Only a burst can have it waiting still.
            let place = self.current.place.saturating_sub(self.current.highest - number);
            return match buffered(place) {
                Some(true) => (place, Verdict::Duplicate),
                _ => self.restart(number, print),
            };
        }
        // Far ahead it may be one of the numbering before; near, it is one only if it has come in that.
        if let Some(place) = self.former.and_then(|former| former.place_of(number)) {
            if self.has_come(place, print) {
                return (place, Verdict::Duplicate);
            }
            if step > WINDOW {
                return self.behind(place, number, print);
            }
        }
        self.advance(number, step, print)
    }

    fn advance(&mut self, number: u64, step: u64, print: u16) -> (u64, Verdict) {
        let (places, before) = (step.min(LONGEST_STEP), self.current.place);
        self.current = Epoch { highest: number, place: before.saturating_add(places), ..self.current };
        for skipped in 1..places.min(WINDOW) {
            self.remember(before.saturating_add(skipped), NONE);
        }
        self.remember(self.current.place, print);
        (self.current.place, Verdict::New { lost: step - 1 })
    }

    /// The same number with other audio is no duplicate: the sender has begun to count anew.
    fn behind(&mut self, place: u64, number: u64, print: u16) -> (u64, Verdict) {
        if self.has_come(place, print) || self.current.place - place >= WINDOW {
            return (place, Verdict::Duplicate);
        }
        let before_all = place < self.first && self.current.place - place > FIRST_WITHIN;
        if self.fingerprints[(place % WINDOW) as usize] != NONE || before_all {
            return self.restart(number, print);
        }
        self.remember(place, print);
        (place, Verdict::Late { was_lost: place > self.first })
    }

    /// Whether the same audio is sent once more under the same numbers, as a prompt may be: after a pause its first chunk
    /// tells, else its first three in a row, long after they came.
    fn begins_again(&mut self, number: u64, place: u64, print: u16, rested: bool) -> bool {
        let next = self.current.start.saturating_add(self.again);
        self.again = match self.has_come(place, print) {
            true if number == next => self.again + 1,
            true => u64::from(number == self.current.start),
            false => 0,
        };
        let enough = if rested { 1 } else { 3 };
        self.again >= enough && (rested || self.current.place - place >= AGAIN)
    }

    fn has_come(&self, place: u64, print: u16) -> bool {
        self.current.place - place < WINDOW && self.fingerprints[(place % WINDOW) as usize] == print
    }

    fn restart(&mut self, number: u64, print: u16) -> (u64, Verdict) {
        self.former = Some(self.current);
        self.again = 0;
        (self.current.highest, self.current.start) = (number.wrapping_sub(1), number);
        self.advance(number, 1, print)
    }

    fn remember(&mut self, place: u64, print: u16) {
        self.fingerprints[(place % WINDOW) as usize] = print;
    }
}

/// Tells payloads apart, at the cost of a look at a few bytes: two chunks of speech that are alike in all of them are the
/// same one. Never `NONE`. Of the payload, and not of the samples: a decoder with a memory makes others of the same bytes.
pub fn fingerprint(payload: &[u8]) -> u16 {
    let step = (payload.len() / 32).max(1) | 1; // An odd step meets both bytes of 16-bit samples.
    let mix = |sum: u32, &byte: &u8| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let sum = payload.iter().step_by(step).fold(payload.len() as u32 ^ 0x811c_9dc5, mix);
    ((sum ^ (sum >> 16)) as u16).max(NONE + 1)
}
