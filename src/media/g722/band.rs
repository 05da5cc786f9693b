//! One sub-band of G.722: the adaptive quantizer and the adaptive predictor (sections 3.2 to 3.6, 6.2).
//!
//! The names in capitals are the blocks of the recommendation's section 6.2.

use super::qmf::limit;

/// Decision levels of the 6-bit quantizer (table 14), below which a difference has that code.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Codes of negative and of positive differences, by interval.
const ILN: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
];
const ILP: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34,
    33, 32,
];
/// Output of the inverse quantizers of 6 bits, of their upper 4, and of the high band's 2.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// How a code changes the logarithmic scale factor: WL by RL42, and WH by RH2.
const WL: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const WH: [i32; 4] = [798, -214, 798, -214];
/// 2048 * 2^(i / 32)
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// In what the bands differ: the scale factor's start, upper bound and exponent.
#[derive(Debug)]
pub struct Scale {
    start: i32,
    highest: i32,
    exponent: i32,
}

pub const LOW: Scale = Scale { start: 32, highest: 18_432, exponent: 8 };
pub const HIGH: Scale = Scale { start: 8, highest: 22_528, exponent: 10 };

/// The state of one band, the same in encoder and decoder.
#[derive(Clone, Debug)]
pub struct SubBand {
    scale: &'static Scale,
    /// The scale factor (DET), and its logarithm (NB).
    factor: i32,
    logarithm: i32,
    /// What the predictor expects (S), and its part from the zeros (SZ).
    expected: i32,
    by_zeros: i32,
    /// Coefficients (A) and reconstructed signals (R) of the two poles, and the partly reconstructed (P).
    poles: [i32; 2],
    reconstructed: [i32; 2],
    partial: [i32; 2],
    /// Coefficients (B) and differences (D) of the six zeros.
    zeros: [i32; 6],
    differences: [i32; 6],
}

impl SubBand {
    pub fn new(scale: &'static Scale) -> Self {
        Self {
            scale,
            factor: scale.start,
            logarithm: 0,
            expected: 0,
            by_zeros: 0,
            poles: [0; 2],
            reconstructed: [0; 2],
            partial: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
        }
    }

    /// A sample of the low band into 6 bits.
    #[inline]
    pub fn encode_low(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.expected);
        // QUANTL: the first level that is larger. The levels grow, and so do their products.
        let magnitude = if difference < 0 { -(difference + 1) } else { difference };
        let interval = 1 + Q6[1..].partition_point(|level| magnitude >= (level * self.factor) >> 12);
        let code = if difference < 0 { ILN[interval] } else { ILP[interval] };
        self.follow_low(code);
        code
    }

    /// 6 bits into a sample of the low band.
    #[inline]
    pub fn decode_low(&mut self, code: u8) -> i32 {
        // INVQBL, RECONS, LIMIT
        let difference = (self.factor * QM6[usize::from(code & 0x3F)]) >> 15;
        let sample = limit(saturate(self.expected + difference));
        self.follow_low(code);
        sample
    }

    /// A sample of the high band into 2 bits.
    #[inline]
    pub fn encode_high(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.expected);
        // QUANTH
        let magnitude = if difference < 0 { -(difference + 1) } else { difference };
        let outer = magnitude >= (564 * self.factor) >> 12;
        let code = match (difference < 0, outer) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.follow_high(code);
        code
    }

    /// 2 bits into a sample of the high band.
    #[inline]
    pub fn decode_high(&mut self, code: u8) -> i32 {
        let expected = self.expected;
        let difference = self.follow_high(code);
        limit(saturate(expected + difference))
    }

    /// INVQAL, LOGSCL, SCALEL: the upper 4 bits alone adapt, so that the lower 2 may be taken away.
    #[inline]
    fn follow_low(&mut self, code: u8) {
        let upper = usize::from(code >> 2) & 15;
        let difference = (self.factor * QM4[upper]) >> 15;
        self.rescale(WL[upper]);
        self.predict(difference);
    }

    /// INVQAH, LOGSCH, SCALEH
    #[inline]
    fn follow_high(&mut self, code: u8) -> i32 {
        let code = usize::from(code & 3);
        let difference = (self.factor * QM2[code]) >> 15;
        self.rescale(WH[code]);
        self.predict(difference);
        difference
    }

    #[inline]
    fn rescale(&mut self, change: i32) {
        let logarithm = ((self.logarithm * 127) >> 7) + change;
        self.logarithm = logarithm.clamp(0, self.scale.highest);
        let mantissa = ILB[(self.logarithm >> 6) as usize & 31];
        let shift = self.scale.exponent - (self.logarithm >> 11);
        self.factor = if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2;
    }

    /// Adapts the predictor to the difference, and predicts.
    #[inline]
    fn predict(&mut self, difference: i32) {
        // RECONS, PARREC
        let reconstructed = saturate(self.expected + difference);
        let partial = saturate(self.by_zeros + difference);

        // UPPOL2
        let same_as = |before: i32| (partial < 0) == (before < 0);
        let [first, second] = self.poles;
        let four_times = saturate(first << 2);
        let towards = if same_as(self.partial[0]) { (-four_times).min(32_767) } else { four_times };
        let step = if same_as(self.partial[1]) { 128 } else { -128 };
        let second = (step + (towards >> 7) + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1
        let step = if same_as(self.partial[0]) { 192 } else { -192 };
        let bound = 15_360 - second;
        let first = saturate(step + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];

        // UPZERO
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, &before) in self.zeros.iter_mut().zip(&self.differences) {
            let step = if (before < 0) == (difference < 0) { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }

        // DELAYA
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];

        // FILTEP, FILTEZ, PREDIC
        let product = |coefficient: i32, signal: i32| (coefficient * saturate(2 * signal)) >> 15;
        let by_poles = saturate(product(first, self.reconstructed[0]) + product(second, self.reconstructed[1]));
        let zeros = self.zeros.iter().zip(&self.differences).rev();
        self.by_zeros = zeros.fold(0, |sum, (&zero, &before)| saturate(sum + product(zero, before)));
        self.expected = saturate(by_poles + self.by_zeros);
    }
}

#[inline]
fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}
