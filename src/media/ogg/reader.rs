//! Reading an Ogg Opus stream: bytes in pieces of any size, packets out.
//!
//! Damage never ends it: what is no page is skipped, lost pages are a gap, and the next page goes on. It keeps at most one page
//! and one packet.

use super::MAX_PACKET;
use super::header::{Head, HeadError, Tags};
use super::page::{self, Found, NO_GRANULE, Page};
use crate::media::opus;

/// How many bytes of false pages are checked for each byte received, and besides.
const CHECKED_PER_BYTE: u64 = 16;
const CHECKED_FREE: u64 = 1 << 20;

/// What a reader finds, in the order of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A stream begins. Chained streams (RFC 3533 section 4) begin one after the other: each wants a fresh decoder.
    Start(Head),
    /// What its comments say.
    Tags(Tags),
    /// A packet to decode.
    Packet {
        /// Its bytes.
        data: &'a [u8],
        /// How many of the samples (of one channel, at 48 kHz) it decodes to are to be left out at the start: pre-skip.
        skip: usize,
        /// How many are to be played after those; the rest is trimmed off the end of the stream.
        samples: usize,
    },
    /// Pages are missing before what comes next; by their positions they held so many samples at 48 kHz, or `None` when
    /// they do not tell.
    Gap {
        /// Samples of one channel.
        samples: Option<u64>,
    },
    /// The stream ended as it should.
    End,
    /// A stream that cannot be decoded here begins; it is left out.
    Refused(HeadError),
}

/// What went wrong without ending the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes that belonged to no page.
    pub skipped_bytes: u64,
    /// What looked like a page until its checksum.
    pub damaged_pages: u64,
    /// Times that the page numbers jumped.
    pub gaps: u64,
    /// Packets that were no Opus, too long, or lacked a part.
    pub dropped_packets: u64,
}

/// Takes the bytes of an Ogg Opus stream and gives its packets.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Bytes of a page that is not complete.
    buffer: Vec<u8>,
    link: Option<Link>,
    /// Bytes taken, and bytes of what were no pages after all.
    received: u64,
    checked: u64,
    statistics: Statistics,
}

/// The logical stream that is being read.
#[derive(Clone, Debug)]
struct Link {
    serial: u32,
    /// The number that the next page should have.
    sequence: u32,
    stage: Stage,
    /// The beginning of a packet that goes on in the next page.
    partial: Option<Vec<u8>>,
    /// Samples still to be left out at the start.
    pre_skip: usize,
    /// The granule position after the last packet; `None` before the first page with audio.
    position: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Tags,
    Audio,
    /// Not for us, or over: wait for the next stream.
    Ignored,
}

impl Reader {
    /// A reader at the start of a stream, or anywhere in a chain: it waits for the next beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes some bytes and calls `event` for all that they complete.
    pub fn push(&mut self, bytes: &[u8], event: impl FnMut(Event<'_>)) {
        self.received += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        self.look(false, event);
    }

    /// No more bytes come: `event` is called for pages in what waited for the rest of a page that was none, and the rest is
    /// forgotten. A stream that was cut off gives no [`Event::End`].
    pub fn finish(&mut self, event: impl FnMut(Event<'_>)) {
        self.look(true, event);
    }

    fn look(&mut self, finished: bool, mut event: impl FnMut(Event<'_>)) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let bytes = match page::find(rest) {
                Found::Page(page, length) => {
                    self.page(&page, &mut event);
                    rest = rest.get(length..).unwrap_or_default();
                    continue;
                }
                Found::Incomplete if !finished => break,
                Found::Incomplete => 1,
                Found::Skip(bytes) => bytes,
                Found::Damaged(length) => {
                    self.checked += length as u64;
                    self.statistics.damaged_pages += 1;
                    // A page may begin within; but whoever puts headers into headers does not get a checksum of 64 KiB
                    // computed for each of them.
                    if self.checked <= CHECKED_PER_BYTE * self.received + CHECKED_FREE { 1 } else { length }
                }
            };
            self.statistics.skipped_bytes += bytes as u64;
            rest = rest.get(bytes..).unwrap_or_default();
        }
        let used = buffer.len() - rest.len();
        buffer.drain(..used);
        // A large piece leaves no large buffer behind.
        buffer.shrink_to(page::MAX_PAGE);
        self.buffer = buffer;
    }

    /// What went wrong so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Bytes kept for later.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity() + self.link.as_ref().and_then(|link| link.partial.as_ref()).map_or(0, Vec::len)
    }

    /// Bytes of false pages that a checksum was computed of.
    #[cfg(test)]
    pub(super) fn checked(&self) -> u64 {
        self.checked
    }

