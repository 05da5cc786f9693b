//! The stream against a stepped clock: pacing, events, silence, underruns, bounds.

mod heard;
mod marks;
mod pause;

use proptest::prelude::*;

use super::*;
use crate::media::codec::Plain;
use crate::media::lead::Lead;
use crate::media::pcm::format::{PartialSample, SampleFormat};
use crate::media::silence::SilenceConfig;
use crate::media::voice::VoiceConfig;

const PCM8: Encoding = Encoding::pcm16(8000);
const FRAME: usize = 160;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What happened, with its time in ms since the beginning.
#[derive(Clone, Debug, PartialEq)]
enum Happened {
    Started(f64),
    Frame(f64, Vec<i16>),
    Ended(f64, Duration),
    Discarded(f64, Duration),
    Gone(f64),
    Marked(f64, u64, bool),
}

use Happened::{Discarded, Ended, Frame, Gone, Marked, Started};

/// A stream, a clock, and a driver that steps to each deadline.
struct Bench {
    stream: Stream,
    zero: Instant,
    now: Instant,
    chunk: u64,
    log: Vec<Happened>,
    /// For each frame played, how many ms of it were no padding.
    real: Vec<f64>,
}

impl Bench {
    fn new(config: StreamConfig) -> Self {
        let zero = Instant::now();
        Self {
            stream: Stream::new("t".into(), PCM8, None, config),
            zero,
            now: zero,
            chunk: 0,
            log: vec![],
            real: vec![],
        }
    }

    fn at(&self) -> f64 {
        (self.now - self.zero).as_nanos() as f64 / 1e6
    }

    /// Pushes samples of one value now.
    fn push(&mut self, value: i16, samples: usize) -> Pushed {
        self.chunk += 1;
        let mut payload = vec![];
        Plain::Pcm(SampleFormat::S16Le).encode_into(&vec![value; samples], &mut payload);
        self.stream.push(self.now, Some(self.chunk), None, &payload).expect("whole samples")
    }

    fn stop(&mut self) {
        self.stream.stop(self.now);
    }

    /// One tick, now.
    fn tick(&mut self) -> Tick {
        let mut frame = vec![3; 7];
        let before = self.stream.counters().played_samples;
        let tick = self.stream.tick(self.now, &mut frame);
        let real = self.stream.counters().played_samples - before;
        let at = self.at();
        while let Some(Reached { id, played }) = self.stream.take_mark(self.now) {
            self.log.push(Marked(at, id, played));
        }
        assert_eq!(frame.len(), if tick.played { FRAME } else { 0 }, "a frame or none");
        match tick.event {
            Some(StreamEvent::Started) => {
                assert!(tick.played && !tick.ended_stream);
                self.log.push(Started(at));
            }
            Some(StreamEvent::Ended { duration }) => {
                assert!(!tick.played);
                self.log.push(Ended(at, duration));
            }
            Some(StreamEvent::Discarded { duration }) => {
                assert!(!tick.played);
                self.log.push(Discarded(at, duration));
            }
            None => {}
        }
        if tick.played {
            self.log.push(Frame(at, frame));
            self.real.push(real as f64 / 8.0);
        }
        if tick.ended_stream {
            self.log.push(Gone(at));
        }
        tick
    }

    /// Steps from deadline to deadline up to `until` ms, that instant included.
    fn run(&mut self, until: u64) {
        let until = self.zero + ms(until);
        let mut steps = 0;
        while let Some(deadline) = self.stream.next_deadline().filter(|&at| at <= until) {
            self.now = self.now.max(deadline);
            self.tick();
            steps += 1;
            assert!(steps < 100_000, "the deadline does not move");
        }
        self.now = until;
    }

    /// The log without what was in the frames; silent ones left out.
    fn audible(&self) -> Vec<f64> {
        let audible = |frame: &Vec<i16>| frame.iter().any(|&sample| sample != 0);
        self.log
            .iter()
            .filter_map(|entry| match entry {
                Frame(at, frame) if audible(frame) => Some(*at),
                _ => None,
            })
            .collect()
    }

    fn events(&self) -> Vec<Happened> {
        let events = self.log.iter().filter(|entry| !matches!(entry, Frame(..)));
        events.cloned().collect()
    }
}

