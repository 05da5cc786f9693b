//! A simulated sender, a simulated network and a stream at its end; the clock steps from one event to the next.

use std::time::{Duration, Instant};

use voxwire::media::encoding::Encoding;
use voxwire::media::stream::{Counters, Stream, StreamConfig, StreamEvent};

const RATE: u32 = 8000;
const ENCODING: Encoding = Encoding::pcm16(RATE);

/// Delays of 20 ms packets in ms over the shortest one, written by hand in the shape of a Wi-Fi call: calm, a scan of the
/// radio, contention.
const TRACE_MS: &[u64] = &[
    0, 1, 0, 2, 1, 0, 0, 3, 1, 0, 1, 5, 2, 0, 0, 1, 0, 0, 8, 3, 1, 0, 0, 1, 2, 0, 0, 1, 0, 0, 12, 4, 1, 0, 2, 0, 1, 0,
    0, 0, 1, 1, 0, 6, 0, 0, 2, 1, 0, 0, 0, 1, 3, 0, 110, 92, 71, 50, 32, 13, 2, 0, 1, 0, 0, 4, 1, 0, 0, 0, 2, 7, 3, 1,
    0, 0, 1, 0, 15, 9, 22, 18, 31, 25, 14, 40, 27, 12, 33, 19, 8, 21, 16, 5, 11, 3, 9, 2, 1, 0, 0, 1, 0, 2, 0, 0, 1, 0,
    0, 0, 3, 0, 0, 1, 0, 0, 58, 41, 20, 3, 0, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 0, 5, 1, 0, 0,
];

/// How chunks get lost.
#[derive(Clone, Debug)]
pub enum Loss {
    /// None does.
    None,
    /// Each with this probability.
    Random(f64),
    /// Two states: from good to bad and back with these probabilities, in the bad one lost with the third.
    GilbertElliott {
        /// Good to bad.
        to_bad: f64,
        /// Bad to good.
        to_good: f64,
        /// Loss in the bad state.
        in_bad: f64,
    },
}

/// By how much each chunk is late.
#[derive(Clone, Copy, Debug)]
pub enum Jitter {
    /// Exponentially distributed with this mean, as behind a busy queue.
    Exponential(Duration),
    /// Evenly up to this.
    Uniform(Duration),
    /// Those of `TRACE_MS`, over and over, from a random place.
    Trace,
}

/// What happens between the sender and us.
#[derive(Clone, Debug)]
pub struct Network {
    /// Loss; the chunk is numbered all the same.
    pub loss: Loss,
    /// Lateness.
    pub jitter: Jitter,
    /// Only before this.
    pub jitter_until: Option<Duration>,
    /// Probability that a chunk comes twice.
    pub duplicate: f64,
    /// Probability that a chunk is held back by one to three chunks.
    pub reorder: f64,
    /// What is sent first comes first, as over TCP; reordering and duplication excepted, which are the sender's.
    pub in_order: bool,
    /// From when, for how long: nothing comes, and then everything at once.
    pub stalls: Vec<(Duration, Duration)>,
    /// From when, for how long: we stand still ourselves. Then what was due is played first, and what came meanwhile is
    /// read a moment later.
    pub ours: Vec<(Duration, Duration)>,
}

/// Between what is played and what is read after a stall of ours.
const READ_LATER: Duration = Duration::from_millis(5);

impl Network {
    /// When we play what was due at `at`.
    fn awake(&self, at: Duration) -> Duration {
        self.ours
            .iter()
            .find(|(from, long)| (*from..*from + *long).contains(&at))
            .map_or(at, |(from, long)| *from + *long)
    }

    /// When we read what has come at `at`.
    fn read(&self, at: Duration) -> Duration {
        let later = |(from, long): &(Duration, Duration)| (*from, *from + *long + READ_LATER);
        self.ours
            .iter()
            .map(later)
            .filter(|(from, to)| (*from..*to).contains(&at))
            .map(|(_, to)| to)
            .max()
            .unwrap_or(at)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            loss: Loss::None,
            jitter: Jitter::Exponential(Duration::ZERO),
            jitter_until: None,
            duplicate: 0.0,
            reorder: 0.0,
            in_order: true,
            stalls: vec![],
            ours: vec![],
        }
    }
}

/// What a sender's timestamps count.
#[derive(Clone, Copy, Debug)]
pub enum Stamps {
    /// Samples, as the format has it.
    Samples,
    /// Milliseconds.
    Milliseconds,
    /// Samples, in 32 bits, which wrap around soon.
    Wrapping,
    /// Samples, from somewhere else every hundred chunks.
    Jumping,
}

