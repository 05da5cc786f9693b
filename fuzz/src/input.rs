//! An input taken apart: a few choices at its start, where bytes that follow are to be cut, then those bytes.

/// Reads an input from its start. Behind the end there are zeros, so that every input is one.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    /// At the start of the input.
    pub fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// One of these, by the next byte.
    pub fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[usize::from(self.byte()) % N]
    }

    /// The next `count` bytes, or what is left.
    pub fn bytes(&mut self, count: usize) -> &'d [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Where to cut: up to 7 lengths, used in turns.
    pub fn cuts(&mut self) -> Cuts<'d> {
        let count = usize::from(self.byte() % 8);
        Cuts(self.bytes(count))
    }

    /// True if nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub fn rest(self) -> &'d [u8] {
        self.0
    }
}

/// Lengths of pieces, used in turns.
#[derive(Clone, Copy, Debug)]
pub struct Cuts<'d>(&'d [u8]);

impl Cuts<'_> {
    /// The pieces of `bytes`, some of which may be empty; one if there are no lengths, or none that leads on.
    pub fn pieces<'b>(&self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        if self.0.iter().any(|&length| length > 0) {
            for &length in self.0.iter().cycle() {
                if usize::from(length) >= bytes.len() {
                    break;
                }
                let (piece, rest) = bytes.split_at(length.into());
                pieces.push(piece);
                bytes = rest;
            }
        }
        pieces.push(bytes);
        pieces
    }
}
