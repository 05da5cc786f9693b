//! Pages of an Ogg stream (RFC 3533 section 6): bytes to a page and back, with its checksum.
//!
//! Nothing here knows what the packets are.

/// Bytes before the lacing values.
const HEADER: usize = 27;
/// The longest page there can be.
pub const MAX_PAGE: usize = HEADER + 255 + 255 * 255;
/// The granule position of a page on which no packet ends.
pub const NO_GRANULE: u64 = u64::MAX;

const CAPTURE: &[u8; 4] = b"OggS";
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// A page, its body still in the bytes that it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// It begins with the rest of a packet.
    pub continued: bool,
    /// It is the first of its logical stream.
    pub first: bool,
    /// It is the last of its logical stream.
    pub last: bool,
    /// What the codec counts, at the end of the last packet that ends here.
    pub granule: u64,
    /// Which logical stream it belongs to.
    pub serial: u32,
    /// Its number in the logical stream.
    pub sequence: u32,
    /// The lengths of the segments; a packet ends with the first that is not 255.
    pub lacing: &'a [u8],
    /// The segments.
    pub body: &'a [u8],
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A page, and how many bytes it takes.
    Page(Page<'a>, usize),
    /// What may become a page when more bytes come.
    Incomplete,
    /// No page: so many bytes are to be skipped.
    Skip(usize),
    /// What says of itself that it is a page of so many bytes, but has another checksum. A page may begin in it.
    Damaged(usize),
}

/// Looks for a page at the beginning of `bytes`.
pub fn find(bytes: &[u8]) -> Found<'_> {
    let known = bytes.len().min(CAPTURE.len());
    if bytes.get(..known) != CAPTURE.get(..known) {
        // To where the capture pattern, or the beginning of one, is next.
        let next = (1..bytes.len()).find(|&at| {
            let rest = bytes.get(at..).unwrap_or_default();
            let known = rest.len().min(CAPTURE.len());
            rest.get(..known) == CAPTURE.get(..known)
        });
        return Found::Skip(next.unwrap_or(bytes.len()));
    }
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Found::Incomplete };
    let &[_, _, _, _, version, flags, g0, g1, g2, g3, g4, g5, g6, g7, ref numbers @ ..] = header;
    if version != 0 {
        return Found::Skip(1);
    }
    let &[s0, s1, s2, s3, n0, n1, n2, n3, c0, c1, c2, c3, segments] = numbers;
    let Some(lacing) = bytes.get(HEADER..HEADER + usize::from(segments)) else { return Found::Incomplete };
    let start = HEADER + lacing.len();
    let end = start + lacing.iter().map(|&length| usize::from(length)).sum::<usize>();
    let Some(body) = bytes.get(start..end) else { return Found::Incomplete };
    let mut blank = *header;
    if let Some(place) = blank.get_mut(22..26) {
        place.fill(0);
    }
    if checksum(&[&blank, lacing, body]) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Found::Damaged(end);
    }
    let page = Page {
        continued: flags & CONTINUED != 0,
        first: flags & FIRST != 0,
        last: flags & LAST != 0,
        granule: u64::from_le_bytes([g0, g1, g2, g3, g4, g5, g6, g7]),
        serial: u32::from_le_bytes([s0, s1, s2, s3]),
        sequence: u32::from_le_bytes([n0, n1, n2, n3]),
        lacing,
        body,
    };
    Found::Page(page, end)
}

impl Page<'_> {
    /// Appends the page's bytes.
    pub fn write_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |set, value| if set { value } else { 0 };
        out.extend_from_slice(CAPTURE);
        out.push(0);
        out.push(flag(self.continued, CONTINUED) | flag(self.first, FIRST) | flag(self.last, LAST));
        out.extend_from_slice(&self.granule.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.push(self.lacing.len() as u8);
        out.extend_from_slice(self.lacing);
        out.extend_from_slice(self.body);
        let sum = checksum(&[out.get(start..).unwrap_or_default()]);
        if let Some(place) = out.get_mut(start + 22..start + 26) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// The CRC-32 of RFC 3533: polynomial 0x04C11DB7, not reflected, starting with 0.
fn checksum(parts: &[&[u8]]) -> u32 {
    parts.iter().flat_map(|part| part.iter()).fold(0, |sum: u32, &byte| {
        let [top, ..] = sum.to_be_bytes();
        (sum << 8) ^ TABLE[usize::from(top ^ byte)]
    })
}

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut value, mut bit) = ((index as u32) << 24, 0);
        while bit < 8 {
            value = if value & 0x8000_0000 == 0 { value << 1 } else { (value << 1) ^ 0x04C1_1DB7 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};
