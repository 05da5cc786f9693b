//! The `trace` of a connection: every message sent and received as a line of text, for diagnosis.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::proto::CloseFrame;

use super::files::{BackgroundFile, Files};
use super::hex::hex;

/// A trace file that lines are appended to.
pub(super) struct Trace(BackgroundFile);

/// Which way a message went.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Sent,
    Received,
}

impl Trace {
    /// Opens (or makes) the file.
    pub(super) fn open(path: &Path, files: &Files) -> std::io::Result<Self> {
        Ok(Self(files.open(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    /// `1700000000.123456 > text 5 "hello"`: seconds since 1970, direction, kind, payload bytes, the text as JSON.
    pub(super) fn text(&self, direction: Direction, text: &str) {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        self.line(direction, "text", text.len(), &quoted);
    }

    /// The same with the payload in hexadecimal digits.
    pub(super) fn binary(&self, direction: Direction, data: &[u8]) {
        self.line(direction, "binary", data.len(), &hex(data));
    }

    /// A close frame: its code and reason.
    pub(super) fn close(&self, direction: Direction, frame: Option<&CloseFrame>) {
        let what = frame.map_or_else(String::new, |f| format!("{} {}", f.code, f.reason));
        self.line(direction, "close", what.len(), &serde_json::to_string(&what).unwrap_or_default());
    }

    /// Calls `done` when all lines before are in the file.
    pub(super) fn finish(&self, done: impl FnOnce() + Send + 'static) {
        self.0.finish(|_error| done());
    }

    fn line(&self, direction: Direction, kind: &str, length: usize, what: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let arrow = match direction {
            Direction::Sent => '>',
            Direction::Received => '<',
        };
        self.0.append(format!("{now:.6} {arrow} {kind} {length} {what}\n").into_bytes());
    }
}
