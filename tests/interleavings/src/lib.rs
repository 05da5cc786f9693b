//! `src/net/handoff.rs` and `src/net/pressure.rs`, compiled with loom's atomics. A wake-up that can be lost is a deadlock, which
//! loom reports.

#[path = "../../../src/net/handoff.rs"]
pub mod handoff;
#[path = "../../../src/net/pressure.rs"]
#[allow(dead_code, reason = "its other users are in the core")]
mod pressure;

mod sync {
    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
}

#[cfg(test)]
mod tests {
    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::handoff::Handoff;
    use super::pressure::Pressure;

    /// A handle that stays readable until it is cleared, as an eventfd does.
    struct Wake {
        set: AtomicBool,
        changed: Notify,
    }

    impl Default for Wake {
        fn default() -> Self {
            Self { set: AtomicBool::new(false), changed: Notify::new() }
        }
    }

    // Writes read the newest value, as system calls do.
    impl Wake {
        fn set(&self) {
            self.set.swap(true, Ordering::AcqRel);
            self.changed.notify();
        }

        fn clear(&self) {
            self.set.swap(false, Ordering::AcqRel);
        }

        fn wait(&self) {
            while !self.set.fetch_or(false, Ordering::AcqRel) {
                self.changed.wait();
            }
        }
    }

    #[derive(Default)]
    struct Queue {
        items: Handoff<(usize, usize)>,
        wake: Wake,
    }

    impl Queue {
        fn post(&self, item: (usize, usize)) {
            self.items.post([item], || self.wake.set());
        }
    }

    /// What the loop does: wait, take, handle at most `budget`, have itself called again for the rest.
    fn receive(queue: &Queue, count: usize, budget: usize) -> Vec<(usize, usize)> {
        let (mut pending, mut handled) = (std::collections::VecDeque::new(), Vec::new());
        while handled.len() < count {
            queue.wake.wait();
            pending.extend(queue.items.take(|| queue.wake.clear()));
            for _ in 0..budget {
                handled.extend(pending.pop_front());
            }
            if !pending.is_empty() {
                queue.items.again(|| queue.wake.set());
            }
        }
        handled
    }

    /// Every interleaving in which at most three times a thread has to stop where it could go on.
    fn bounded(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    fn handed_off(senders: usize, each: usize, budget: usize) {
        bounded(move || {
            let queue = Arc::new(Queue::default());
            let threads: Vec<_> = (0..senders)
                .map(|sender| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || (0..each).for_each(|number| queue.post((sender, number))))
                })
                .collect();
            let handled = receive(&queue, senders * each, budget);
            for thread in threads {
                thread.join().unwrap();
            }
            for sender in 0..senders {
                let numbers: Vec<_> = handled.iter().filter(|item| item.0 == sender).map(|item| item.1).collect();
                assert_eq!(numbers, (0..each).collect::<Vec<_>>());
            }
        });
    }

    #[test]
    fn nothing_is_lost_from_one_sender() {
        handed_off(1, 3, 8);
    }

    #[test]
    fn nothing_is_lost_when_the_budget_is_used_up() {
        handed_off(1, 2, 1);
    }

    #[test]
    fn nothing_is_lost_from_two_senders() {
        handed_off(2, 1, 8);
    }

    #[test]
    fn after_the_close_nothing_is_taken_in() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let sender = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.post((0, 0)))
            };
            assert!(queue.items.close());
            assert!(!queue.items.close());
            sender.join().unwrap();
            queue.post((0, 1));
            assert!(queue.items.take(|| ()).len() <= 1);
        });
    }

    /// The reader charges a message that goes over the limit while the application handles those before it: reading goes on.
    #[test]
    fn reading_goes_on_when_everything_is_handled() {
        loom::model(|| {
            let (pressure, wake) = (Arc::new(Pressure::new(4)), Arc::new(Wake::default()));
            pressure.charge(4, || unreachable!("it is not over the limit"));
            let application = {
                let (pressure, wake) = (Arc::clone(&pressure), Arc::clone(&wake));
                thread::spawn(move || pressure.release(4, || wake.set()))
            };
            pressure.charge(1, || wake.set());
            while pressure.is_paused() {
                wake.wait();
                wake.clear();
            }
            application.join().unwrap();
            assert_eq!(pressure.unhandled(), 1);
            assert!(!pressure.is_paused());
        });
    }

    /// Two threads handle messages (a recv and a handler's task) and the reader charges.
    #[test]
    fn reading_goes_on_whoever_handles_the_last() {
        bounded(|| {
            let (pressure, wake) = (Arc::new(Pressure::new(4)), Arc::new(Wake::default()));
            pressure.charge(4, || unreachable!("it is not over the limit"));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (pressure, wake) = (Arc::clone(&pressure), Arc::clone(&wake));
                    thread::spawn(move || pressure.release(2, || wake.set()))
                })
                .collect();
            pressure.charge(1, || wake.set());
            while pressure.is_paused() {
                wake.wait();
                wake.clear();
            }
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(!pressure.is_paused());
        });
    }
}
