//! Two channels: taken apart, mixed into one, put together. Interleaved, left first.
//!
//! Carriers send both parties of a call as the two channels of one stream.

/// Appends the channels of `interleaved` to `left` and `right`. A last sample without a partner is left out.
pub fn split_into(interleaved: &[i16], left: &mut Vec<i16>, right: &mut Vec<i16>) {
    left_into(interleaved, left);
    right_into(interleaved, right);
}

/// Appends the left channel of `interleaved`. A last sample without a partner is left out.
pub fn left_into(interleaved: &[i16], out: &mut Vec<i16>) {
    let (pairs, _) = interleaved.as_chunks::<2>();
    out.extend(pairs.iter().map(|pair| pair[0]));
}

/// Appends the right channel of `interleaved`.
pub fn right_into(interleaved: &[i16], out: &mut Vec<i16>) {
    let (pairs, _) = interleaved.as_chunks::<2>();
    out.extend(pairs.iter().map(|pair| pair[1]));
}

/// Appends the mean of each left/right pair, rounded towards negative infinity: two loud parties never clip.
pub fn stereo_to_mono_into(interleaved: &[i16], out: &mut Vec<i16>) {
    let (pairs, _) = interleaved.as_chunks::<2>();
    out.extend(pairs.iter().map(|&[left, right]| ((i32::from(left) + i32::from(right)) >> 1) as i16));
}

/// Appends two channels as one interleaved stream, as long as the longer; the shorter ends in silence.
pub fn interleave_into(left: &[i16], right: &[i16], out: &mut Vec<i16>) {
    let start = out.len();
    out.resize(start + 2 * left.len().max(right.len()), 0);
    let (pairs, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>();
    for (pair, &sample) in pairs.iter_mut().zip(left) {
        pair[0] = sample;
    }
    for (pair, &sample) in pairs.iter_mut().zip(right) {
        pair[1] = sample;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stereo_becomes_the_mean() {
        let mut out = vec![];
        stereo_to_mono_into(&[10, 20, i16::MIN, i16::MIN, i16::MAX, i16::MAX, -1, 0, 7], &mut out);
        assert_eq!(out, [15, i16::MIN, i16::MAX, -1]);
    }

    #[test]
    fn a_shorter_channel_ends_in_silence() {
        let mut out = vec![9];
        interleave_into(&[1, 2, 3], &[-1], &mut out);
        interleave_into(&[], &[5], &mut out);
        assert_eq!(out, [9, 1, -1, 2, 0, 3, 0, 0, 5]);
    }

    proptest! {
        #[test]
        fn apart_and_together_again(pairs in proptest::collection::vec(any::<[i16; 2]>(), 0..200), odd in any::<bool>()) {
            let mut interleaved = pairs.concat();
            if odd {
                interleaved.push(1);
            }
            let (mut left, mut right, mut back) = (vec![7], vec![], vec![]);
            split_into(&interleaved, &mut left, &mut right);
            prop_assert_eq!(left.len(), pairs.len() + 1);
            interleave_into(&left[1..], &right, &mut back);
            prop_assert_eq!(back, pairs.concat());
        }
    }
}
