//! Masking (RFC 6455 section 5.3) at memory speed: in place, and while copying.
//! Where keys come from is the sender's business.

/// Bytes copied, then masked while they are still in the first-level cache.
const BLOCK: usize = 8 * 1024;

/// XORs `data` with `key`, where `data` begins `offset` bytes into the payload.
pub fn apply_mask(data: &mut [u8], key: [u8; 4], offset: usize) {
    let key = rotated(key, offset);
    // Words in one plain loop, which the compiler turns into vector instructions at any level of optimisation.
    let word = u32::from_ne_bytes(key);
    let (words, rest) = data.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(key) {
        *byte ^= mask;
    }
}

/// Appends `src` to `out`, masked with `key`; `src` is the payload from its beginning.
pub fn copy_masked(src: &[u8], key: [u8; 4], out: &mut Vec<u8>) {
    copy_masked_from(src, key, 0, out);
}

/// The same, where `src` begins `offset` bytes into the payload.
pub(super) fn copy_masked_from(src: &[u8], key: [u8; 4], offset: usize, out: &mut Vec<u8>) {
    out.reserve(src.len());
    let key = rotated(key, offset);
    // A block is a multiple of the key, so every block begins with the same byte of it.
    for block in src.chunks(BLOCK) {
        let start = out.len();
        out.extend_from_slice(block);
        apply_mask(&mut out[start..], key, 0);
    }
}

/// Writes `src` to `out`, which is as long, masked with `key`; a key of zeros leaves it as it is.
pub fn copy_masked_to(src: &[u8], key: [u8; 4], out: &mut [u8]) {
    for (block, room) in src.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        room.copy_from_slice(block);
        if key != [0; 4] {
            apply_mask(room, key, 0);
        }
    }
}

/// The key as seen from `offset` bytes into the payload.
fn rotated(key: [u8; 4], offset: usize) -> [u8; 4] {
    let shift = 8 * (offset % 4) as u32;
    u32::from_be_bytes(key).rotate_left(shift).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn reference(data: &[u8], offset: usize) -> Vec<u8> {
        (offset..).zip(data).map(|(index, byte)| byte ^ KEY[index % 4]).collect()
    }

    #[test]
    fn the_example_of_section_5_7() {
        let mut hello = *b"Hello";
        apply_mask(&mut hello, KEY, 0);
        assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn every_length_alignment_and_offset() {
        let data: Vec<u8> = (0..200).map(|i| (i * 7 % 251) as u8).collect();
        for start in 0..9 {
            for end in start..data.len() {
                for offset in 0..5 {
                    let mut masked = data.clone();
                    apply_mask(&mut masked[start..end], KEY, offset);
                    assert_eq!(masked[..start], data[..start]);
                    assert_eq!(masked[start..end], reference(&data[start..end], offset));
                    assert_eq!(masked[end..], data[end..]);
                }
            }
        }
    }

    #[test]
    fn copying_masks_like_masking_in_place() {
        for size in [0, 1, 3, 31, 32, 33, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let data: Vec<u8> = (0..size).map(|i| (i % 253) as u8).collect();
            for offset in 0..4 {
                let mut out = vec![9];
                copy_masked_from(&data, KEY, offset, &mut out);
                assert_eq!(out[0], 9);
                assert_eq!(out[1..], reference(&data, offset), "{size} {offset}");
            }
            let mut out = vec![0; size];
            copy_masked_to(&data, KEY, &mut out);
            assert_eq!(out, reference(&data, 0), "{size}");
            copy_masked_to(&data, [0; 4], &mut out);
            assert_eq!(out, data, "{size}");
        }
    }
}
