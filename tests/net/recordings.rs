//! Recordings: what is in the files, and that it is in them while they are written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use voxwire::media::ogg::{Event, Reader};
use voxwire::media::opus::{Channels, Decoder, EncoderConfig};
use voxwire::media::wav;
use voxwire::net::{MediaSink, Notice, Recorder, RecorderConfig, RecorderError, RecordingFormat, UnitError, core};

use crate::support::Inbox;

const FRAME: Duration = Duration::from_millis(20);

fn opus(bitrate: u32) -> RecordingFormat {
    let RecordingFormat::Opus(config) = RecordingFormat::default_opus() else { panic!("Opus") };
    RecordingFormat::Opus(EncoderConfig { bitrate: Some(bitrate), ..config })
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("voxwire-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config(path: PathBuf, format: RecordingFormat) -> RecorderConfig {
    RecorderConfig { path, format, rate: 8000, channels: 1, split_after: None, split_bytes: None }
}

fn create(inbox: &Inbox, config: RecorderConfig) -> std::sync::Arc<Recorder> {
    Recorder::create(&core().expect("a core"), inbox.mailbox(), config).expect("a file")
}

/// A sample that says where it is.
fn sample(n: usize) -> i16 {
    ((n * 7) % 20_011) as i16 - 10_000
}

/// Frames in real time, without waiting for it.
fn feed(recorder: &Recorder, channel: usize, start: Instant, frames: std::ops::Range<usize>) {
    let length = recorder.channels()[0].rate() as usize / 50;
    for n in frames {
        let pcm: Vec<i16> = (n * length..(n + 1) * length).map(sample).collect();
        assert!(recorder.channels()[channel].frame(1, start + FRAME * n as u32, &pcm));
    }
}

/// The files that were completed, once it is over.
fn files(inbox: &Inbox) -> Vec<PathBuf> {
    let mut files = Vec::new();
    loop {
        match inbox.next() {
            Notice::FileCompleted(path) => files.push(path),
            Notice::Finished(None) => return files,
            other => panic!("{other:?}"),
        }
    }
}

fn wav(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).expect("a file");
    let said = u32::from_le_bytes([bytes[40], bytes[41], bytes[42], bytes[43]]);
    assert_eq!(said as usize, bytes.len() - 44, "the header says what is there");
    wav::parse(&bytes).expect("a WAV").samples
}

/// What an Ogg file plays, at 48 kHz, and whether it has an end.
fn ogg(path: &Path, channels: Channels) -> (Vec<i16>, bool) {
    let bytes = std::fs::read(path).expect("a file");
    let mut decoder = Decoder::new(48_000, channels).expect("a decoder");
    let (mut reader, mut pcm, mut starts, mut ended) = (Reader::new(), Vec::new(), 0, false);
    let count = channels.count();
    reader.push(&bytes, |event| match event {
        Event::Start(head) => {
            assert_eq!(head.channels, channels);
            starts += 1;
        }
        Event::Tags(tags) => assert!(tags.vendor.starts_with("voxwire"), "{tags:?}"),
        Event::Packet { data, skip, samples } => {
            let mut packet = Vec::new();
            decoder.decode_into(data, &mut packet).expect("audio");
            pcm.extend(packet.into_iter().skip(skip * count).take(samples * count));
        }
        Event::End => ended = true,
        other => panic!("{other:?}"),
    });
    assert_eq!(starts, 1);
    assert_eq!(reader.statistics(), voxwire::media::ogg::Statistics::default());
    (pcm, ended)
}

/// How alike two signals are: 1 is the same.
fn likeness(a: impl Iterator<Item = i16>, b: impl Iterator<Item = i16>) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    ab / (aa * bb).sqrt()
}

