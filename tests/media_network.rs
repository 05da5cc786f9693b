//! Incoming audio over a simulated network, with a stepped clock: what is played, how late, and what the counters say.

#[path = "network/simulator.rs"]
mod simulator;

use std::time::Duration;

use proptest::prelude::*;
use simulator::{Happened, Network, Report, Sender, Stamps, run};
use voxwire::media::codec::Encoder;
use voxwire::media::encoding::Encoding;
use voxwire::media::opus::EncoderConfig;
use voxwire::media::stream::StreamConfig;

const MS: Duration = Duration::from_millis(1);

fn ms(ms: u64) -> Duration {
    MS * ms as u32
}

/// Audio as it comes, but for the corrections of the delay: so each sample can be told by its value.
fn told_apart() -> StreamConfig {
    StreamConfig { conceal: false, ..StreamConfig::default() }
}

fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

#[test]
fn a_quiet_network_plays_everything_at_the_starting_delay() {
    let report = run(&Sender::paced(minutes(1)), &Network::default(), StreamConfig::default(), 1);
    assert_eq!(report.counters.played_samples, 8000 * 60);
    assert_eq!((report.counters.concealed_gaps, report.counters.shortened_samples), (0, 0));
    assert_eq!(report.dry, 0);
    assert!(report.delay_after(ms(1000)).max < ms(41), "{:?}", report.delay_after(ms(1000)));
    report.check();
}

#[test]
fn jitter_makes_the_delay_grow_until_nothing_is_late_and_calm_brings_it_back() {
    let network = Network {
        jitter: simulator::Jitter::Exponential(ms(30)),
        jitter_until: Some(minutes(1)),
        ..Network::default()
    };
    let report = run(&Sender::paced(minutes(3)), &network, StreamConfig::default(), 7);
    report.check();
    let (rough, calm) = (report.delay_between(ms(20_000), minutes(1)), report.delay_after(minutes(2)));
    assert!(rough.max <= ms(500), "{rough:?}");
    assert!(rough.mean > ms(60), "{rough:?}");
    assert!(calm.max <= ms(50), "back to the start: {calm:?}");
    assert_eq!(report.counters.discarded_samples, 0);
    let dry = report.dry_between(ms(20_000), minutes(1));
    assert!(dry <= 8, "{dry} times dry in 40 s of jitter");
}

#[test]
fn the_delays_of_a_wireless_network_are_survived() {
    let network = Network { jitter: simulator::Jitter::Trace, ..Network::default() };
    for seed in 0..4 {
        let report = run(&Sender::paced(minutes(2)), &network, StreamConfig::default(), seed);
        report.check();
        assert!(report.delay_after(ms(5000)).max <= ms(500));
        let dry = report.dry_between(ms(20_000), minutes(2));
        assert!(dry <= 15, "{dry} times dry in 100 s");
    }
}

#[test]
fn an_hour_of_drift_keeps_the_delay_and_does_not_run_dry() {
    // As much as a test without optimization has the time for; with it, all of them.
    let (ppms, jitters) =
        if cfg!(debug_assertions) { (&[-100, 500][..], &[0][..]) } else { (&[-500, -100, 100, 500][..], &[0, 5][..]) };
    for &ppm in ppms {
        for &jitter in jitters {
            let network = Network { jitter: simulator::Jitter::Exponential(ms(jitter)), ..Network::default() };
            let sender = Sender { ppm, ..Sender::paced(minutes(60)) };
            let report = run(&sender, &network, StreamConfig::default(), 3);
            report.check();
            let delay = report.delay_after(ms(20_000));
            println!("{ppm} ppm, jitter {jitter} ms: {delay:?}, dry {}, {:?}", report.dry, report.counters);
            assert!(delay.max <= ms(100 + 10 * jitter), "{ppm} ppm: {delay:?}");
            // With jitter of this kind a chunk in some thousand is later than anything before it.
            assert!(report.dry <= if jitter == 0 { 0 } else { 30 }, "{ppm} ppm: dry {} times in an hour", report.dry);
            assert_eq!(report.counters.discarded_samples, 0);
        }
    }
}

#[test]
fn a_stall_is_caught_up_with() {
    for (stall, within) in [(ms(300), ms(45_000)), (ms(3000), ms(45_000))] {
        let network = Network { stalls: vec![(ms(10_000), stall)], ..Network::default() };
        let report = run(&Sender::paced(minutes(2)), &network, StreamConfig::default(), 5);
        report.check();
        let soon = report.delay_after(ms(10_000) + stall + ms(5000));
        assert!(soon.max <= ms(550), "over the maximum: {soon:?} after a stall of {stall:?}");
        let calm = report.delay_after(ms(10_000) + stall + within);
        assert!(calm.max <= ms(60), "{calm:?} after a stall of {stall:?}");
        let cut = report.counters.discarded_samples as u64 / 8;
        assert!(if stall > ms(500) { (2300..2700).contains(&cut) } else { cut == 0 }, "{cut} ms cut");
        assert_eq!(report.told, Duration::from_micros(report.counters.discarded_samples * 125), "the event says so");
    }
}

