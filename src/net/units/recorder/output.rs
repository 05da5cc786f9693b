//! The files of one recording, one after the other: when the next one begins, and how it is called. Runs on the file thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::media::opus::{Application, EncoderConfig};

use super::ogg::{self, OggFile};
use super::wav::WavFile;

/// Silence written at a time, in samples.
const BLOCK: usize = 1 << 16;
/// No file can be kept under a size that hardly holds its headers and a packet.
pub(super) const LEAST_BYTES: u64 = 1 << 16;

/// What a recording is written as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RecordingFormat {
    /// WAV, 16-bit PCM.
    Wav,
    /// Ogg Opus; rate and channels are those of the recording.
    Opus(EncoderConfig),
}

impl RecordingFormat {
    /// Opus as it sounded, without the filters that make speech on a call easier to understand.
    pub fn default_opus() -> Self {
        Self::Opus(EncoderConfig { application: Application::Audio, ..EncoderConfig::default() })
    }
}

/// How a recording is made.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// The file. With a split it gives its name to all of them: `call.wav`, `call-0001.wav`, `call-0002.wav`, …
    pub path: PathBuf,
    /// What is written.
    pub format: RecordingFormat,
    /// Samples per second.
    pub rate: u32,
    /// 1, or 2 for one party each.
    pub channels: u16,
    /// A new file begins after so much audio.
    pub split_after: Option<Duration>,
    /// A new file begins before one is larger.
    pub split_bytes: Option<u64>,
}

impl RecorderConfig {
    /// The name of a file, counted from 1. Without a split the first one has the name that was given; there are more only when
    /// a WAV file is as large as it can be.
    fn name(&self, number: u64) -> PathBuf {
        if number == 1 && self.split_after.is_none() && self.split_bytes.is_none() {
            return self.path.clone();
        }
        numbered(&self.path, number)
    }

    fn samples(&self) -> u64 {
        let samples = self.split_after.map(|time| (time.as_secs_f64() * f64::from(self.rate)).round() as u64);
        samples.map_or(u64::MAX, |samples| samples.max(1))
    }
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number:04}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

enum Part {
    Wav(WavFile),
    Ogg(Box<OggFile>),
}

/// Where a recording goes.
pub(super) struct Output {
    config: RecorderConfig,
    part: Part,
    path: PathBuf,
    number: u64,
    /// Is told of each file that is complete.
    completed: Box<dyn FnMut(PathBuf) + Send>,
}

impl Output {
    /// Makes the first file.
    pub(super) fn create(
        config: RecorderConfig,
        completed: impl FnMut(PathBuf) + Send + 'static,
    ) -> std::io::Result<Self> {
        let path = config.name(1);
        let part = open(&config, &path)?;
        Ok(Self { config, part, path, number: 1, completed: Box::new(completed) })
    }

    /// Appends interleaved samples; goes on in the next file where one is full.
    pub(super) fn write(&mut self, mut pcm: &[i16]) -> std::io::Result<()> {
        loop {
            let written = match &mut self.part {
                Part::Wav(file) => file.write(pcm)?,
                Part::Ogg(file) => file.write(pcm)?,
            };
            pcm = pcm.get(written..).unwrap_or_default();
            if pcm.is_empty() {
                return Ok(());
            }
            self.next()?;
        }
    }

    /// Appends so many samples of silence to each channel.
    pub(super) fn silence(&mut self, mut samples: u64) -> std::io::Result<()> {
        let channels = usize::from(self.config.channels);
        let zeros = vec![0; BLOCK * channels];
        while samples > 0 {
            let count = samples.min(BLOCK as u64);
            self.write(zeros.get(..count as usize * channels).unwrap_or_default())?;
            samples -= count;
        }
        Ok(())
    }

    /// Completes the last file.
    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        if let Part::Ogg(file) = &mut self.part {
            file.finish()?;
        }
        (self.completed)(self.path.clone());
        Ok(())
    }

    fn next(&mut self) -> std::io::Result<()> {
        self.finish()?;
        self.number += 1;
        self.path = self.config.name(self.number);
        self.part = open(&self.config, &self.path)?;
        Ok(())
    }
}

fn open(config: &RecorderConfig, path: &Path) -> std::io::Result<Part> {
    let (samples, bytes) = (config.samples(), config.split_bytes.unwrap_or(u64::MAX).max(LEAST_BYTES));
    Ok(match config.format {
        RecordingFormat::Wav => Part::Wav(WavFile::create(path, config.rate, config.channels, samples, bytes)?),
        RecordingFormat::Opus(encoder) => {
            let encoder = ogg::encoder(encoder, config.rate, config.channels);
            Part::Ogg(Box::new(OggFile::create(path, encoder, samples, bytes)?))
        }
    })
}