/// Audio as it comes: nothing is made up and the delay is not corrected. The simulated network tests that.
fn plain() -> StreamConfig {
    StreamConfig { playout_delay_max: None, conceal: false, ..StreamConfig::default() }
}

fn bench() -> Bench {
    Bench::new(plain())
}

#[test]
fn it_starts_when_the_delay_is_buffered() {
    let mut bench = bench();
    assert_eq!(bench.stream.next_deadline(), None);
    bench.push(1000, FRAME);
    assert_eq!(bench.stream.next_deadline(), Some(bench.zero + ms(40)));
    bench.run(15);
    bench.push(1000, FRAME);
    bench.run(40);
    assert_eq!(bench.log[0], Started(15.0));
    assert_eq!(bench.audible(), [15.0, 35.0]);
}

#[test]
fn it_starts_that_long_after_the_first_chunk() {
    let mut bench = bench();
    bench.push(1000, FRAME);
    bench.run(100);
    assert_eq!(bench.log[0], Started(40.0));
    assert_eq!(bench.audible(), [40.0]);
}

#[test]
fn it_starts_at_the_stop() {
    let mut bench = bench();
    bench.push(1000, FRAME);
    bench.run(10);
    bench.stop();
    bench.run(5000);
    assert_eq!(bench.events(), [Started(10.0), Ended(30.0, ms(20)), Gone(30.0)]);
    assert_eq!(bench.stream.next_deadline(), None);
}

#[test]
fn frames_stay_on_the_grid_and_ended_is_one_second_after_the_last() {
    let mut bench = bench();
    bench.push(1000, 50 * FRAME); // faster than real time: 1 s at once
    bench.run(10_000);
    let grid: Vec<f64> = (0..50).map(|n| f64::from(n) * 20.0).collect();
    assert_eq!(bench.audible(), grid);
    assert_eq!(bench.events(), [Started(0.0), Ended(2000.0, ms(1000))]);
    assert_eq!(bench.stream.next_deadline(), None);
    assert_eq!(bench.stream.counters().played_samples, 8000);
}

#[test]
fn digital_silence_is_played_but_is_silence() {
    let mut bench = bench();
    bench.push(1000, 5 * FRAME);
    bench.push(0, 25 * FRAME);
    bench.push(8, 50 * FRAME); // what A-law makes of silence
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(1100.0, ms(100))]);
    let frames = bench.log.iter().filter(|e| matches!(e, Frame(..))).count();
    assert_eq!(frames, 80, "silent frames are played, also after Ended");
}

#[test]
fn a_short_pause_is_no_end() {
    let mut bench = bench();
    bench.push(1000, 5 * FRAME);
    bench.push(0, 49 * FRAME);
    bench.push(1000, FRAME);
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(2100.0, ms(1100))]);
}

#[test]
fn silence_of_exactly_the_duration_ends_it_before_the_next_frame() {
    let mut bench = bench();
    bench.push(1000, 5 * FRAME);
    bench.push(0, 50 * FRAME);
    bench.push(1000, FRAME);
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(1100.0, ms(100)), Started(1100.0), Ended(2120.0, ms(20)),]);
}

#[test]
fn a_threshold_makes_quiet_audio_silence() {
    let silence = SilenceConfig { threshold_dbfs: Some(-50.0), duration: ms(300) };
    let mut bench = Bench::new(StreamConfig { silence, ..plain() });
    bench.push(1000, FRAME);
    bench.push(100, 100 * FRAME); // -50.3 dBFS
    bench.push(110, FRAME); // -49.5 dBFS
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(320.0, ms(20)), Started(2020.0), Ended(2340.0, ms(20)),]);
}

#[test]
fn audio_that_begins_silent_starts_with_its_first_frame() {
    let mut bench = bench();
    bench.push(0, 100 * FRAME);
    bench.push(1000, FRAME);
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(1000.0, ms(0)), Started(2000.0), Ended(3020.0, ms(20)),]);
}

#[test]
fn after_a_stop_the_rest_is_played_and_ended_comes_with_its_end() {
    let mut bench = bench();
    bench.push(1000, 10 * FRAME);
    bench.run(50);
    bench.stop();
    bench.stop();
    let late = bench.push(1000, FRAME);
    assert_eq!((late.accepted, late.discarded), (0, FRAME));
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(200.0, ms(200)), Gone(200.0)]);
    assert_eq!(bench.audible().len(), 10);
    assert_eq!(bench.stream.next_deadline(), None);
    assert_eq!(bench.stream.counters().discarded_samples, FRAME as u64);
}