/// Kinds of audio: a level for each frame as the benchmarks send it, a voice with pauses, noise, a tone, silence.
fn kinds() -> Vec<(&'static str, Vec<i16>)> {
    let mut state = 1_u32;
    let noise = (0..16_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16 / 4
    });
    let noise: Vec<i16> = noise.collect();
    let seconds = |n: usize| n as f64 / 8000.0;
    let voice = (0..8000 * 4).map(|n| {
        let t = seconds(n);
        let pitch = 120.0 * t + 10.0 * (t * 3.0).sin();
        let sum: f64 = (1..15).map(|k| (std::f64::consts::TAU * pitch * f64::from(k)).sin() / f64::from(k)).sum();
        (sum * (5000.0 * (t * 12.0).sin()).max(0.0) * f64::from(u8::from(t < 3.0))) as i16
    });
    let tone = (0..8000).map(|n| ((seconds(n) * 440.0 * std::f64::consts::TAU).sin() * 8000.0) as i16);
    vec![
        ("levels", (0..16 * 160).map(|n: i16| 2000 + 1500 * (n / 160)).collect()),
        ("voice", voice.collect()),
        ("noise", noise),
        ("tone", tone.collect()),
        ("silence", vec![0; 160]),
    ]
}

/// What became of a stall at 10 s.
fn stalled(audio: &[i16], ms_long: u64, ours: bool) -> Report {
    let stalls = vec![(ms(10_003), ms(ms_long))];
    let network =
        if ours { Network { ours: stalls, ..Network::default() } } else { Network { stalls, ..Network::default() } };
    let sender = Sender { audio: Some(audio.to_vec()), ..Sender::paced(ms(45_000)) };
    let report = run(&sender, &network, StreamConfig::default(), 1);
    report.check();
    report
}

#[test]
fn after_a_stall_the_delay_is_back_within_seconds_whatever_the_audio() {
    for (kind, audio) in kinds() {
        for stall in [60, 200, 1000] {
            for ours in [false, true] {
                let report = stalled(&audio, stall, ours);
                let depth = |after: u64| report.depth_between(ms(10_003 + stall + after), ms(44_000));
                let counters = report.counters;
                let about = format!("{kind}, {stall} ms, ours: {ours}: {counters:?}");
                assert!(depth(6000) <= ms(if stall < 1000 { 200 } else { 520 }), "{:?}: {about}", depth(6000));
                let within = if kind == "noise" { 21_000 } else { 14_000 };
                assert!(depth(within) <= ms(60), "{:?}: {about}", depth(within));
                // More is not thrown away than what is over the maximum, and no more left out than what was added.
                let thrown = if stall == 1000 { ms(520) } else { ms(0) };
                assert!(ms(counters.discarded_samples / 8) <= thrown, "{about}");
                assert!(ms(counters.shortened_samples / 8) <= ms(stall.min(500)), "{about}");
            }
        }
    }
}

#[test]
fn that_we_were_held_up_ourselves_says_nothing_about_the_sender() {
    for (kind, audio) in kinds() {
        for stall in [15, 60, 120, 195] {
            let report = stalled(&audio, stall, true);
            let counters = report.counters;
            let changed = counters.shortened_samples + counters.lengthened_samples + counters.discarded_samples;
            assert_eq!((changed, report.dry), (0, 0), "{kind}, {stall} ms: {counters:?}");
            assert_eq!(report.deepest, report.depth_between(ms(9000), ms(11_000)), "{kind}, {stall} ms");
            assert!(report.depth_between(ms(11_000), ms(44_000)) <= ms(40), "{kind}, {stall} ms");
        }
    }
}

#[test]
fn what_is_sent_ahead_is_played_as_it_came() {
    // Text-to-speech: utterances at once, pauses between them, some shorter than what was sent ahead.
    let bursts = vec![(ms(0), 4000), (ms(3000), 3000), (ms(9000), 500), (ms(10_500), 2000), (ms(14_000), 9000)];
    let sender = Sender::bursts(&bursts);
    let report = run(&sender, &Network::default(), StreamConfig::default(), 1);
    report.check();
    let counters = report.counters;
    assert_eq!(counters.played_samples, 18_500 * 8);
    assert_eq!((counters.shortened_samples, counters.lengthened_samples, counters.discarded_samples), (0, 0, 0));
    assert_eq!(counters.concealed_gaps, 0, "a pause is no loss");
}