#[test]
fn each_second_is_in_the_file_while_it_is_written() {
    let (directory, inbox) = (Directory::new("growing"), Inbox::new());
    for format in [RecordingFormat::Wav, opus(32_000)] {
        let recorder = create(&inbox, config(directory.0.join("call"), format));
        let start = Instant::now();
        let mut frames = 0;
        for seconds in 1..=3_u32 {
            feed(&recorder, 0, start, frames..frames + 50);
            frames += 50;
            let until = Instant::now() + Duration::from_secs(20);
            let length = || match format {
                // The samples are written first, and then the header.
                RecordingFormat::Wav => {
                    let bytes = std::fs::read(directory.0.join("call")).expect("a file");
                    let said = u32::from_le_bytes([bytes[40], bytes[41], bytes[42], bytes[43]]) as usize;
                    assert!(said <= bytes.len() - 44);
                    said / 2
                }
                // What the encoder looks ahead by is not out yet.
                RecordingFormat::Opus(_) => (ogg(&directory.0.join("call"), Channels::Mono).0.len() + 312) / 6,
            };
            while length() < 8000 * seconds as usize {
                assert!(Instant::now() < until, "{} of {seconds} s", length());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        recorder.close();
        assert_eq!(files(&inbox), [directory.0.join("call")]);
    }
}

#[test]
fn wav_splits_lose_and_double_no_sample() {
    let (directory, inbox) = (Directory::new("wav-splits"), Inbox::new());
    let path = directory.0.join("call.wav");
    for (by_time, by_size) in [(Some(Duration::from_millis(1001)), None), (None, Some(1 << 16))] {
        let split =
            RecorderConfig { split_after: by_time, split_bytes: by_size, ..config(path.clone(), RecordingFormat::Wav) };
        let recorder = create(&inbox, split);
        feed(&recorder, 0, Instant::now(), 0..500);
        recorder.close();
        let files = files(&inbox);
        let each = if by_time.is_some() { 8008 } else { (65_536 - 44) / 2 };
        assert_eq!(files.len(), 80_000_usize.div_ceil(each));
        let mut all = Vec::new();
        for (index, file) in files.iter().enumerate() {
            assert_eq!(file.file_name(), Some(format!("call-{:04}.wav", index + 1).as_ref()));
            assert!(file.metadata().expect("a file").len() <= by_size.unwrap_or(u64::MAX));
            let samples = wav(file);
            assert!(samples.len() == each || index + 1 == files.len());
            all.extend(samples);
        }
        assert_eq!(all, (0..80_000).map(sample).collect::<Vec<_>>());
    }
    assert!(!path.exists(), "all files have numbers");
}

#[test]
fn ogg_splits_lose_and_double_no_sample() {
    let (directory, inbox) = (Directory::new("ogg-splits"), Inbox::new());
    let tone: Vec<i16> = (0..48_000 * 12)
        .map(|n| ((f64::from(n) * 440.0 / 48_000.0 * std::f64::consts::TAU).sin() * 9000.0) as i16)
        .collect();
    for (by_time, by_size) in [(Some(Duration::from_millis(2500)), None), (None, Some(1 << 16)), (None, None)] {
        let split = RecorderConfig {
            rate: 48_000,
            split_after: by_time,
            split_bytes: by_size,
            ..config(directory.0.join("call.opus"), opus(128_000))
        };
        let (recorder, start) = (create(&inbox, split), Instant::now());
        for (n, frame) in tone.chunks(960).enumerate() {
            assert!(recorder.channels()[0].frame(1, start + FRAME * n as u32, frame));
        }
        recorder.close();
        let files = files(&inbox);
        let mut all = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let (pcm, ended) = ogg(file, Channels::Mono);
            assert!(ended);
            assert!(by_time.is_none() || pcm.len() == 120_000 || index + 1 == files.len(), "{}", pcm.len());
            let size = file.metadata().expect("a file").len();
            assert!(size <= by_size.unwrap_or(u64::MAX), "{size}");
            assert!(by_size.is_none() || index + 1 == files.len() || size > 50_000, "{size}");
            all.extend(pcm);
        }
        assert_eq!(files.len() > 1, by_time.is_some() || by_size.is_some());
        assert_eq!(all.len(), tone.len());
        let alike = likeness(all.iter().copied(), tone.iter().copied());
        assert!(alike > 0.97, "{alike}");
    }
}

#[test]
fn the_two_channels_of_a_recording_are_on_one_time_line() {
    let (directory, inbox) = (Directory::new("stereo"), Inbox::new());
    for (format, rate) in [(RecordingFormat::Wav, 8000), (opus(96_000), 16_000)] {
        let path = directory.0.join("call");
        let recorder = create(&inbox, RecorderConfig { channels: 2, rate, ..config(path.clone(), format) });
        let [left, right] = recorder.channels() else { panic!("two channels") };
        assert_ne!(left.id(), right.id());
        let (start, length) = (Instant::now(), rate as usize / 50);
        let tone = |hertz: f64, n: usize| {
            let frame = n * length..(n + 1) * length;
            frame
                .map(|at| ((at as f64 * hertz / f64::from(rate) * std::f64::consts::TAU).sin() * 9000.0) as i16)
                .collect::<Vec<_>>()
        };
        for n in 0..150_usize {
            let now = start + FRAME * n as u32;
            assert!(left.frame(1, now, &tone(440.0, n)));
            if (75..125).contains(&n) {
                assert!(right.frame(2, now, &tone(300.0, n)));
            }
        }
        recorder.close();
        assert_eq!(files(&inbox), std::slice::from_ref(&path));
        let pcm = match format {
            RecordingFormat::Wav => {
                let bytes = std::fs::read(&path).expect("a file");
                assert_eq!(bytes[22], 2);
                bytes[44..].as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
            }
            RecordingFormat::Opus(_) => ogg(&path, Channels::Stereo).0,
        };
        let step = if format == RecordingFormat::Wav { 1 } else { 3 };
        assert_eq!(pcm.len(), 2 * step * 150 * length);
        let channel = |index: usize| pcm.iter().copied().skip(index).step_by(2 * step);
        let lefts = (0..150).flat_map(|n| tone(440.0, n));
        let rights = (75..125).flat_map(|n| tone(300.0, n));
        let (a, b) = (likeness(channel(0), lefts), likeness(channel(1).skip(75 * length), rights));
        assert!(a > 0.97 && b > 0.97, "{a} {b}");
        let loudest = channel(1).take(70 * length).map(i16::unsigned_abs).max();
        assert!(loudest < Some(300), "{loudest:?}");
    }
}

#[test]
fn a_recording_that_cannot_go_on_says_why_and_takes_nothing_more() {
    let (directory, inbox) = (Directory::new("failing"), Inbox::new());
    let split = RecorderConfig {
        split_after: Some(Duration::from_secs(1)),
        ..config(directory.0.join("call.wav"), RecordingFormat::Wav)
    };
    let recorder = create(&inbox, split);
    // The second file cannot be made: there is a directory of its name.
    std::fs::create_dir(directory.0.join("call-0002.wav")).expect("a directory");
    let (start, until) = (Instant::now(), Instant::now() + Duration::from_secs(20));
    let mut taken = 0_u32;
    while recorder.channels()[0].frame(1, start + FRAME * taken, &[5; 160]) {
        taken += 1;
        assert!(Instant::now() < until);
        if taken.is_multiple_of(50) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    assert!(taken >= 99);
    assert!(matches!(inbox.next(), Notice::FileCompleted(_)));
    match inbox.next() {
        Notice::Finished(Some(UnitError::File(error))) => assert!(error.contains("irectory"), "{error}"),
        other => panic!("{other:?}"),
    }
    recorder.close();
    assert_eq!(wav(&directory.0.join("call-0001.wav")).len(), 8000);
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    let (directory, inbox) = (Directory::new("refused"), Inbox::new());
    let good = config(directory.0.join("call"), opus(32_000));
    let table = [
        (RecorderConfig { rate: 11_025, ..good.clone() }, "rate: 11025"),
        (RecorderConfig { rate: 44_100, ..good.clone() }, "rate: 44100"),
        (RecorderConfig { channels: 3, ..good.clone() }, "channels: 3"),
        (RecorderConfig { split_bytes: Some(65_535), ..good.clone() }, "split_bytes: 65535"),
        (RecorderConfig { split_after: Some(Duration::from_millis(999)), ..good.clone() }, "split_seconds: 0.999"),
        (RecorderConfig { format: opus(499), ..good.clone() }, "Opus: bitrate is 499"),
    ];
    for (config, expected) in table {
        let Err(error) = Recorder::create(&core().expect("a core"), inbox.mailbox(), config) else {
            panic!("{expected}")
        };
        assert!(!matches!(error, RecorderError::Io(_)));
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    assert!(!good.path.exists());
}
