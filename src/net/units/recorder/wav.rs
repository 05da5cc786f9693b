//! One WAV file of a recording: 16-bit PCM. Its header is right after every write, so that a file whose writer is killed can be
//! read up to then.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::media::{pcm, wav};

/// What a header can tell: sizes have 32 bits, and one of them counts 36 bytes of the header, too.
const MAX_DATA: u64 = u32::MAX as u64 - 36;

pub(super) struct WavFile {
    file: File,
    rate: u32,
    channels: u16,
    /// Samples of each channel that there is room for, and that there are.
    room: u64,
    length: u64,
    bytes: Vec<u8>,
}

impl WavFile {
    /// Makes the file, with a header that is right for an empty recording. At most `samples` samples of each channel and
    /// `bytes` bytes go into it.
    pub(super) fn create(path: &Path, rate: u32, channels: u16, samples: u64, bytes: u64) -> std::io::Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(&wav::header(rate, channels, 0))?;
        let data = bytes.saturating_sub(44).min(MAX_DATA);
        let room = samples.min(data / (2 * u64::from(channels.max(1))));
        Ok(Self { file, rate, channels, room, length: 0, bytes: Vec::new() })
    }

    /// Appends interleaved samples and answers how many (all channels together) there was room for.
    pub(super) fn write(&mut self, pcm: &[i16]) -> std::io::Result<usize> {
        let channels = usize::from(self.channels.max(1));
        let left = usize::try_from(self.room - self.length).unwrap_or(usize::MAX);
        let count = (pcm.len() / channels).min(left);
        let taken = pcm.get(..count * channels).unwrap_or_default();
        self.bytes.clear();
        pcm::to_le_bytes_into(taken, &mut self.bytes);
        self.file.write_all(&self.bytes)?;
        self.length += count as u64;
        let data = self.length * 2 * u64::from(self.channels);
        let header = wav::header(self.rate, self.channels, u32::try_from(data).unwrap_or(u32::MAX));
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(taken.len())
    }
}
