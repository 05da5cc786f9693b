//! Several mono frames added into one.
//!
//! The sum is kept wide and saturates once, at the end: the order of the sources does not matter.

/// Adds frames sample by sample.
#[derive(Clone, Debug, Default)]
pub struct Mixer {
    acc: Vec<i32>,
}

impl Mixer {
    /// A mixer that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a frame to the sum; frames of different lengths start together.
    /// The sum is exact for up to 65,536 frames.
    pub fn add(&mut self, frame: &[i16]) {
        if self.acc.len() < frame.len() {
            self.acc.resize(frame.len(), 0);
        }
        for (sum, &sample) in self.acc.iter_mut().zip(frame) {
            *sum = sum.wrapping_add(i32::from(sample));
        }
    }

    /// Samples in the sum: those of the longest frame added since it was last taken.
    pub fn len(&self) -> usize {
        self.acc.len()
    }

    /// True when nothing was added since the sum was last taken.
    pub fn is_empty(&self) -> bool {
        self.acc.is_empty()
    }

    /// Appends the sum, clipped to 16 bits, to `out` and starts anew.
    pub fn take_into(&mut self, out: &mut Vec<i16>) {
        self.sum_into(out);
        self.clear();
    }

    /// Appends the sum, clipped to 16 bits, to `out`.
    pub fn sum_into(&self, out: &mut Vec<i16>) {
        out.extend(self.acc.iter().map(|&sum| clip(sum)));
    }

    /// Appends the sum without one of the frames that were added, clipped to 16 bits, to `out`.
    pub fn sum_without_into(&self, frame: &[i16], out: &mut Vec<i16>) {
        let rest = self.acc.get(frame.len()..).unwrap_or_default();
        out.extend(self.acc.iter().zip(frame).map(|(&sum, &own)| clip(sum.wrapping_sub(i32::from(own)))));
        out.extend(rest.iter().map(|&sum| clip(sum)));
    }

    /// Starts anew.
    pub fn clear(&mut self) {
        self.acc.clear();
    }
}

fn clip(sum: i32) -> i16 {
    sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Multiplies samples, with a factor that goes from one to another within the frame, so that a change makes no click.
pub fn amplify(frame: &mut [i16], from: f32, to: f32) {
    // Equal as they were set, not by calculation.
    #[expect(clippy::float_cmp, reason = "no result of a calculation: what was set is compared")]
    if from == 1.0 && to == 1.0 {
        return;
    }
    let step = (to - from) / frame.len().max(1) as f32;
    for (n, sample) in frame.iter_mut().enumerate() {
        // A float is clipped as it becomes an integer.
        *sample = (f32::from(*sample) * (from + step * (n + 1) as f32)).round() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_adds_and_saturates_once() {
        let mut mixer = Mixer::new();
        mixer.add(&[1, i16::MAX, i16::MIN, i16::MAX]);
        mixer.add(&[2, 1, -1, i16::MAX]);
        mixer.add(&[3, 0, 0, i16::MIN, 5]);
        assert_eq!(mixer.len(), 5);
        let mut out = vec![];
        mixer.take_into(&mut out);
        assert_eq!(out, [6, i16::MAX, i16::MIN, i16::MAX - 1, 5]);
        assert!(mixer.is_empty());
        mixer.add(&[-4]);
        mixer.take_into(&mut out);
        assert_eq!(out, [6, i16::MAX, i16::MIN, i16::MAX - 1, 5, -4]);
    }

    #[test]
    fn a_gain_is_a_factor_that_clips_and_does_not_jump() {
        let mut frame = vec![100, -100, i16::MAX, i16::MIN];
        amplify(&mut frame, 1.0, 1.0);
        assert_eq!(frame, [100, -100, i16::MAX, i16::MIN]);
        amplify(&mut frame, 2.0, 2.0);
        assert_eq!(frame, [200, -200, i16::MAX, i16::MIN]);
        let mut frame = vec![1000; 4];
        amplify(&mut frame, 1.0, 0.0);
        assert_eq!(frame, [750, 500, 250, 0]);
    }

    #[test]
    fn the_sum_without_one_frame_is_that_of_the_others_also_where_it_is_clipped() {
        let frames = [[30_000, -20_000, 1], [30_000, -20_000, 2], [-30_000, 5, 4]];
        let mut mixer = Mixer::new();
        for frame in &frames {
            mixer.add(frame);
        }
        let mut out = vec![];
        mixer.sum_into(&mut out);
        assert_eq!(out, [30_000, i16::MIN, 7]);
        for (frame, others) in frames.iter().zip([[0, -19_995, 6], [0, -19_995, 5], [i16::MAX, i16::MIN, 3]]) {
            out.clear();
            mixer.sum_without_into(frame, &mut out);
            assert_eq!(out, others);
        }
        out.clear();
        mixer.sum_without_into(&frames[0][..1], &mut out);
        assert_eq!(out, [0, i16::MIN, 7]);
    }

    #[test]
    fn many_loud_sources_do_not_wrap() {
        let mut mixer = Mixer::new();
        for _ in 0..65_536 {
            mixer.add(&[i16::MIN, i16::MAX]);
        }
        let mut out = vec![];
        mixer.take_into(&mut out);
        assert_eq!(out, [i16::MIN, i16::MAX]);
    }
}
