//! The quadrature mirror filters of G.722 (section 3.1 and 4.4): 16 kHz into two bands at 8 kHz and back.

/// Half of the symmetric filter's 24 coefficients (table 11 of the recommendation), the even ones and the odd ones reversed.
const COEFFICIENTS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The last 24 samples, as 12 even and 12 odd ones, in a buffer that is moved back only now and then.
#[derive(Clone, Debug)]
struct Line {
    even: [i32; ROOM],
    odd: [i32; ROOM],
    at: usize,
}

const TAPS: usize = 12;
const ROOM: usize = 128;

impl Default for Line {
    fn default() -> Self {
        Self { even: [0; ROOM], odd: [0; ROOM], at: 0 }
    }
}

impl Line {
    /// Takes a pair, and gives the sums over the even and over the odd samples.
    #[inline]
    fn push(&mut self, even: i32, odd: i32) -> (i32, i32) {
        if self.at + TAPS >= ROOM {
            self.even.copy_within(self.at.., 0);
            self.odd.copy_within(self.at.., 0);
            self.at = 0;
        }
        let end = self.at + TAPS;
        // The window holds the pair and the 11 before it; `at` is one further with each pair.
        self.even[end - 1] = even;
        self.odd[end - 1] = odd;
        let (evens, odds) = (&self.even[self.at..end], &self.odd[self.at..end]);
        let (mut even, mut odd) = (0, 0);
        for (index, (&one, &other)) in evens.iter().zip(odds).enumerate() {
            even += one * COEFFICIENTS[index];
            odd += other * COEFFICIENTS[TAPS - 1 - index];
        }
        self.at += 1;
        (even, odd)
    }
}

/// The encoder's bank (TRANSMIT QMF).
#[derive(Clone, Debug, Default)]
pub struct Analysis(Line);

impl Analysis {
    /// Two samples into one of each band, 15 bits wide.
    #[inline]
    pub fn split(&mut self, first: i16, second: i16) -> (i32, i32) {
        let (even, odd) = self.0.push(i32::from(first), i32::from(second));
        (limit((odd + even) >> 14), limit((odd - even) >> 14))
    }
}

/// The decoder's bank (RECEIVE QMF).
#[derive(Clone, Debug, Default)]
pub struct Synthesis(Line);

impl Synthesis {
    /// One sample of each band into two.
    #[inline]
    pub fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        let (even, odd) = self.0.push(low + high, low - high);
        [saturate(odd >> 11), saturate(even >> 11)]
    }
}

/// LIMIT: what the bands carry.
#[inline]
pub fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

#[inline]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
