//! The filters: one for each pair of rates, computed when first used and kept for the process.
//!
//! Coefficients and the inner loop. No stream state.

use std::f64::consts::PI;
use std::sync::OnceLock;

use super::{RATES, UnsupportedRate};

/// Taps for each sample of the lower rate; half of them are the delay.
const TAPS: usize = 80;
/// Middle of the transition (-6 dB) as a part of the lower Nyquist frequency.
const CUTOFF: f64 = 0.925;
/// Kaiser's shape parameter for a stopband of -90 dB. With `TAPS` it starts at the Nyquist frequency.
const BETA: f64 = 8.96;
/// Taps in one step of the inner loop: two registers of 256 bits.
const LANES: usize = 16;
type Steps = [[f32; LANES]];

/// The polyphase filter of one pair of rates.
#[derive(Debug)]
pub(super) struct Filter {
    /// Output rate / input rate = up / down, in lowest terms.
    pub up: usize,
    pub down: usize,
    /// Coefficients of one phase; a multiple of `LANES`.
    pub taps: usize,
    /// `up` phases of `taps` coefficients, in the order of the input samples.
    coefficients: Vec<f32>,
}

/// The filter between two rates; `None` if they are equal.
pub(super) fn between(from: u32, to: u32) -> Result<Option<&'static Filter>, UnsupportedRate> {
    static FILTERS: [OnceLock<Filter>; 36] = [const { OnceLock::new() }; 36];
    let index = |rate| {
        let place = RATES.iter().position(|&known| known == rate);
        place.ok_or(UnsupportedRate { rate })
    };
    let (row, column) = (index(from)?, index(to)?);
    if from == to {
        return Ok(None);
    }
    let filter = &FILTERS[row * RATES.len() + column];
    if let Some(made) = filter.get() {
        return Ok(Some(made));
    }
    // Made before the cell is locked: a process that forks just then would leave its child a lock that nobody opens.
    let made = Filter::new(from as usize, to as usize);
    Ok(Some(filter.get_or_init(|| made)))
}

impl Filter {
    fn new(from: usize, to: usize) -> Self {
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = (to / divisor, from / divisor);
        let taps = (TAPS * from).div_ceil(from.min(to)).next_multiple_of(LANES);
        let half = (taps / 2) as f64;
        let cutoff = CUTOFF * from.min(to) as f64 / from as f64;
        let mut coefficients = Vec::with_capacity(up * taps);
        for phase in 0..up {
            let row: Vec<f64> = (0..taps)
                .map(|tap| {
                    // Distance, in input samples, from the output instant.
                    let t = tap as f64 - (half - 1.0) - phase as f64 / up as f64;
                    sinc(cutoff * t) * kaiser(t / half)
                })
                .collect();
            // Unity gain for each phase: otherwise DC comes out with a ripple.
            let sum: f64 = row.iter().sum();
            coefficients.extend(row.iter().map(|&value| (value / sum) as f32));
        }
        Self { up, down, taps, coefficients }
    }

    /// Half the filter's length in input samples: how much an output needs from after its instant.
    pub fn half(&self) -> usize {
        self.taps / 2
    }

    /// Appends `count` outputs, the first of them at the start of `input` and `phase`.
    ///
    /// Each output is summed by itself and always in the same order, so that cutting the input
    /// differently changes nothing. From CPU to CPU the rounding of a sample may differ.
    pub fn convolve(&self, input: &[f32], phase: usize, count: usize, out: &mut Vec<i16>) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features, as was just asked.
            unsafe { self.convolve_avx2(input, phase, count, out) };
            return;
        }
        self.convolve_with(dot, |windows, row| windows.map(|window| dot(window, row)), input, phase, count, out);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn convolve_avx2(&self, input: &[f32], phase: usize, count: usize, out: &mut Vec<i16>) {
        self.convolve_with(|w, row| avx2::dot(w, row), |w, row| avx2::dot_four(w, row), input, phase, count, out);
    }

    /// The loop over the outputs, with the sum of one output, and of four that share a phase.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must be compiled with the features of its caller")]
    fn convolve_with(
        &self,
        one: impl Fn(&Steps, &Steps) -> f32,
        four: impl Fn([&Steps; 4], &Steps) -> [f32; 4],
        input: &[f32],
        mut phase: usize,
        count: usize,
        out: &mut Vec<i16>,
    ) {
        let (whole, part) = (self.down / self.up, self.down % self.up);
        let row = |phase: usize| self.coefficients[phase * self.taps..][..self.taps].as_chunks().0;
        let window = |position: usize| input[position..position + self.taps].as_chunks().0;
        let made = out.len();
        out.resize(made + count, 0);
        let mut rest = &mut out[made..];
        let mut position = 0;
        // The phases come round every `up` outputs, `down` inputs further on. Four rounds at a time
        // load each coefficient once for four outputs.
        while rest.len() >= 4 * self.up {
            let block;
            (block, rest) = rest.split_at_mut(4 * self.up);
            for place in 0..self.up {
                let [second, third, fourth] = [self.down, 2 * self.down, 3 * self.down];
                let windows =
                    [window(position), window(position + second), window(position + third), window(position + fourth)];
                for (round, sum) in four(windows, row(phase)).into_iter().enumerate() {
                    block[place + round * self.up] = round_to_sample(sum);
                }
                position += whole;
                phase += part;
                if phase >= self.up {
                    phase -= self.up;
                    position += 1;
                }
            }
            position += 3 * self.down;
        }
        for sample in rest {
            *sample = round_to_sample(one(window(position), row(phase)));
            position += whole;
            phase += part;
            if phase >= self.up {
                phase -= self.up;
                position += 1;
            }
        }
    }
}