#[test]
fn after_a_stop_trailing_silence_counts_as_played() {
    let mut bench = bench();
    bench.push(1000, FRAME);
    bench.push(0, 4 * FRAME);
    bench.stop();
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(100.0, ms(100)), Gone(100.0)]);
}

#[test]
fn a_stop_while_nothing_is_left_ends_at_once_or_with_the_frame() {
    for (stop, end) in [(30, 40.0), (40, 40.0), (500, 500.0)] {
        let mut bench = bench();
        bench.push(1000, 2 * FRAME);
        bench.run(stop);
        bench.stop();
        bench.run(10_000);
        assert_eq!(bench.events(), [Started(0.0), Ended(end, ms(40)), Gone(end)], "stop at {stop}");
    }
}

#[test]
fn a_stop_without_audio_fires_nothing() {
    let mut bench = bench();
    bench.run(5);
    bench.stop();
    assert_eq!(bench.stream.next_deadline(), Some(bench.now));
    bench.run(5000);
    assert_eq!(bench.log, [Gone(5.0)]);
}

#[test]
fn a_stop_after_silence_ended_it_fires_nothing_more() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME);
    bench.run(3000);
    bench.stop();
    bench.run(5000);
    assert_eq!(bench.events(), [Started(0.0), Ended(1040.0, ms(40)), Gone(3000.0)]);

    let mut bench = self::bench();
    bench.push(1000, 2 * FRAME);
    bench.push(0, 100 * FRAME);
    bench.stop();
    bench.run(5000);
    assert_eq!(bench.events(), [Started(0.0), Ended(1040.0, ms(40)), Gone(2040.0)]);
}

#[test]
fn audio_after_an_end_by_silence_starts_again() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME);
    bench.run(2000);
    bench.push(0, 2 * FRAME);
    bench.run(2500);
    bench.push(1000, 3 * FRAME);
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(1040.0, ms(40)), Started(2500.0), Ended(3560.0, ms(60)),]);
}

#[test]
fn an_underrun_waits_and_the_next_chunk_plays_at_once() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME);
    bench.run(47);
    assert_eq!(bench.stream.next_deadline(), Some(bench.zero + ms(1040)));
    bench.push(1000, FRAME);
    assert_eq!(bench.stream.next_deadline(), Some(bench.now));
    bench.run(10_000);
    assert_eq!(bench.audible(), [0.0, 20.0, 47.0]);
    assert_eq!(bench.events(), [Started(0.0), Ended(1067.0, ms(60))]);
}

#[test]
fn a_chunk_before_the_last_frame_ends_plays_after_it() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME);
    bench.run(30);
    bench.push(1000, FRAME);
    bench.run(100);
    assert_eq!(bench.audible(), [0.0, 20.0, 40.0]);
}

#[test]
fn less_than_a_frame_is_given_up_to_one_frame_more() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME + 40);
    bench.run(10_000);
    assert_eq!(bench.audible(), [0.0, 20.0, 60.0]);
    let padded = [[1000; 40].as_slice(), &[0; 120]].concat();
    assert_eq!(bench.log[3], Frame(60.0, padded));
    // 60 ms + 40 samples (5 ms) + 1 s
    assert_eq!(bench.events(), [Started(0.0), Ended(1065.0, ms(45))]);

    let mut bench = self::bench();
    bench.push(1000, 2 * FRAME + 40);
    bench.run(50);
    bench.push(1000, 120);
    bench.run(10_000);
    assert_eq!(bench.audible(), [0.0, 20.0, 50.0], "as soon as it is full");
    assert_eq!(bench.log[3], Frame(50.0, vec![1000; FRAME]));
}

#[test]
fn less_than_a_frame_is_played_at_once_when_stopping() {
    for stop in [10, 50] {
        let mut bench = bench();
        bench.push(1000, 2 * FRAME + 40);
        bench.run(stop);
        bench.stop();
        bench.run(10_000);
        let last = if stop == 10 { 40.0 } else { 50.0 };
        assert_eq!(bench.audible(), [0.0, 20.0, last]);
        assert_eq!(bench.events(), [Started(0.0), Ended(last + 20.0, ms(45)), Gone(last + 20.0)]);
    }
}