#[test]
fn ahead_and_paced_it_stays_ahead() {
    let mut sender = Sender::paced(minutes(3));
    sender.ahead = ms(2000);
    let report = run(&sender, &Network::default(), StreamConfig::default(), 1);
    report.check();
    assert_eq!(report.counters.shortened_samples + report.counters.discarded_samples, 0);
    assert_eq!(report.counters.played_samples, 180 * 8000);
}

#[test]
fn lost_chunks_are_concealed_and_counted() {
    for percent in [1, 3, 5, 10] {
        let network = Network { loss: simulator::Loss::Random(f64::from(percent) / 100.0), ..Network::default() };
        let report = run(&Sender::paced(minutes(2)), &network, StreamConfig::default(), 11);
        report.check();
        let counters = report.counters;
        let (lost, concealed) = (counters.lost * 160, counters.concealed_samples);
        assert!(lost > 6000 * percent as u64 / 100 * 160 / 2);
        assert!(concealed <= lost && concealed * 20 >= lost * 19, "{concealed} of {lost} samples");
        assert!(report.delay_after(ms(1000)).max <= ms(120), "{:?}", report.delay_after(ms(1000)));
    }
}

#[test]
fn bursts_of_loss_too() {
    let loss = simulator::Loss::GilbertElliott { to_bad: 0.01, to_good: 0.25, in_bad: 0.8 };
    let network = Network { loss, jitter: simulator::Jitter::Exponential(ms(5)), ..Network::default() };
    let report = run(&Sender::paced(minutes(5)), &network, StreamConfig::default(), 11);
    report.check();
    assert!(report.counters.lost > 100);
    assert!(report.counters.concealed_samples >= report.counters.lost * 160 / 4);
    assert!(report.delay_after(ms(1000)).max <= ms(400), "{:?}", report.delay_after(ms(1000)));
}

#[test]
fn numbers_that_begin_anew_lose_nothing() {
    let anew: [(u64, u64); 6] = [(0, 0), (1, 0), (1, 1), (65_400, 0), (0, 1), (7, 1)];
    for (first, then) in anew {
        let sender =
            Sender { first, renumber: vec![(300, then), (310, then), (700, then)], ..Sender::paced(ms(20_000)) };
        let report = run(&sender, &Network::default(), StreamConfig::default(), 2);
        report.check();
        assert_eq!(report.counters.played_samples, 20 * 8000, "from {first}, anew from {then}");
        assert_eq!(report.counters.lost, 0, "from {first}, anew from {then}");
    }
}

fn networks() -> impl Strategy<Value = Network> {
    let loss = prop_oneof![
        Just(simulator::Loss::None),
        (0.0..0.3).prop_map(simulator::Loss::Random),
        (0.0..0.1, 0.1..0.9, 0.2..1.0)
            .prop_map(|(to_bad, to_good, in_bad)| { simulator::Loss::GilbertElliott { to_bad, to_good, in_bad } }),
    ];
    let jitter = prop_oneof![
        (0u64..80).prop_map(|mean| simulator::Jitter::Exponential(ms(mean))),
        (0u64..120).prop_map(|most| simulator::Jitter::Uniform(ms(most))),
        Just(simulator::Jitter::Trace),
    ];
    let stalls = proptest::collection::vec((0u64..30_000, 10u64..4000), 0..4)
        .prop_map(|stalls| stalls.into_iter().map(|(at, long)| (ms(at), ms(long))).collect());
    let ours = proptest::collection::vec((0u64..30_000, 10u64..1500), 0..3)
        .prop_map(|stalls| stalls.into_iter().map(|(at, long)| (ms(at), ms(long))).collect());
    (loss, jitter, 0.0..0.1, 0.0..0.1, any::<bool>(), stalls, ours).prop_map(
        |(loss, jitter, duplicate, reorder, in_order, stalls, ours)| Network {
            loss,
            jitter,
            duplicate,
            reorder,
            in_order,
            stalls,
            ours,
            jitter_until: None,
        },
    )
}

