//! DTMF: the digits of a telephone's keys as pairs of tones (ITU-T Q.23), made and recognised (Q.24).
//!
//! `Digit` and its names are here, the tones in `generator` and `detector`.

mod detector;
mod generator;

pub use detector::{Detected, Detector};
pub use generator::ToneConfig;

/// The frequencies in Hz, of the keys' rows and of their columns (ITU-T Q.23).
const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keys, row by row.
const KEYS: &[u8; 16] = b"123A456B789C*0#D";
/// The keys in the order of their event numbers (RFC 4733 section 3.2).
const EVENTS: &[u8; 16] = b"0123456789*#ABCD";

/// One of the 16 keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digit(u8);

impl Digit {
    /// The key with that character: 0 to 9, *, #, A to D.
    pub fn from_char(key: char) -> Option<Self> {
        let key = u8::try_from(key).ok()?.to_ascii_uppercase();
        KEYS.contains(&key).then_some(Self(key))
    }

    /// Its character.
    pub fn as_char(self) -> char {
        char::from(self.0)
    }

    /// The key with that event number (RFC 4733 section 3.2).
    pub fn from_event(event: u8) -> Option<Self> {
        EVENTS.get(usize::from(event)).map(|&key| Self(key))
    }

    /// Its event number: 0 to 9, 10 for *, 11 for #, 12 to 15 for A to D.
    pub fn event(self) -> u8 {
        EVENTS.iter().position(|&key| key == self.0).unwrap_or(0) as u8
    }

    /// Its two frequencies in Hz, the low one first.
    pub fn frequencies(self) -> (f64, f64) {
        let place = KEYS.iter().position(|&key| key == self.0).unwrap_or(0);
        (LOW[place / 4], HIGH[place % 4])
    }

    fn at(row: usize, column: usize) -> Self {
        Self(KEYS[(4 * row + column) % 16])
    }
}

#[cfg(test)]
mod tests;
