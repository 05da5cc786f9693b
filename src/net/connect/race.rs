//! Happy Eyeballs (RFC 8305): in which order the addresses of a host are tried, and when the next attempt begins. Time
//! is an argument here; the sockets are in `dial`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The attempts to reach one host.
#[derive(Debug)]
pub(super) struct Race {
    waiting: VecDeque<SocketAddr>,
    /// Head start of an attempt over the next one; `None`: the next one waits until it has failed.
    delay: Option<Duration>,
    running: usize,
    /// When the next attempt begins although others are running.
    next_at: Option<Instant>,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin an attempt at this address, and ask again.
    Begin(SocketAddr),
    /// Wait for a running attempt, at most until this time; then ask again.
    Wait(Option<Instant>),
    /// All have failed.
    Lost,
}

impl Race {
    /// A race among `addresses`, in the order of the resolver (RFC 6724), which the families share in turns.
    pub(super) fn new(addresses: impl IntoIterator<Item = SocketAddr>, delay: Option<Duration>) -> Self {
        Self { waiting: interleaved(addresses), delay, running: 0, next_at: None }
    }

    /// What to do at `now`.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        let due = self.running == 0 || self.next_at.is_some_and(|at| at <= now);
        match self.waiting.pop_front_if(|_| due) {
            Some(address) => {
                self.running += 1;
                self.next_at = self.delay.map(|delay| now + delay);
                Step::Begin(address)
            }
            None if self.running == 0 => Step::Lost,
            None => Step::Wait(self.next_at.filter(|_| !self.waiting.is_empty())),
        }
    }

    /// An attempt has failed: the next one, if any, begins at once.
    pub(super) fn failed(&mut self, now: Instant) {
        self.running = self.running.saturating_sub(1);
        self.next_at = self.delay.map(|_| now);
    }
}

/// Each address once, the families in turns, beginning with that of the first (RFC 8305 section 4).
fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) = unique.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut order = VecDeque::new();
    loop {
        let before = order.len();
        order.extend(preferred.next());
        order.extend(other.next());
        if order.len() == before {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(250);

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().expect("an address")).collect()
    }

    fn begun(race: &mut Race, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| match race.step(now) {
            Step::Begin(address) => Some(address.to_string()),
            Step::Wait(_) | Step::Lost => None,
        })
        .collect()
    }

    #[test]
    fn families_take_turns_and_no_address_comes_twice() {
        let order = |list: &[&str]| interleaved(addresses(list)).iter().map(ToString::to_string).collect::<Vec<_>>();
        let mixed = ["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
        assert_eq!(order(&mixed), ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(order(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]), ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
        assert_eq!(order(&["1.1.1.1:1", "1.1.1.1:1", "1.1.1.1:2"]), ["1.1.1.1:1", "1.1.1.1:2"]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn an_attempt_begins_every_250_ms_while_none_answers() {
        let start = Instant::now();
        let mut race = Race::new(addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1"]), Some(DELAY));
        assert_eq!(begun(&mut race, start), ["[::1]:1"]);
        assert_eq!(race.step(start), Step::Wait(Some(start + DELAY)));
        let early = start + DELAY.checked_sub(Duration::from_nanos(1)).expect("long enough");
        assert!(begun(&mut race, early).is_empty());
        assert_eq!(begun(&mut race, start + DELAY), ["1.1.1.1:1"]);
        // A loop that was held up begins one attempt, not all that it missed.
        let late = start + 5 * DELAY;
        assert_eq!(begun(&mut race, late), ["[::2]:1"]);
        assert_eq!(race.step(late + DELAY), Step::Wait(None));
    }

    #[test]
    fn a_failure_begins_the_next_attempt_at_once() {
        let start = Instant::now();
        let mut race = Race::new(addresses(&["[::1]:1", "1.1.1.1:1", "2.2.2.2:1"]), Some(DELAY));
        assert_eq!(begun(&mut race, start), ["[::1]:1"]);
        let soon = start + DELAY / 5;
        race.failed(soon);
        assert_eq!(begun(&mut race, soon), ["1.1.1.1:1"]);
        assert_eq!(race.step(soon), Step::Wait(Some(soon + DELAY)));
        assert_eq!(begun(&mut race, soon + DELAY), ["2.2.2.2:1"]);
        race.failed(soon + DELAY);
        assert_eq!(race.step(soon + DELAY), Step::Wait(None));
        race.failed(soon + DELAY);
        assert_eq!(race.step(soon + DELAY), Step::Lost);
    }

    #[test]
    fn without_a_delay_one_after_the_other() {
        let start = Instant::now();
        let mut race = Race::new(addresses(&["[::1]:1", "1.1.1.1:1"]), None);
        assert_eq!(begun(&mut race, start), ["[::1]:1"]);
        assert_eq!(race.step(start + 100 * DELAY), Step::Wait(None));
        race.failed(start + 100 * DELAY);
        assert_eq!(begun(&mut race, start + 100 * DELAY), ["1.1.1.1:1"]);
        race.failed(start + 101 * DELAY);
        assert_eq!(race.step(start + 101 * DELAY), Step::Lost);
        assert_eq!(Race::new([], Some(DELAY)).step(start), Step::Lost);
    }
}