/// The sum of the products, in plain Rust.
fn dot(window: &Steps, row: &Steps) -> f32 {
    let mut sums = [0.0; LANES];
    for (samples, coefficients) in window.iter().zip(row) {
        for ((sum, sample), coefficient) in sums.iter_mut().zip(samples).zip(coefficients) {
            *sum += sample * coefficient;
        }
    }
    sums.iter().sum()
}

/// The same with 256-bit registers. Spelled out, for the compiler makes half-empty vectors of `dot`.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_storeu_ps, _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps,
        _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    };

    use super::{LANES, Steps};

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub fn dot(window: &Steps, row: &Steps) -> f32 {
        let (mut low, mut high) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        for (samples, row) in window.iter().zip(row) {
            let (samples, row) = (load(samples), load(row));
            low = _mm256_fmadd_ps(samples.0, row.0, low);
            high = _mm256_fmadd_ps(samples.1, row.1, high);
        }
        let sum = _mm256_add_ps(low, high);
        sums([sum; 4])[0]
    }

    /// What `dot` gives for each of the windows, to the bit.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub fn dot_four(windows: [&Steps; 4], row: &Steps) -> [f32; 4] {
        let (mut low, mut high) = ([_mm256_setzero_ps(); 4], [_mm256_setzero_ps(); 4]);
        for (step, row) in row.iter().enumerate() {
            let row = load(row);
            for (index, window) in windows.into_iter().enumerate() {
                let samples = load(&window[step]);
                low[index] = _mm256_fmadd_ps(samples.0, row.0, low[index]);
                high[index] = _mm256_fmadd_ps(samples.1, row.1, high[index]);
            }
        }
        // No `map`: its closure could not be inlined, for `map` lacks the features.
        for (low, high) in low.iter_mut().zip(high) {
            *low = _mm256_add_ps(*low, high);
        }
        sums(low)
    }

    /// The sum of each register's eight floats.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn sums(eights: [__m256; 4]) -> [f32; 4] {
        let [a, b, c, d] = eights;
        let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
        let mut four = [0.0; 4];
        // SAFETY: there is room for the four floats; an unaligned store asks no more.
        unsafe { _mm_storeu_ps(four.as_mut_ptr(), sums) };
        four
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn load(lanes: &[f32; LANES]) -> (__m256, __m256) {
        let (low, high) = lanes.split_at(8);
        // SAFETY: both halves are 8 floats long; an unaligned load asks no more.
        unsafe { (_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())) }
    }
}

/// The nearest sample, ties to even; saturates.
#[inline]
fn round_to_sample(value: f32) -> i16 {
    // 1.5 * 2^23: adding it leaves no bits for a fraction, and the hardware rounds. No CPU feature
    // needed, where `round_ties_even` calls a function without SSE4.1.
    const NO_FRACTION: f32 = 12_582_912.0;
    let clamped = value.clamp(f32::from(i16::MIN), f32::from(i16::MAX));
    (clamped + NO_FRACTION).to_bits() as i16
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// sin(pi x) / (pi x)
fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The Kaiser window for -1..=1, 0 outside.
fn kaiser(x: f64) -> f64 {
    bessel_i0(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(BETA)
}

/// The modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let square = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..60 {
        term *= square / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_rust_and_simd_differ_by_rounding_only() {
        let input: Vec<f32> = (0..2000i32).map(|n| ((n * 7919) % 65_521 - 32_760) as f32).collect();
        for (from, to) in [(8000, 16_000), (16_000, 8000), (8000, 44_100), (44_100, 48_000), (48_000, 32_000)] {
            let filter = between(from, to).expect("a known pair").expect("different rates");
            let (mut simd, mut plain) = (vec![], vec![]);
            filter.convolve(&input, 0, 500, &mut simd);
            let four = |windows: [&Steps; 4], row: &Steps| windows.map(|window| dot(window, row));
            filter.convolve_with(dot, four, &input, 0, 500, &mut plain);
            assert_eq!((simd.len(), plain.len()), (500, 500));
            assert!(simd.iter().any(|&sample| sample != 0));
            let close = |(a, b): (&i16, &i16)| (i32::from(*a) - i32::from(*b)).abs() <= 1;
            assert!(simd.iter().zip(&plain).all(close), "{from}->{to}");
        }
    }
}