#[test]
fn a_late_tick_catches_up_on_the_grid() {
    let mut bench = bench();
    bench.push(1000, 40 * FRAME);
    bench.tick();
    bench.now = bench.zero + ms(219) + Duration::from_nanos(999_999);
    let late = bench.now;
    while bench.stream.next_deadline().is_some_and(|at| at <= late) {
        assert!(bench.tick().played);
    }
    assert_eq!(bench.audible().len(), 11);
    assert_eq!(bench.stream.next_deadline(), Some(bench.zero + ms(220)));
    bench.run(10_000);
    assert_eq!(bench.events().last(), Some(&Ended(1800.0, ms(800))));
}

#[test]
fn a_very_late_tick_starts_a_new_grid() {
    let mut bench = bench();
    bench.push(1000, 40 * FRAME);
    bench.tick();
    bench.now = bench.zero + ms(20) + CATCH_UP;
    assert!(bench.tick().played);
    assert_eq!(bench.stream.next_deadline(), Some(bench.now + ms(20)));
    bench.run(10_000);
    assert_eq!(bench.audible()[..3], [0.0, 220.0, 240.0]);
    assert_eq!(bench.events().last(), Some(&Ended(2000.0, ms(800))));
}

#[test]
fn an_early_tick_does_nothing() {
    let mut bench = bench();
    assert_eq!(bench.tick(), Tick::default());
    bench.push(1000, FRAME);
    bench.now += ms(39);
    assert_eq!(bench.tick(), Tick::default());
    bench.now += ms(1);
    assert!(bench.tick().played);
    bench.now += ms(19);
    assert_eq!(bench.tick(), Tick::default());
    assert_eq!(bench.stream.next_deadline(), Some(bench.zero + ms(60)));
}

#[test]
fn ten_seconds_fit_and_not_a_sample_more() {
    let mut bench = bench();
    assert_eq!(bench.push(1000, 79_999).discarded, 0);
    assert_eq!(bench.push(1000, 1).discarded, 0);
    let pushed = bench.push(1000, 1);
    assert_eq!((pushed.accepted, pushed.discarded), (0, 1));
    assert_eq!(bench.stream.buffered(), Duration::from_secs(10));
    bench.run(20_000);
    assert_eq!(bench.audible().len(), 500);
    let told = Discarded(1000.0, Duration::from_micros(125));
    assert_eq!(bench.events(), [Started(0.0), told, Ended(11_000.0, ms(10_000))]);
    let counters = bench.stream.counters();
    assert_eq!((counters.received, counters.discarded_samples), (3, 1));
}

#[test]
fn clear_drops_at_once_and_the_clock_runs_on() {
    let mut bench = bench();
    bench.push(1000, 100 * FRAME);
    bench.run(50);
    assert_eq!(bench.stream.clear(bench.now), 97 * FRAME);
    assert_eq!(bench.stream.buffered(), Duration::ZERO);
    bench.run(10_000);
    assert_eq!(bench.audible().len(), 3);
    assert_eq!(bench.events(), [Started(0.0), Ended(1060.0, ms(60))]);
    assert_eq!(bench.stream.counters().discarded_samples, 97 * FRAME as u64);
}

#[test]
fn after_a_clear_new_audio_plays_at_once() {
    let mut bench = bench();
    bench.push(1000, 100 * FRAME);
    bench.run(50);
    bench.stream.clear(bench.now);
    bench.push(2000, FRAME);
    bench.run(100);
    assert_eq!(bench.audible(), [0.0, 20.0, 40.0, 60.0]);
    assert_eq!(bench.log[4], Frame(60.0, vec![2000; FRAME]));
}

#[test]
fn a_clear_is_heard_with_the_next_frame() {
    for at in [41, 50, 59, 60] {
        let mut bench = Bench::new(StreamConfig::default());
        bench.push(1000, 100 * FRAME);
        bench.run(at);
        bench.stream.clear(bench.now);
        bench.push(2000, 100 * FRAME);
        bench.run(200);
        let next = bench.log.iter().find_map(|entry| match entry {
            Frame(time, pcm) if *time >= at as f64 && pcm[0] != 1000 => Some((*time, pcm.clone())),
            _ => None,
        });
        let (time, pcm) = next.expect("the new audio");
        assert!(time - at as f64 <= 20.0, "cleared at {at}, gone at {time}");
        assert_eq!(pcm, vec![2000; FRAME], "nothing of the old audio in it");
    }
}