impl Stamps {
    fn of(self, chunk: usize, samples: usize, ms: u64) -> u64 {
        let time = (chunk * samples) as u64;
        match self {
            Self::Samples => time,
            Self::Milliseconds => chunk as u64 * ms,
            Self::Wrapping => u64::from((u32::MAX - 20_000).wrapping_add(time as u32)),
            Self::Jumping => (chunk as u64 / 100).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(time),
        }
    }
}

/// Who sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Length of a chunk.
    pub chunk_ms: u64,
    /// When each chunk is sent.
    pub times: Vec<Duration>,
    /// How much faster its clock is than ours.
    pub ppm: i32,
    /// What it sends ahead of real time at the beginning.
    pub ahead: Duration,
    /// The number of its first chunk.
    pub first: u64,
    /// At which chunk it begins to count from what.
    pub renumber: Vec<(usize, u64)>,
    /// It says stop at the end.
    pub stop: bool,
    /// What it sends in each chunk instead of one value.
    pub audio: Option<Vec<i16>>,
    /// Chunks of 20 ms of another encoding, sent over and over instead.
    pub encoded: Option<(Encoding, Vec<Vec<u8>>)>,
    /// What its timestamps count.
    pub stamps: Stamps,
    /// How long it sends, paced; `None`: at `times`.
    pub length: Option<Duration>,
}

impl Sender {
    /// 20 ms each 20 ms.
    pub fn paced(length: Duration) -> Self {
        Self {
            chunk_ms: 20,
            times: vec![],
            ppm: 0,
            ahead: Duration::ZERO,
            first: 1,
            renumber: vec![],
            stop: true,
            audio: None,
            encoded: None,
            stamps: Stamps::Samples,
            length: Some(length),
        }
    }

    /// At each time so many ms of audio, in chunks of 20 ms a tenth of a ms apart.
    pub fn bursts(bursts: &[(Duration, u64)]) -> Self {
        let chunks = |&(at, ms): &(Duration, u64)| (0..ms / 20).map(move |n| at + Duration::from_micros(100 * n));
        Self { times: bursts.iter().flat_map(chunks).collect(), length: None, ..Self::paced(Duration::ZERO) }
    }

    fn schedule(&self) -> Vec<Duration> {
        let Some(length) = self.length else { return self.times.clone() };
        let chunk = Duration::from_millis(self.chunk_ms);
        let real = chunk.as_secs_f64() / (1.0 + f64::from(self.ppm) * 1e-6);
        let count = length.as_millis() as u64 / self.chunk_ms;
        (0..count).map(|n| Duration::from_secs_f64(n as f64 * real).saturating_sub(self.ahead)).collect()
    }
}

/// An event of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// `MEDIA_STARTED`
    Started,
    /// `MEDIA_ENDED`
    Ended,
}

/// A frame that was played.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When.
    pub at: Duration,
    /// What.
    pub pcm: Vec<i16>,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// Frames in the order in which they were played.
    pub frames: Vec<Frame>,
    /// Events in their order.
    pub events: Vec<Happened>,
    /// The stream's own figures.
    pub counters: Counters,
    /// Chunks and samples handed to it.
    pub chunks: u64,
    /// Samples handed to it.
    pub received_samples: u64,
    /// Of these, in chunks that it called duplicates.
    pub duplicate_samples: u64,
    /// How much the Discarded events told of.
    pub told: Duration,
    /// When playing stopped for lack of audio, the end not counted.
    pub dry: usize,
    /// The most that was buffered.
    pub deepest: Duration,
    /// How often each value was played.
    pub times: Vec<usize>,
    /// Samples in a chunk.
    pub chunk_samples: usize,
    dry_at: Vec<Duration>,
    /// How much was buffered whenever a chunk had come.
    depths: Vec<(Duration, Duration)>,
    /// When, and how long after it could have been heard at the soonest, a chunk began to play.
    delays: Vec<(Duration, Duration)>,
}

/// The delay over a while.
#[derive(Clone, Copy, Debug)]
pub struct DelayFigures {
    /// The mean.
    pub mean: Duration,
    /// The highest.
    pub max: Duration,
}

impl Report {
    /// How late the audio was heard, from then on.
    pub fn delay_after(&self, from: Duration) -> DelayFigures {
        self.delay_between(from, Duration::MAX)
    }

