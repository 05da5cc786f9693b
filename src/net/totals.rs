//! Counters of the process: what has become of its connections, the latency of all of them, and the sums of those that
//! have ended. Nothing here is touched for a message: a connection counts for itself and is added when it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::mailbox::Closed;
use super::stats::{Counter, Snapshot};

/// Upper bounds of the latency histogram, in microseconds; above the last there is one bucket more.
pub const LATENCY_BOUNDS_US: [u64; 13] =
    [1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000];
/// The classes of close codes: RFC 6455's one by one, the ranges that applications use as a whole, so that a peer cannot
/// make more of them.
const CLASSES: [&str; 19] = [
    "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012", "1013",
    "1014", "1015", "3xxx", "4xxx", "other",
];

/// What happened to connections, all of the process.
#[derive(Debug, Default)]
pub struct Totals {
    pub(super) opened: Counter,
    pub(super) failed: Counter,
    pub(super) refused: Counter,
    pub(super) reconnects: Counter,
    closed: [Counter; CLASSES.len()],
    pub(super) latency: Histogram,
}

impl Totals {
    /// An open connection has ended.
    pub(super) fn closed(&self, closed: &Closed) {
        let class = match closed.code {
            code @ 1000..=1015 => usize::from(code - 1000),
            3000..=3999 => 16,
            4000..=4999 => 17,
            _ => 18,
        };
        self.closed[class].add(1);
    }
}

/// Round trips by their length.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [Counter; LATENCY_BOUNDS_US.len() + 1],
    sum_us: Counter,
    max_us: AtomicU64,
}

impl Histogram {
    pub(super) fn record(&self, value: Duration) {
        let us = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.buckets[LATENCY_BOUNDS_US.partition_point(|&bound| bound < us)].add(1);
        self.sum_us.add(usize::try_from(us).unwrap_or(usize::MAX));
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }
}

/// The counters of the process at one moment.
#[derive(Debug, Clone, Default)]
pub struct ProcessSnapshot {
    /// The sums of all connections, ended ones too; the queue depths are those of now.
    pub sums: Snapshot,
    /// Outgoing connections on their way.
    pub connecting: u64,
    /// Connections open now.
    pub open: u64,
    /// Connections that were ever open.
    pub opened: u64,
    /// Outgoing connections that never were.
    pub failed: u64,
    /// Connections that listeners refused because there were too many.
    pub refused: u64,
    /// Connections that took the place of a lost one.
    pub reconnects: u64,
    /// How many open connections ended with which class of close code.
    pub closed: Vec<(&'static str, u64)>,
    /// Round trips of pings in each bucket of `LATENCY_BOUNDS_US`, and above.
    pub latency: Vec<u64>,
    /// The sum of these round trips.
    pub latency_sum: Duration,
    /// The longest of them.
    pub latency_max: Duration,
}

impl ProcessSnapshot {
    pub(super) fn new(totals: &Totals, ended: Snapshot) -> Self {
        let latency = &totals.latency;
        Self {
            sums: ended,
            connecting: 0,
            open: 0,
            opened: totals.opened.get(),
            failed: totals.failed.get(),
            refused: totals.refused.get(),
            reconnects: totals.reconnects.get(),
            closed: CLASSES.iter().zip(&totals.closed).map(|(class, n)| (*class, n.get())).collect(),
            latency: latency.buckets.iter().map(Counter::get).collect(),
            latency_sum: Duration::from_micros(latency.sum_us.get()),
            latency_max: Duration::from_micros(latency.max_us.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 1000, 1001, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let buckets: Vec<u64> = histogram.buckets.iter().map(Counter::get).collect();
        assert_eq!((buckets[0], buckets[1], buckets[12], buckets[13]), (2, 1, 1, 1));
        assert_eq!(buckets.iter().sum::<u64>(), 5);
        assert_eq!(histogram.max_us.load(Ordering::Relaxed), 10_000_001);
    }

    #[test]
    fn a_peer_cannot_make_classes_of_close_codes() {
        let totals = Totals::default();
        for code in [1000, 1015, 3000, 3999, 4000, 4999, 999, 1016, 2999, 5000, u16::MAX] {
            totals.closed(&Closed { code, reason: String::new(), was_clean: true });
        }
        let closed = ProcessSnapshot::new(&totals, Snapshot::default()).closed;
        let counted: Vec<_> = closed.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [("1000", 1), ("1015", 1), ("3xxx", 2), ("4xxx", 2), ("other", 5)]);
    }
}
