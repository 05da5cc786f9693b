//! A pause against a stepped clock: nothing is heard, nothing is lost, and nothing follows from it.

use super::*;

impl Bench {
    /// Pushes 20 ms every 20 ms from `from` to `to` ms, and runs on.
    fn talk(&mut self, from: u64, to: u64) {
        for at in (from..to).step_by(20) {
            self.run(at);
            self.push(1000, FRAME);
        }
        self.run(to);
    }

    fn heard(&self, from: u64, to: u64) -> usize {
        self.audible().iter().filter(|&&at| at >= from as f64 && at < to as f64).count()
    }
}

#[test]
fn nothing_is_played_in_a_pause_and_all_of_it_afterwards() {
    let mut bench = bench();
    bench.talk(0, 505);
    bench.stream.pause(bench.now);
    bench.stream.pause(bench.now);
    let before = bench.stream.buffered();
    bench.talk(520, 3000);
    assert_eq!(bench.heard(506, 3000), 0);
    assert_eq!(bench.stream.buffered(), before + ms(124 * 20));
    assert_eq!(bench.stream.next_deadline(), None);
    bench.stream.resume(bench.now);
    bench.run(3000);
    assert_eq!(bench.audible().last(), Some(&3000.0), "heard at once");
    bench.run(20_000);
    assert_eq!(bench.audible().len(), 26 + 124, "every frame");
    assert_eq!(bench.stream.counters().discarded_samples, 0);
}

#[test]
fn resuming_within_the_last_frame_goes_on_right_behind_it() {
    let mut bench = bench();
    bench.push(1000, 50 * FRAME);
    bench.run(105);
    bench.stream.pause(bench.now);
    bench.run(110);
    bench.stream.resume(bench.now);
    bench.run(5000);
    assert_eq!(bench.audible(), (0..50).map(|n| f64::from(n) * 20.0).collect::<Vec<_>>());
}

#[test]
fn a_pause_is_no_silence() {
    let mut bench = bench();
    bench.talk(0, 500);
    bench.run(800); // 0.3 s of silence
    bench.stream.pause(bench.now);
    bench.run(60_000);
    assert_eq!(bench.events().len(), 1, "no end in a pause");
    bench.stream.resume(bench.now);
    bench.run(70_000);
    let Some(Ended(at, duration)) = bench.events().last().cloned() else { panic!("{:?}", bench.events()) };
    assert_eq!((at - 60_000.0, duration), (1000.0 - (800.0 - 520.0), ms(500)));
}

#[test]
fn a_stream_that_was_stopped_ends_when_it_has_nothing_left_to_play() {
    let mut bench = bench();
    bench.talk(0, 500);
    bench.run(600);
    bench.stream.pause(bench.now);
    bench.run(1000);
    bench.stop();
    bench.run(1000);
    assert_eq!(bench.events()[1..], [Ended(1000.0, ms(500)), Gone(1000.0)]);

    let mut bench = self::bench();
    bench.push(1000, 10 * FRAME);
    bench.run(50);
    bench.stream.pause(bench.now);
    bench.stop();
    bench.run(5000);
    assert_eq!(bench.events().len(), 1);
    bench.stream.resume(bench.now);
    bench.run(10_000);
    assert_eq!(bench.events()[1..], [Ended(5140.0, ms(200)), Gone(5140.0)]);
}

#[test]
fn a_pause_before_the_first_audio_and_a_clear_in_it() {
    let mut bench = bench();
    bench.stream.pause(bench.now);
    bench.talk(0, 1000);
    assert_eq!(bench.log, []);
    bench.stream.clear(bench.now);
    bench.push(7, 5 * FRAME);
    bench.stream.resume(bench.now);
    bench.run(5000);
    assert_eq!(bench.audible(), [1000.0, 1020.0, 1040.0, 1060.0, 1080.0]);
    assert!(bench.log.iter().all(|entry| !matches!(entry, Frame(_, frame) if frame.contains(&1000))));
}

#[test]
fn what_is_over_the_bound_in_a_pause_is_discarded_and_told_of() {
    let mut bench = Bench::new(StreamConfig { max_buffered: ms(1000), ..plain() });
    bench.stream.pause(bench.now);
    bench.talk(0, 5000);
    assert_eq!(bench.stream.buffered(), ms(1000));
    let told: Duration = bench
        .log
        .iter()
        .map(|entry| if let Discarded(_, duration) = entry { *duration } else { panic!("{entry:?}") })
        .sum();
    assert!(told >= ms(3000) && told <= ms(4000), "{told:?}");
}

#[test]
fn the_adaptive_delay_does_not_grow_by_a_pause() {
    let mut bench = Bench::new(StreamConfig::default());
    bench.talk(0, 20_000);
    let usual = bench.stream.buffered();
    let before = bench.stream.counters();
    bench.stream.pause(bench.now);
    bench.talk(20_000, 23_000);
    bench.stream.resume(bench.now);
    bench.talk(23_000, 60_000);
    let after = bench.stream.counters();
    assert_eq!((after.lengthened_samples, after.discarded_samples), (before.lengthened_samples, 0));
    // What waits since the pause makes up for jitter, too: what was kept back for that before may go.
    let shortened = duration_of(after.shortened_samples - before.shortened_samples, 8000);
    assert!(shortened <= ms(40), "{shortened:?}");
    assert!(bench.stream.buffered() <= usual + ms(3000), "{:?}", bench.stream.buffered());
    assert!(bench.stream.buffered() + shortened >= usual + ms(2980), "{:?}", bench.stream.buffered());
    // A sender that was silent in it, too, is played as before.
    let mut bench = Bench::new(StreamConfig::default());
    bench.talk(0, 20_000);
    bench.stream.pause(bench.now);
    bench.run(23_000);
    bench.stream.resume(bench.now);
    bench.talk(23_000, 60_000);
    assert!(bench.stream.buffered() <= usual + ms(20), "{:?}", bench.stream.buffered());
}

proptest! {
    #[test]
    fn with_pauses_everything_is_still_played_once_and_in_order(
        steps in prop::collection::vec((0..6u8, 1..300u64), 1..80)
    ) {
        let mut bench = bench();
        let (mut pushed, mut paused) = (0, None);
        let mut silent = vec![];
        for (step, size) in steps {
            let at = (bench.now - bench.zero).as_millis() as u64;
            match step {
                0 | 1 => pushed += bench.push(1000, size as usize).accepted,
                2 => {
                    bench.stream.pause(bench.now);
                    paused.get_or_insert(at);
                }
                3 => {
                    bench.stream.resume(bench.now);
                    if let Some(since) = paused.take() {
                        silent.push((since, at));
                    }
                }
                _ => bench.run(at + size),
            }
        }
        bench.stream.resume(bench.now);
        bench.run(600_000);
        prop_assert_eq!(bench.stream.counters().played_samples, pushed as u64);
        let frames: Vec<f64> = bench.log.iter().filter_map(|e| if let Frame(at, _) = e { Some(*at) } else { None }).collect();
        for (since, until) in silent {
            let inside = |&&at: &&f64| at > since as f64 && at < until as f64;
            prop_assert_eq!(frames.iter().find(inside), None, "in the pause from {} to {}", since, until);
        }
        for pair in frames.windows(2) {
            prop_assert!(pair[1] >= pair[0] + 20.0, "{:?}", pair);
        }
    }
}