fn senders() -> impl Strategy<Value = Sender> {
    let first = prop_oneof![Just(0), Just(1), Just(65_500), 0u64..1_000_000];
    let renumber = proptest::collection::vec((150usize..1500, prop_oneof![Just(0u64), Just(1)]), 0..3);
    let length = prop_oneof![5 => Just(20), 1 => Just(10), 1 => Just(30), 1 => Just(100)];
    let stamps =
        prop_oneof![Just(Stamps::Samples), Just(Stamps::Milliseconds), Just(Stamps::Wrapping), Just(Stamps::Jumping),];
    (first, renumber, length, -500i32..500, 0u64..3000, stamps).prop_map(
        |(first, mut renumber, chunk_ms, ppm, ahead, stamps)| {
            renumber.sort_unstable();
            Sender { first, renumber, chunk_ms, ppm, ahead: ms(ahead), stamps, ..Sender::paced(ms(30_000)) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_network_does(sender in senders(), network in networks(), seed: u64, conceal: bool, stop: bool) {
        let config = if conceal { StreamConfig::default() } else { told_apart() };
        // What is sent at one moment and comes in any order has no beginning.
        let ahead = if network.in_order { sender.ahead } else { Duration::ZERO };
        let sender = Sender { ahead, stop, ..sender };
        let report = run(&sender, &network, config, seed);
        report.check();
        if !conceal && sender.renumber.is_empty() {
            report.check_order();
        }
    }
}

/// Three seconds of a voice, roughly, in chunks of 20 ms.
fn spoken(encoding: Encoding, opus: EncoderConfig) -> Vec<Vec<u8>> {
    let rate = f64::from(encoding.sample_rate());
    let pcm: Vec<i16> = (0..encoding.sample_rate() * 3)
        .map(|n| {
            let t = f64::from(n) / rate;
            let voice: f64 = (1..12).map(|k| (std::f64::consts::TAU * 120.0 * f64::from(k) * t).sin()).sum();
            (voice * (0.6 + 0.4 * (20.0 * t).sin()) * 1500.0) as i16
        })
        .collect();
    let (mut encoder, mut bytes, mut chunks) = (Encoder::new(encoding, opus).expect("it"), vec![], vec![]);
    for pcm in pcm.chunks(encoding.sample_rate() as usize / 50) {
        encoder.encode(pcm, &mut bytes, |chunk, _| chunks.push(chunk.to_vec())).expect("frames");
    }
    chunks
}

#[test]
fn fec_gives_back_what_single_losses_took() {
    let fec = EncoderConfig { fec: true, expected_loss: 10, bitrate: Some(32_000), ..EncoderConfig::default() };
    let packets = spoken(Encoding::Opus, fec);
    let sender = Sender { encoded: Some((Encoding::Opus, packets)), ..Sender::paced(ms(30_000)) };
    let network = Network { loss: simulator::Loss::Random(0.05), ..Network::default() };
    let report = run(&sender, &network, StreamConfig::default(), 3);
    report.check();
    let counters = report.counters;
    let made = counters.recovered_samples + counters.concealed_samples;
    assert!(made <= counters.lost * 960 && made * 20 >= counters.lost * 960 * 18, "{counters:?}");
    assert!(counters.recovered_samples * 2 > made, "{counters:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_network_does_to_codecs_with_a_memory(
        g722: bool, fec: bool, network in networks(), seed: u64, conceal: bool, ppm in -500i32..500,
    ) {
        let encoding = if g722 { Encoding::G722 } else { Encoding::Opus };
        let opus = EncoderConfig { fec, expected_loss: 10 * u8::from(fec), complexity: 0, ..EncoderConfig::default() };
        let encoded = Some((encoding, spoken(encoding, opus)));
        let sender = Sender { ppm, encoded, ..Sender::paced(ms(12_000)) };
        let config = StreamConfig { conceal, ..StreamConfig::default() };
        let report = run(&sender, &network, config, seed);
        report.check();
    }
}

/// What every run must show.
impl Report {
    fn check(&self) {
        let c = &self.counters;
        let taken = c.played_samples + c.shortened_samples + c.discarded_samples + self.duplicate_samples;
        assert_eq!(self.received_samples, taken, "received = played + left out + discarded + repeated: {c:?}");
        assert_eq!(c.received, self.chunks, "each chunk is counted");
        let mut started = false;
        for happened in &self.events {
            match happened {
                Happened::Started => assert!(!std::mem::replace(&mut started, true), "started twice"),
                Happened::Ended => assert!(std::mem::replace(&mut started, false), "ended without a start"),
            }
        }
        assert!(!started, "never ended");
        for two in self.frames.windows(2) {
            assert!(two[1].at >= two[0].at + ms(20), "frames overlap at {:?}", two[1].at);
        }
        // As long as all that was sent ahead, and all that was ever waited for: nothing else may wait.
        let bound = StreamConfig::default().max_buffered;
        assert!(self.deepest <= bound, "{:?} buffered", self.deepest);
    }

    /// Each chunk has a value of its own, higher than those before it.
    fn check_order(&self) {
        let mut last = 0;
        // Where the delay is made longer, a pitch period of at most 10 ms is heard again.
        let again = i16::from(self.counters.lengthened_samples > 0);
        for frame in &self.frames {
            for &sample in frame.pcm.iter().filter(|&&sample| sample != 0) {
                assert!(sample >= last - again, "{sample} after {last} at {:?}", frame.at);
                last = sample.max(last);
            }
        }
        for (value, &times) in self.times.iter().enumerate() {
            let may = self.chunk_samples + self.counters.lengthened_samples as usize;
            assert!(times <= may, "value {value} played {times} times");
        }
    }
}
