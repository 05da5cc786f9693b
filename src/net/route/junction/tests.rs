use std::time::Duration;

use super::*;
use crate::net::core;
use crate::net::route::MediaSink;

const MS: Duration = Duration::from_millis(1);

/// Hears everything.
struct Ear {
    id: u64,
    heard: Mutex<Vec<(u64, Instant, Vec<i16>)>>,
}

impl MediaSink for Ear {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        8000
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn frame(&self, from: u64, now: Instant, pcm: &[i16]) -> bool {
        lock(&self.heard).push((from, now, pcm.to_vec()));
        true
    }
}

/// A junction on a clock of its own: the pacer's is an hour behind.
struct Bench {
    ear: Arc<Ear>,
    junction: Arc<Junction>,
    start: Instant,
    next: Option<Instant>,
}

impl Bench {
    fn new() -> Self {
        let core = core().expect("a core");
        let ear = Arc::new(Ear { id: core.next_id(), heard: Mutex::default() });
        let sink = Sink::Unit(ear.clone());
        let junction = Junction::join(&core, &sink, &RouteParams::default(), 1, 1).expect("joined");
        let again = Junction::join(&core, &sink, &RouteParams::default(), 2, 2).expect("joined");
        assert!(Arc::ptr_eq(&junction, &again));
        let start = Instant::now() + Duration::from_hours(1);
        for route in [1, 2] {
            junction.begin(route, "", None);
        }
        Self { ear, junction, start, next: None }
    }

    /// Ticks up to this many ms after the start.
    fn until(&mut self, ms: u32) {
        let until = self.start + MS * ms;
        self.next = self.next.or_else(|| lock(&self.junction.state).next.map(|next| next + GRACE));
        while let Some(at) = self.next.filter(|at| *at <= until) {
            self.next = self.junction.tick(at);
        }
    }

    /// Route 1 or 2 gives a frame of this value, this many ms after the start.
    fn give(&mut self, route: u64, ms: u32, value: i16) {
        self.until(ms);
        assert!(self.junction.give(route, self.start + MS * ms, &[value; 4]));
    }

    /// When each frame was heard, in ms, and its samples' value.
    fn heard(&self) -> Vec<(u128, i16)> {
        let heard = lock(&self.ear.heard);
        let one = |(_, at, pcm): &(u64, Instant, Vec<i16>)| {
            assert_eq!(*pcm, [pcm[0]; 4]);
            (at.duration_since(self.start).as_millis(), pcm[0])
        };
        heard.iter().map(one).collect()
    }
}

#[test]
fn one_source_goes_straight_through_and_others_after_it_too() {
    let mut bench = Bench::new();
    for n in 0..10 {
        bench.give(1, 20 * n, n as i16);
    }
    bench.junction.over(1);
    // Nothing is left of the first one: the second need not be mixed with it.
    for n in 10..20 {
        bench.give(2, 20 * n - 15, n as i16);
    }
    let expected: Vec<_> = (0..20).map(|n| (if n < 10 { 20 * n } else { 20 * n - 15 }, n as i16)).collect();
    assert_eq!(bench.heard(), expected);
    let from: Vec<u64> = lock(&bench.ear.heard).iter().map(|(from, ..)| *from).collect();
    assert_eq!(from, [[1; 10], [2; 10]].concat());
}

#[test]
fn two_are_added_to_the_sample_on_the_time_of_the_first_and_none_is_lost_on_the_way_in_or_out() {
    let mut bench = Bench::new();
    // 2 begins 107 ms after 1 (so 7 ms into its frame) and ends before it.
    for ms in 0..1000 {
        if ms % 20 == 0 {
            bench.give(1, ms, 1 + (ms / 20) as i16);
        }
        if ms % 20 == 7 && (107..807).contains(&ms) {
            bench.give(2, ms, 1000 * (1 + ((ms - 107) / 20) as i16 % 10));
        }
        if ms == 800 {
            bench.junction.over(2);
        }
    }
    bench.until(2000);
    let heard = bench.heard();
    let first: Vec<i16> = (1..=50).collect();
    let second: Vec<i16> = (0..35).map(|n| 1000 * (1 + n % 10)).collect();
    // Frames 0 to 5 of the first were alone, then 35 of both; each is heard 20 ms after the one before it.
    let expected: Vec<(u128, i16)> = (0..50)
        .map(|n: usize| (20 * n as u128, first[n] + n.checked_sub(6).and_then(|m| second.get(m)).unwrap_or(&0)))
        .collect();
    assert_eq!(heard, expected);
}

#[test]
fn a_source_that_stalls_is_no_longer_waited_for_and_comes_back() {
    let mut bench = Bench::new();
    let mut sent = 0;
    for ms in 0..2000 {
        if ms % 20 == 3 {
            bench.give(1, ms, 1);
        }
        // Not heard between 400 and 1400, and nobody said that it is over.
        if ms % 20 == 13 && !(400..1400).contains(&ms) {
            bench.give(2, ms, 100);
            sent += 100;
        }
    }
    bench.until(3000);
    let heard = bench.heard();
    let sum: i32 = heard.iter().map(|(_, value)| i32::from(*value)).sum();
    assert_eq!(sum, sent + 100);
    for pair in heard.windows(2) {
        assert!(pair[1].0 - pair[0].0 <= 20, "a hole between {pair:?}");
    }
    // In the second without the other one it went straight through, in its own time.
    assert_eq!(heard.iter().filter(|(at, value)| *value == 1 && (600..1400).contains(at) && at % 20 == 3).count(), 40);
}

#[test]
fn both_may_end_at_once_and_leave_nothing_behind() {
    let mut bench = Bench::new();
    for n in 0..5 {
        bench.give(1, 20 * n, i16::MAX);
        bench.give(2, 20 * n + 1, i16::MAX);
    }
    assert!(lock(&bench.junction.state).figures(2).mixed);
    bench.junction.leave(1);
    bench.junction.leave(2);
    bench.until(1000);
    let heard = bench.heard();
    assert_eq!(heard.len(), 6);
    assert!(heard.iter().all(|(_, value)| *value == i16::MAX), "it saturates");
    assert_eq!(lock(&bench.junction.state).figures(2), PortFigures::default());
    let state = lock(&bench.junction.state);
    assert!(state.ports.is_empty() && state.next.is_none());
}

#[test]
fn a_burst_is_bounded_and_counted() {
    let mut bench = Bench::new();
    bench.give(1, 0, 1);
    for _ in 0..14 {
        bench.give(2, 1, 2);
    }
    let figures = lock(&bench.junction.state).figures(2);
    assert_eq!((figures.waiting, figures.discarded, figures.played), (40, 16, 0));
}

#[test]
fn a_junction_is_forgotten_with_its_last_route() {
    let bench = Bench::new();
    let (core, key) = (Arc::clone(&bench.junction.core), (bench.ear.id, String::new()));
    assert!(lock(&core.junctions).contains_key(&key));
    let junction = Arc::downgrade(&bench.junction);
    drop(bench);
    assert_eq!(junction.strong_count(), 0);
    assert!(!lock(&core.junctions).contains_key(&key));
}
