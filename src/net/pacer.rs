//! One thread that keeps the time of many streams: it sleeps until the earliest deadline and ticks whatever is due.
//! A thread of its own, because a tokio worker may be busy with a long message of somebody else just then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::runtime::lock;

/// Something that plays in real time.
pub(super) trait Paced: Send + Sync {
    /// Plays what is due at `now`; answers the next deadline, or `None` to sleep until it is scheduled again.
    fn tick(&self, now: Instant) -> Option<Instant>;
    /// Its place in the pacer.
    fn slot(&self) -> &Slot;
}

/// When an object is due next, as its pacer knows it. One per object.
#[derive(Debug)]
pub(super) struct Slot(AtomicU64);

const IDLE: u64 = u64::MAX;

impl Slot {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(IDLE))
    }
}

/// Deadlines are rounded up to this, so that streams share wake-ups. 20 ms frames keep their distance all the same,
/// because it divides 20 ms.
const GRID_NS: u64 = 1_000_000;

struct Entry {
    at: u64,
    what: Arc<dyn Paced>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

struct Shared {
    heap: Mutex<Heap>,
    changed: Condvar,
    epoch: Instant,
}

#[derive(Default)]
struct Heap {
    due: BinaryHeap<Reverse<Entry>>,
    stopped: bool,
}

/// A handle on one pacer thread.
pub(super) struct Pacer {
    shared: Arc<Shared>,
}

impl Pacer {
    /// Starts the thread.
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared { heap: Mutex::default(), changed: Condvar::new(), epoch: Instant::now() });
        let inner = Arc::clone(&shared);
        std::thread::Builder::new().name("voxwire-pacer".into()).spawn(move || inner.run())?;
        Ok(Self { shared })
    }

    /// Has `what` ticked at `at`, unless it is due earlier already.
    pub(super) fn schedule(&self, what: Arc<dyn Paced>, at: Instant) {
        let shared = &self.shared;
        let at = shared.steps(at);
        if what.slot().0.fetch_min(at, Ordering::AcqRel) <= at {
            return;
        }
        let mut heap = lock(&shared.heap);
        let earliest = heap.due.peek().is_none_or(|Reverse(first)| at < first.at);
        heap.due.push(Reverse(Entry { at, what }));
        drop(heap);
        if earliest {
            shared.changed.notify_one();
        }
    }

    /// Ends the thread; what was scheduled is not ticked any more.
    pub(super) fn stop(&self) {
        lock(&self.shared.heap).stopped = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    /// Steps of the grid since the epoch, rounded up.
    fn steps(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.epoch).as_nanos() as u64).div_ceil(GRID_NS)
    }

    fn run(&self) {
        let mut batch = Vec::new();
        while self.wait(&mut batch) {
            for entry in batch.drain(..) {
                let slot = &entry.what.slot().0;
                // Another entry of the same object was earlier and has moved its deadline: this one is stale.
                if slot.compare_exchange(entry.at, IDLE, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    continue;
                }
                let Some(next) = entry.what.tick(Instant::now()) else { continue };
                let at = self.steps(next);
                if slot.fetch_min(at, Ordering::AcqRel) > at {
                    lock(&self.heap).due.push(Reverse(Entry { at, what: entry.what }));
                }
            }
        }
    }

    /// Waits for the earliest deadline and takes all that is due; false when the pacer is stopped.
    fn wait(&self, batch: &mut Vec<Entry>) -> bool {
        let mut heap = lock(&self.heap);
        loop {
            if heap.stopped {
                heap.due.clear();
                return false;
            }
            let now = self.epoch.elapsed();
            let due = heap.due.peek().map(|Reverse(first)| Duration::from_nanos(first.at * GRID_NS));
            match due {
                Some(due) if due <= now => {
                    let until = now.as_nanos() as u64 / GRID_NS;
                    while heap.due.peek().is_some_and(|Reverse(first)| first.at <= until) {
                        batch.extend(heap.due.pop().map(|Reverse(entry)| entry));
                    }
                    return true;
                }
                Some(due) => {
                    heap = self
                        .changed
                        .wait_timeout(heap, due.saturating_sub(now))
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .0;
                }
                None => {
                    heap = self.changed.wait(heap).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Ticker {
        slot: Slot,
        sent: mpsc::Sender<Instant>,
        next: Mutex<Instant>,
        left: AtomicU64,
    }

    impl Paced for Ticker {
        fn tick(&self, now: Instant) -> Option<Instant> {
            self.sent.send(now).ok()?;
            if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                return None;
            }
            let mut next = lock(&self.next);
            *next += Duration::from_millis(20);
            Some(*next)
        }

        fn slot(&self) -> &Slot {
            &self.slot
        }
    }

    #[test]
    fn ticks_never_come_early_and_an_earlier_schedule_wins() {
        let pacer = Pacer::start().expect("a thread");
        let (sent, ticks) = mpsc::channel();
        let start = Instant::now() + Duration::from_millis(30);
        let ticker = Arc::new(Ticker { slot: Slot::new(), sent, next: Mutex::new(start), left: AtomicU64::new(5) });
        pacer.schedule(ticker.clone(), start + Duration::from_hours(1));
        pacer.schedule(ticker.clone(), start);
        pacer.schedule(ticker, start + Duration::from_mins(1));
        for n in 0..5 {
            let at = ticks.recv_timeout(Duration::from_secs(20)).expect("a tick");
            assert!(at >= start + n * Duration::from_millis(20));
        }
        assert!(ticks.recv_timeout(Duration::from_millis(50)).is_err(), "ticked after its end");
        pacer.stop();
    }
}