#[test]
fn when_the_sender_breaks_off_the_audio_fades_out_in_one_frame() {
    let mut bench = Bench::new(StreamConfig::default());
    bench.push(1000, 5 * FRAME);
    bench.run(3000);
    let audible = bench.audible();
    assert_eq!(audible, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    let Some(Frame(_, last)) = bench.log.iter().rfind(|entry| matches!(entry, Frame(..))) else { panic!("a frame") };
    assert!(last[0] > 900 && last[80] < 600 && last[159] < 20, "{last:?}");
    assert_eq!(bench.events(), [Started(0.0), Ended(1100.0, ms(100))], "it counts as silence");
    let counters = bench.stream.counters();
    assert_eq!((counters.played_samples, counters.concealed_samples, counters.lost), (800, 0, 0), "and not as a loss");

    let mut quiet = Bench::new(StreamConfig::default());
    quiet.push(1000, FRAME);
    quiet.push(20, 2 * FRAME);
    quiet.run(3000);
    assert_eq!(quiet.audible(), [0.0, 20.0, 40.0], "nothing to fade");
}

#[test]
fn what_comes_late_is_given_more_time_and_what_comes_after_a_pause_as_much_as_at_first() {
    let mut bench = Bench::new(StreamConfig::default());
    bench.push(20, 2 * FRAME);
    bench.run(55); // late by 15 ms
    bench.push(20, FRAME);
    assert_eq!(
        bench.stream.next_deadline(),
        Some(bench.zero + ms(75)),
        "20 ms more than there are, or when 40 ms are there"
    );
    bench.run(70);
    bench.push(20, FRAME);
    assert_eq!(bench.stream.next_deadline(), Some(bench.zero + ms(70)));
}

#[test]
fn clear_before_the_start_and_after_the_stop() {
    let mut bench = bench();
    bench.push(1000, FRAME);
    bench.stream.clear(bench.now);
    assert_eq!(bench.stream.next_deadline(), None);
    bench.run(10);
    bench.push(1000, FRAME);
    bench.run(200);
    assert_eq!(bench.events(), [Started(50.0)]);

    let mut bench = self::bench();
    bench.push(1000, 10 * FRAME);
    bench.run(50);
    bench.stop();
    bench.stream.clear(bench.now);
    bench.run(10_000);
    assert_eq!(bench.events(), [Started(0.0), Ended(60.0, ms(60)), Gone(60.0)]);
    assert_eq!(bench.stream.clear(bench.now), 0);
    assert_eq!(bench.stream.next_deadline(), None);
}

#[test]
fn abandoned_it_says_what_was_played_once_and_takes_no_more() {
    let mut b = bench();
    assert_eq!(b.stream.abandon(), None, "nothing has started");
    let mut b2 = bench();
    b2.push(1000, 3 * FRAME);
    b2.run(50);
    let played = b2.real.iter().sum::<f64>();
    assert_eq!(b2.stream.abandon(), Some(Duration::from_secs_f64(played / 1000.0)));
    assert_eq!(b2.stream.abandon(), None);
    b2.push(1000, FRAME);
    assert_eq!(b2.stream.next_deadline(), None);
}

#[test]
fn counters_count() {
    let mut stream = Stream::new(String::new(), Encoding::Ulaw, None, StreamConfig::default());
    let now = Instant::now();
    let mut push = |chunk, timestamp| {
        let pushed = stream.push(now, chunk, timestamp, &[0; 160]);
        pushed.expect("any number of G.711 bytes")
    };
    push(Some(1), Some(0));
    push(Some(5), Some(640));
    push(Some(5), Some(640));
    push(Some(3), Some(320));
    push(None, None);
    let counters = Counters {
        received: 5,
        lost: 2,
        duplicates: 1,
        reordered: 1,
        discarded_samples: 0,
        played_samples: 0,
        concealed_samples: 0,
        concealed_gaps: 0,
        recovered_samples: 0,
        shortened_samples: 0,
        lengthened_samples: 0,
        last_timestamp: Some(320),
    };
    assert_eq!(stream.counters(), counters);
}

#[test]
fn a_bad_payload_changes_nothing() {
    let mut bench = bench();
    let error = bench.stream.push(bench.now, Some(1), None, &[1, 2, 3]);
    assert_eq!(error, Err(PartialSample { bytes: 3, format: SampleFormat::S16Le }.into()));
    assert_eq!(bench.stream.next_deadline(), None);
    assert_eq!(bench.stream.counters(), Counters::default());
}

#[test]
fn wild_configurations_do_no_harm() {
    for duration in [Duration::ZERO, Duration::MAX] {
        let mut bench = Bench::new(StreamConfig {
            frame: ms(20),
            playout_delay: duration,
            playout_delay_max: Some(duration),
            max_buffered: Duration::MAX,
            conceal: true,
            silence: SilenceConfig { duration, threshold_dbfs: Some(f32::NAN) },
            lead: Lead::default(),
            levels: true,
            voice: Some(VoiceConfig::default()),
        });
        bench.push(1000, FRAME);
        bench.run(100);
        bench.stop();
        bench.run(5000);
        assert_eq!(bench.audible().len(), 1);
        assert!(matches!(bench.log.last(), Some(Gone(_))));
    }
    let config = StreamConfig { frame: Duration::ZERO, ..plain() };
    let stream = Stream::new(String::new(), PCM8, None, config);
    assert_eq!(stream.frame_samples(), 8);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Push(i16, usize),
    Clear,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..1500).prop_map(Step::Wait),
        4 => (0u64..60).prop_map(Step::Wait),
        8 => (any::<bool>(), 1usize..2000).prop_map(|(loud, n)| Step::Push(i16::from(loud), n)),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_comes(
        mut steps in proptest::collection::vec(step(), 1..60),
        stopped in any::<bool>(),
    ) {
        if stopped {
            steps.push(Step::Stop);
        }
        let mut bench = bench();
        let (mut serial, mut pushed, mut time) = (1000i16, vec![], 0);
        for step in steps {
            match step {
                Step::Wait(wait) => {
                    time += wait;
                    bench.run(time);
                }
                Step::Push(loud, samples) => {
                    serial += loud; // each loud chunk has a value of its own
                    let value = serial * loud;
                    let taken = bench.push(value, samples).accepted;
                    pushed.extend(std::iter::repeat_n(value, taken));
                }
                Step::Clear => { bench.stream.clear(bench.now); }
                Step::Stop => bench.stop(),
            }
        }
        bench.run(time + 30_000);
        prop_assert_eq!(bench.stream.next_deadline(), None, "it comes to rest");
        prop_assert_eq!(bench.stream.buffered(), Duration::ZERO);
        prop_assert_eq!(matches!(bench.log.last(), Some(Gone(_))), stopped);

        let (mut started, mut last_frame, mut last_audible) = (false, -20.0, 0.0);
        let (mut played, mut real) = (vec![], bench.real.iter());
        for entry in &bench.log {
            match entry {
                Started(at) => {
                    prop_assert!(!started, "started twice");
                    started = true;
                    last_audible = *at; // silence at the start counts from here
                }
                Ended(at, duration) => {
                    prop_assert!(started, "ended without a start");
                    started = false;
                    let silent = *at - last_audible;
                    prop_assert!(stopped || silent >= 1000.0, "ended after {silent} ms");
                    prop_assert!(silent <= 1000.0);
                    prop_assert!(duration.as_secs_f64() * 1000.0 <= *at);
                }
                Frame(at, frame) => {
                    prop_assert!(at - last_frame >= 20.0, "{last_frame} then {at}");
                    last_frame = *at;
                    let real = real.next().copied().unwrap_or(f64::NAN);
                    if frame.iter().any(|&sample| sample != 0) {
                        prop_assert!(started, "audible audio outside Started..Ended");
                        last_audible = at + real;
                    }
                    played.extend(frame.iter().copied().filter(|&sample| sample != 0));
                }
                Gone(_) | Discarded(..) | Marked(..) => {}
            }
        }
        prop_assert!(!started, "never ended");
        let mut source = pushed.iter().filter(|&&sample| sample != 0);
        prop_assert!(
            played.iter().all(|sample| source.any(|other| other == sample)),
            "played in the order in which it was pushed"
        );
    }
}