    /// How late the audio was heard, then.
    pub fn delay_between(&self, from: Duration, to: Duration) -> DelayFigures {
        let during: Vec<Duration> =
            self.delays.iter().filter(|(at, _)| (from..to).contains(at)).map(|&(_, delay)| delay).collect();
        let sum: Duration = during.iter().sum();
        DelayFigures { mean: sum / (during.len() as u32).max(1), max: during.into_iter().max().unwrap_or_default() }
    }

    /// The most that was buffered in that time, whatever the audio.
    pub fn depth_between(&self, from: Duration, to: Duration) -> Duration {
        self.depths.iter().filter(|(at, _)| (from..to).contains(at)).map(|&(_, depth)| depth).max().unwrap_or_default()
    }

    /// How often it ran dry, then.
    pub fn dry_between(&self, from: Duration, to: Duration) -> usize {
        self.dry_at.iter().filter(|at| (from..to).contains(at)).count()
    }
}

/// xorshift64*: the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.next() < probability
    }
}

struct Arrival {
    at: Duration,
    chunk: usize,
    number: u64,
}

fn arrivals(sender: &Sender, network: &Network, random: &mut Random) -> Vec<Arrival> {
    let (mut bad, mut last, mut number) = (false, Duration::ZERO, sender.first);
    let mut place = (random.next() * 1000.0) as usize;
    let mut arrivals = vec![];
    let schedule = sender.schedule();
    // What is held back comes when so many later chunks have been sent.
    let until_later = |chunk: usize, later: f64| {
        let sent = |n: usize| schedule.get(n).or(schedule.last()).copied().unwrap_or_default();
        let (whole, part) = (later as usize, later.fract());
        let (from, to) = (sent(chunk + whole), sent(chunk + whole + 1));
        (from + to.saturating_sub(from).mul_f64(part)).saturating_sub(sent(chunk))
    };
    for (chunk, &sent) in schedule.iter().enumerate() {
        if let Some(&(_, anew)) = sender.renumber.iter().find(|(at, _)| *at == chunk) {
            number = anew;
        }
        let lost = match network.loss {
            Loss::None => false,
            Loss::Random(probability) => random.happens(probability),
            Loss::GilbertElliott { to_bad, to_good, in_bad } => {
                bad = if bad { !random.happens(to_good) } else { random.happens(to_bad) };
                bad && random.happens(in_bad)
            }
        };
        place += 1;
        let late = match network.jitter {
            Jitter::Exponential(mean) => mean.mul_f64(-(1.0 - random.next()).ln()),
            Jitter::Uniform(most) => most.mul_f64(random.next()),
            Jitter::Trace => Duration::from_millis(TRACE_MS[place % TRACE_MS.len()]),
        };
        let late = if network.jitter_until.is_some_and(|until| sent >= until) { Duration::ZERO } else { late };
        let mut at = sent + late;
        if let Some((from, long)) = network.stalls.iter().find(|(from, long)| (*from..*from + *long).contains(&at)) {
            at = *from + *long;
        }
        if network.in_order {
            at = at.max(last);
            last = at;
        }
        if random.happens(network.reorder) {
            at += until_later(chunk, 1.0 + random.next() * 2.0);
        }
        if !lost {
            arrivals.push(Arrival { at, chunk, number });
        }
        if random.happens(network.duplicate) {
            arrivals.push(Arrival { at: at + until_later(chunk, random.next() * 4.0), chunk, number });
        }
        number += 1;
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    for arrival in &mut arrivals {
        arrival.at = network.read(arrival.at);
    }
    arrivals
}

/// The value of a chunk: higher than those before, none is silence.
fn value(chunk: usize) -> i16 {
    (200 + chunk % 32_000) as i16
}

fn payload(sender: &Sender, chunk: usize, samples: usize) -> Vec<u8> {
    if let Some((_, chunks)) = &sender.encoded {
        return chunks[chunk % chunks.len()].clone();
    }
    let pcm: Vec<i16> = match &sender.audio {
        Some(audio) => audio.iter().copied().cycle().skip(chunk * samples % audio.len()).take(samples).collect(),
        None => vec![value(chunk); samples],
    };
    pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Has the sender's audio played at the end of the network.
pub fn run(sender: &Sender, network: &Network, config: StreamConfig, seed: u64) -> Report {
    let mut random = Random(seed | 1);
    for _ in 0..8 {
        random.next();
    }
    let arrivals = arrivals(sender, network, &mut random);
    let encoding = sender.encoded.as_ref().map_or(ENCODING, |(encoding, _)| *encoding);
    let samples = (sender.chunk_ms * u64::from(encoding.sample_rate()) / 1000) as usize;
    let zero = Instant::now();
    let mut stream = Stream::new(String::new(), encoding, None, config);
    let mut report = Report {
        frames: vec![],
        events: vec![],
        counters: Counters::default(),
        chunks: 0,
        received_samples: 0,
        duplicate_samples: 0,
        told: Duration::ZERO,
        dry: 0,
        deepest: Duration::ZERO,
        times: vec![0; 1 << 16],
        chunk_samples: samples,
        dry_at: vec![],
        depths: vec![],
        delays: vec![],
    };
    let schedule = sender.schedule();
    let mut end = Duration::ZERO;
    for arrival in &arrivals {
        play(&mut stream, zero, zero + arrival.at, &mut report, &schedule, network);
        let bytes = payload(sender, arrival.chunk, samples);
        let timestamp = sender.stamps.of(arrival.chunk, samples, sender.chunk_ms);
        let pushed =
            stream.push(zero + arrival.at, Some(arrival.number), Some(timestamp), &bytes).expect("whole samples");
        report.chunks += 1;
        report.received_samples += samples as u64;
        report.duplicate_samples += if pushed.duplicate { samples as u64 } else { 0 };
        report.deepest = report.deepest.max(stream.buffered());
        report.depths.push((arrival.at, stream.buffered()));
        end = arrival.at;
    }
    play(&mut stream, zero, zero + end, &mut report, &schedule, network);
    if sender.stop {
        stream.stop(zero + end);
    }
    play(&mut stream, zero, zero + end + Duration::from_mins(1), &mut report, &schedule, network);
    assert_eq!(stream.next_deadline(), None, "it comes to rest");
    report.dry_at.retain(|at| *at < end);
    report.dry = report.dry_at.len();
    report.counters = stream.counters();
    report
}

/// Steps from deadline to deadline; what is due at `until` itself comes after what arrives then.
fn play(
    stream: &mut Stream,
    zero: Instant,
    until: Instant,
    report: &mut Report,
    schedule: &[Duration],
    network: &Network,
) {
    let mut pcm = vec![];
    loop {
        let due = stream.next_deadline().map(|due| zero + network.awake(due.saturating_duration_since(zero)));
        let Some(at) = due.filter(|&at| at < until) else { break };
        let before = stream.counters();
        let tick = stream.tick(at, &mut pcm);
        let after = stream.counters();
        let real = after.played_samples - before.played_samples == pcm.len() as u64;
        // A tick that is late catches up: its frame is that of the time before.
        let frame = Duration::from_millis(20);
        let heard = stream.heard_until().filter(|_| tick.played);
        let at = heard.map_or(at - zero, |end| (end - zero).saturating_sub(frame));
        match tick.event {
            Some(StreamEvent::Started) => report.events.push(Happened::Started),
            Some(StreamEvent::Ended { .. }) => report.events.push(Happened::Ended),
            Some(StreamEvent::Discarded { duration }) => report.told += duration,
            None => {}
        }
        if tick.played {
            let last = report.frames.last().map(|frame| frame.at);
            if last.is_some_and(|last| at > last + Duration::from_millis(25)) {
                report.dry_at.push(at);
            }
            // The end of a frame: its beginning may be cross-faded with what was made up.
            if let Some(last) = pcm.last().filter(|&&last| real && last >= 200) {
                let chunk = (last - 200) as usize % 32_000;
                // Of an hour only the first ten minutes have values of their own; the nearest round is meant.
                let rounds = (report.frames.len().saturating_sub(chunk) + 16_000) / 32_000;
                if let Some(sent) = schedule.get(chunk + rounds * 32_000) {
                    let heard = at + Duration::from_micros(pcm.len() as u64 * 125);
                    let chunk = Duration::from_micros(report.chunk_samples as u64 * 125);
                    report.delays.push((at, heard.saturating_sub(*sent + chunk)));
                }
            }
            for &sample in &pcm {
                report.times[usize::from(sample as u16)] += usize::from(sample != 0);
            }
            // The audio itself only where it is looked at: an hour of it is much.
            let kept = if report.frames.len() < 10_000 { pcm.clone() } else { vec![] };
            report.frames.push(Frame { at, pcm: kept });
        }
    }
}