    fn page(&mut self, page: &Page<'_>, event: &mut impl FnMut(Event<'_>)) {
        if page.first {
            self.begin(page, event);
            return;
        }
        // Pages of other streams are multiplexed with ours, or theirs is the beginning that we missed.
        let Some(link) = self.link.as_mut().filter(|link| link.serial == page.serial) else { return };
        if link.stage == Stage::Ignored {
            return;
        }
        let jumped = page.sequence != link.sequence;
        link.sequence = page.sequence.wrapping_add(1);
        if jumped {
            self.statistics.gaps += 1;
        }
        // Part of a packet whose other part is missing.
        if link.partial.is_some() && (jumped || !page.continued) {
            link.partial = None;
            self.statistics.dropped_packets += 1;
        }
        let orphan = page.continued && link.partial.is_none();
        let packets = link.cut(page, orphan, &mut self.statistics);
        link.deliver(page, packets, jumped, &mut self.statistics, event);
        if page.last {
            link.stage = Stage::Ignored;
            event(Event::End);
        }
    }

    /// A page that begins a logical stream: ours, if it is Opus and we are not in the middle of the headers of another.
    fn begin(&mut self, page: &Page<'_>, event: &mut impl FnMut(Event<'_>)) {
        if !Head::is(page.body) || self.link.as_ref().is_some_and(|link| link.stage == Stage::Tags) {
            return;
        }
        let (stage, pre_skip) = match Head::parse(page.body) {
            Ok(head) => {
                event(Event::Start(head));
                (Stage::Tags, usize::from(head.pre_skip))
            }
            Err(error) => {
                event(Event::Refused(error));
                (Stage::Ignored, 0)
            }
        };
        let sequence = page.sequence.wrapping_add(1);
        self.link = Some(Link { serial: page.serial, sequence, stage, partial: None, pre_skip, position: None });
    }
}

/// A packet that ends on a page: from the page alone, or with what came before.
enum Cut<'a> {
    Whole(&'a [u8]),
    Joined(Vec<u8>),
}

impl Cut<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

impl Link {
    /// The packets that end on a page; the beginning of one that does not is kept. `orphan`: the first is the end of
    /// one whose beginning is missing.
    fn cut<'a>(&mut self, page: &Page<'a>, mut orphan: bool, statistics: &mut Statistics) -> Vec<Cut<'a>> {
        let mut packets = vec![];
        let (mut body, mut length) = (page.body, 0);
        for &lace in page.lacing {
            length += usize::from(lace);
            if lace == 255 {
                continue;
            }
            let Some((packet, after)) = body.split_at_checked(length) else { break };
            (body, length) = (after, 0);
            let partial = self.partial.take();
            if std::mem::take(&mut orphan) {
                statistics.dropped_packets += 1;
                continue;
            }
            packets.push(match partial {
                Some(mut joined) => {
                    extend(&mut joined, packet);
                    Cut::Joined(joined)
                }
                None => Cut::Whole(packet),
            });
        }
        if length > 0 && !orphan {
            extend(self.partial.get_or_insert_default(), body);
        }
        packets
    }

    fn deliver(
        &mut self,
        page: &Page<'_>,
        packets: Vec<Cut<'_>>,
        jumped: bool,
        statistics: &mut Statistics,
        event: &mut impl FnMut(Event<'_>),
    ) {
        let mut audio = Vec::with_capacity(packets.len());
        for packet in packets {
            let bytes = packet.bytes();
            if self.stage == Stage::Tags {
                // What follows the header is the comments; audio, when their page is lost.
                self.stage = Stage::Audio;
                if Tags::is(bytes) {
                    event(Event::Tags(Tags::parse(bytes)));
                    continue;
                }
            }
            match opus::packet_samples(bytes, opus::RATE) {
                Ok(samples) if bytes.len() <= MAX_PACKET => audio.push((packet, samples)),
                _ => statistics.dropped_packets += 1,
            }
        }
        let on_page: u64 = audio.iter().map(|(_, samples)| *samples as u64).sum();
        // Where the page's packets begin, by its granule position; a stream's first page may begin anywhere (section 4.3),
        // and at 0 when the end is trimmed.
        let told = (page.granule != NO_GRANULE).then(|| page.granule.saturating_sub(on_page));
        if jumped {
            let samples = match (told, self.position) {
                (Some(start), Some(position)) => Some(start.saturating_sub(position)),
                _ => None,
            };
            event(Event::Gap { samples });
        }
        let start = match (self.position, told) {
            (Some(position), _) if !jumped => position,
            (_, Some(start)) => start,
            (position, None) => position.unwrap_or(0),
        };
        let mut position = start;
        for (packet, samples) in audio {
            let skip = self.pre_skip.min(samples);
            self.pre_skip -= skip;
            let mut end = position.saturating_add(samples as u64);
            if page.last && page.granule != NO_GRANULE {
                end = end.min(page.granule.max(position));
            }
            let kept = usize::try_from(end - position).unwrap_or(samples);
            event(Event::Packet { data: packet.bytes(), skip, samples: kept.saturating_sub(skip) });
            position = position.saturating_add(samples as u64);
        }
        if on_page > 0 || jumped {
            // What the page says is right also where packets of it were dropped.
            let known = (page.granule != NO_GRANULE && !page.last).then_some(page.granule);
            self.position = Some(known.unwrap_or(position));
        }
    }
}

/// Adds to a packet in the making. What is longer than any packet may be is cut there, and one byte too long to be taken.
fn extend(partial: &mut Vec<u8>, bytes: &[u8]) {
    let room = (MAX_PACKET + 1).saturating_sub(partial.len());
    partial.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}
