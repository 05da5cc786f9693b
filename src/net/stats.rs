//! Counters of one connection: cheap to count, read as a whole. Those of the process are in `totals`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of one connection. Relaxed: they are read for people.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) messages_sent: Counter,
    pub(super) messages_received: Counter,
    pub(super) bytes_sent: Counter,
    pub(super) bytes_received: Counter,
    pub(super) wire_bytes_sent: Counter,
    pub(super) wire_bytes_received: Counter,
    pub(super) pings_sent: Counter,
    pub(super) pongs_received: Counter,
    pub(super) latency_ns: Counter,
    pub(super) media_frames_sent: Counter,
    pub(super) media_dropped_us: Counter,
}

/// One number that only grows (or is set).
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters at one moment. Bytes are payload unless they say `wire`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the names say it; the Python stub documents each")]
pub struct Snapshot {
    pub messages_sent: u64,
    pub messages_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub wire_bytes_sent: u64,
    pub wire_bytes_received: u64,
    pub pings_sent: u64,
    pub pongs_received: u64,
    pub latency: Duration,
    pub media_frames_sent: u64,
    pub media_frames_received: u64,
    pub media_lost: u64,
    pub media_duplicates: u64,
    pub media_discarded: Duration,
    pub media_dropped: Duration,
    pub media_concealed: Duration,
    pub media_concealed_gaps: u64,
    pub media_recovered: Duration,
    pub media_adjusted: Duration,
    pub media_streams_refused: u64,
    pub unhandled_bytes: u64,
    pub buffered_bytes: u64,
}

impl std::ops::AddAssign<&Self> for Snapshot {
    /// Sums; of the latency the later one that is known.
    fn add_assign(&mut self, other: &Self) {
        // Taken apart, so that a new counter cannot be forgotten here.
        let Self {
            messages_sent,
            messages_received,
            bytes_sent,
            bytes_received,
            wire_bytes_sent,
            wire_bytes_received,
            pings_sent,
            pongs_received,
            latency,
            media_frames_sent,
            media_frames_received,
            media_lost,
            media_duplicates,
            media_discarded,
            media_dropped,
            media_concealed,
            media_concealed_gaps,
            media_recovered,
            media_adjusted,
            media_streams_refused,
            unhandled_bytes,
            buffered_bytes,
        } = other;
        self.messages_sent += messages_sent;
        self.messages_received += messages_received;
        self.bytes_sent += bytes_sent;
        self.bytes_received += bytes_received;
        self.wire_bytes_sent += wire_bytes_sent;
        self.wire_bytes_received += wire_bytes_received;
        self.pings_sent += pings_sent;
        self.pongs_received += pongs_received;
        if !latency.is_zero() {
            self.latency = *latency;
        }
        self.media_frames_sent += media_frames_sent;
        self.media_frames_received += media_frames_received;
        self.media_lost += media_lost;
        self.media_duplicates += media_duplicates;
        self.media_discarded += *media_discarded;
        self.media_dropped += *media_dropped;
        self.media_concealed += *media_concealed;
        self.media_concealed_gaps += media_concealed_gaps;
        self.media_recovered += *media_recovered;
        self.media_adjusted += *media_adjusted;
        self.media_streams_refused += media_streams_refused;
        self.unhandled_bytes += unhandled_bytes;
        self.buffered_bytes += buffered_bytes;
    }
}

impl Stats {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            messages_sent: self.messages_sent.get(),
            messages_received: self.messages_received.get(),
            bytes_sent: self.bytes_sent.get(),
            bytes_received: self.bytes_received.get(),
            wire_bytes_sent: self.wire_bytes_sent.get(),
            wire_bytes_received: self.wire_bytes_received.get(),
            pings_sent: self.pings_sent.get(),
            pongs_received: self.pongs_received.get(),
            latency: Duration::from_nanos(self.latency_ns.get()),
            media_frames_sent: self.media_frames_sent.get(),
            media_dropped: Duration::from_micros(self.media_dropped_us.get()),
            ..Snapshot::default()
        }
    }
}
