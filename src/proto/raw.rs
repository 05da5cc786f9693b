//! Frames as they came, one at a time and without a judgement: which bytes the frame needs next, and what it says when it
//! is whole. For programs that judge and put messages together themselves; [`Receiver`](super::Receiver) does both.
//!
//! It never asks for bytes behind the end of a frame, so whoever reads the socket for it takes nothing that is not its.

use super::mask::{apply_mask, copy_masked};

const MASKED: u8 = 0x80;
/// The length is in the two bytes, or the eight, that follow.
const LENGTH_16: u8 = 0x7e;
const LENGTH_64: u8 = 0x7f;
/// Bytes of a payload that are kept room for when the frame is done.
const KEEP: usize = 16 * 1024;

/// What a header says besides the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHead {
    /// FIN, the reserved bits and the opcode (RFC 6455 section 5.2).
    pub first: u8,
    /// The payload was masked; it is not any more.
    pub masked: bool,
}

/// Collects the bytes of one frame after the other.
#[derive(Debug, Default)]
pub struct RawReader {
    /// The frame so far, header and payload.
    held: Vec<u8>,
    /// The mask is taken off.
    plain: bool,
}

impl RawReader {
    /// How many bytes the frame needs before more can be said of it; 0 when it is whole.
    pub fn missing(&self) -> usize {
        let (header, length) = self.extent();
        header.saturating_add(length).saturating_sub(self.held.len())
    }

    /// Room for the next bytes, at most `most` and no more than [`missing`](Self::missing). What is not used of it has to
    /// be given back with [`took`](Self::took).
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let (start, count) = (self.held.len(), self.missing().min(most));
        self.held.resize(start + count, 0);
        &mut self.held[start..]
    }

    /// Of the room for `room` bytes, `used` were filled.
    pub fn took(&mut self, room: usize, used: usize) {
        let unused = room.saturating_sub(used);
        self.held.truncate(self.held.len().saturating_sub(unused));
    }

    /// The frame, when it is whole: what its header says, and its payload.
    pub fn frame(&mut self) -> Option<(RawHead, &[u8])> {
        if self.missing() > 0 {
            return None;
        }
        let (header, _) = self.extent();
        let (head, payload) = self.held.split_at_mut_checked(header)?;
        let [first, second, ..] = *head else { return None };
        let masked = second & MASKED != 0;
        if masked && !self.plain {
            let key = head.last_chunk::<4>()?;
            apply_mask(payload, *key, 0);
            self.plain = true;
        }
        Some((RawHead { first, masked }, payload))
    }

    /// Forgets the frame, and begins the next one.
    pub fn next(&mut self) {
        if self.held.capacity() > KEEP {
            self.held = Vec::new();
        } else {
            self.held.clear();
        }
        self.plain = false;
    }

    /// Bytes of the header, as far as they are known, and of the payload.
    fn extent(&self) -> (usize, usize) {
        let Some((&[_, second], rest)) = self.held.split_first_chunk::<2>() else { return (2, 0) };
        let key = if second & MASKED == 0 { 0 } else { 4 };
        let length = match second & !MASKED {
            LENGTH_16 => match rest.first_chunk::<2>() {
                Some(length) => usize::from(u16::from_be_bytes(*length)),
                None => return (4 + key, 0),
            },
            LENGTH_64 => match rest.first_chunk::<8>() {
                Some(length) => usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX),
                None => return (10 + key, 0),
            },
            length => return (2 + key, usize::from(length)),
        };
        (if second & !MASKED == LENGTH_16 { 4 } else { 10 } + key, length)
    }
}

/// A frame with a header of our own making: `first` is its first byte. Masked if there is a key.
pub fn raw_frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mask = if key.is_some() { MASKED } else { 0 };
    let mut out = Vec::with_capacity(payload.len() + 14);
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => out.extend_from_slice(&[first, mask | length as u8]),
        Ok(length) => {
            out.extend_from_slice(&[first, mask | LENGTH_16]);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.extend_from_slice(&[first, mask | LENGTH_64]);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    match key {
        Some(key) => {
            out.extend_from_slice(&key);
            copy_masked(payload, key, &mut out);
        }
        None => out.extend_from_slice(payload),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of at most `piece`, and answers the frames.
    fn read(mut bytes: &[u8], piece: usize) -> Vec<(RawHead, Vec<u8>)> {
        let mut reader = RawReader::default();
        let mut frames = Vec::new();
        loop {
            if let Some((head, payload)) = reader.frame() {
                frames.push((head, payload.to_vec()));
                reader.next();
            } else if bytes.is_empty() {
                return frames;
            }
            let room = reader.room(piece);
            let (size, used) = (room.len(), room.len().min(bytes.len()));
            room[..used].copy_from_slice(&bytes[..used]);
            bytes = &bytes[used..];
            reader.took(size, used);
        }
    }

    #[test]
    fn frames_of_every_length_form_come_back_however_they_are_cut() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            for key in [None, Some([1, 2, 3, 4])] {
                let mut wire = raw_frame(0x81, &payload, key);
                wire.extend(raw_frame(0xFF, b"second", key));
                for piece in [1, 3, 4096, usize::MAX] {
                    let masked = key.is_some();
                    let expected = [
                        (RawHead { first: 0x81, masked }, payload.clone()),
                        (RawHead { first: 0xFF, masked }, b"second".to_vec()),
                    ];
                    assert_eq!(read(&wire, piece), expected, "{length} bytes in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn it_asks_for_no_byte_behind_the_frame_and_makes_no_room_for_a_claim() {
        let mut reader = RawReader::default();
        assert_eq!(reader.missing(), 2);
        reader.room(usize::MAX).copy_from_slice(&[0x82, 127]);
        assert_eq!(reader.missing(), 8);
        reader.room(usize::MAX).copy_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(reader.missing(), usize::MAX - 10);
        assert_eq!(reader.room(100).len(), 100);
        assert!(reader.held.capacity() < 1000);
        assert_eq!(reader.frame(), None);
    }

    #[test]
    fn a_length_that_is_not_in_its_shortest_form_is_taken() {
        let wire = [0x82, 127, 0, 0, 0, 0, 0, 0, 0, 2, 7, 8];
        assert_eq!(read(&wire, 5), [(RawHead { first: 0x82, masked: false }, vec![7, 8])]);
    }
}
