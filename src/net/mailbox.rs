//! What the core tells the application, and where it puts it. Implemented by the bridge to asyncio and by tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::media::stream::Reached;
use crate::media::voice::VoiceEvent;
use crate::proto::{Payload, Text};

use super::route::{RouteEnd, RouteFigures};
use super::server::Question;
use super::{Connection, Failure};

/// How a connection ended (WHATWG `CloseEvent`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The peer's close code; 1005 when it gave none, 1006 when there was no close handshake.
    pub code: u16,
    /// The peer's reason.
    pub reason: String,
    /// Whether the close handshake was completed.
    pub was_clean: bool,
}

impl Closed {
    /// The end without a close handshake.
    pub fn abnormal() -> Self {
        Self { code: 1006, reason: String::new(), was_clean: false }
    }
}

/// What ended a player or a recorder before it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitError {
    /// A file could not be read or written.
    File(String),
    /// What is to be played cannot be.
    Sound(String),
}

/// One thing that happened.
#[derive(Debug)]
pub enum Notice {
    /// The connection is open.
    Open {
        /// Subprotocol, or empty.
        protocol: String,
        /// Extensions in use, or empty.
        extensions: String,
        /// Headers of the peer's handshake.
        headers: Vec<(String, String)>,
    },
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A failure; followed by `Close` unless it is a media error.
    Error(Failure),
    /// The connection is closed: the last notice of a connection.
    Close(Closed),
    /// An incoming audio stream starts playing.
    MediaStarted {
        /// Its tag.
        tag: String,
        /// Wire name of its encoding.
        encoding: &'static str,
        /// Custom parameters as JSON text.
        custom: Option<String>,
    },
    /// An incoming audio stream ended.
    MediaEnded {
        /// Its tag.
        tag: String,
        /// How much of it was played.
        duration: Duration,
    },
    /// Audio of an incoming stream was thrown away, over a bound.
    MediaDiscarded {
        /// Its tag.
        tag: String,
        /// How much, since the last such notice.
        duration: Duration,
    },
    /// Speech began or ended in an incoming audio stream.
    Voice {
        /// Its tag.
        tag: String,
        /// What was found.
        event: VoiceEvent,
    },
    /// What was marked under this id was played, or dropped.
    Mark(Reached),
    /// A route from this object has ended.
    RouteEnded {
        /// Why.
        why: RouteEnd,
        /// What became of its audio.
        figures: RouteFigures,
    },
    /// All that was sent is with the operating system.
    Drained,
    /// The loop is to look again at whether it reads this connection: see `Connection::wants_loop`.
    Watch,
    /// A pong that answers a ping of the application.
    Pong(Vec<u8>),
    /// A listener accepted a connection; it reads nothing before `Connection::start`.
    Incoming {
        /// The connection.
        connection: Arc<Connection>,
        /// Path and query of the request.
        path: String,
        /// Headers of the request.
        headers: Vec<(String, String)>,
        /// The peer; a Unix socket does not tell.
        peer: Option<SocketAddr>,
    },
    /// A request to a listener that waits for the application's `Question::answer`.
    Asked(Arc<Question>),
    /// Nobody waits for the answer to a question any more.
    Withdrawn {
        /// Its id.
        question: u64,
        /// Whether time is over; else the peer is gone or the listener stops.
        late: bool,
    },
    /// A listener refused a connection.
    Refused {
        /// HTTP status: 503 over the cap, 403 for the origin.
        status: u16,
        /// Why.
        reason: String,
        /// The peer; a Unix socket does not tell.
        peer: Option<SocketAddr>,
    },
    /// A listener has stopped: the last notice of a listener.
    Stopped,
    /// An audio unit has frames to read.
    Readable,
    /// An audio unit has room again.
    Writable,
    /// A recorder has completed a file.
    FileCompleted(PathBuf),
    /// A player, a recorder or an audio unit is done: its last notice.
    Finished(Option<UnitError>),
}

impl Notice {
    /// What a notice, other than a message, that a peer can cause as often as it likes counts as in `receive_buffer` until
    /// it has been dispatched. Without this a flood of pongs would wait for a busy loop without a bound.
    pub fn cost(&self) -> usize {
        match self {
            Self::Pong(payload) => Connection::cost(payload.len()),
            Self::MediaStarted { tag, custom, .. } => {
                Connection::cost(tag.len() + custom.as_ref().map_or(0, String::len))
            }
            Self::MediaEnded { tag, .. } | Self::MediaDiscarded { tag, .. } | Self::Voice { tag, .. } => {
                Connection::cost(tag.len())
            }
            Self::Error(Failure::Media(_)) => Connection::cost(0),
            _ => 0,
        }
    }
}

/// Takes notices for one event loop. Posting never blocks and never takes the GIL.
pub trait Mailbox: Send + Sync {
    /// Takes all of `notices`, in order, for the object `id`.
    fn post(&self, id: u64, notices: &mut Vec<Notice>);

    /// Takes one notice.
    fn post_one(&self, id: u64, notice: Notice) {
        self.post(id, &mut vec![notice]);
    }

    /// Whether its loop watches the sockets of connections without media and reads them itself, with
    /// `Connection::read_on_loop`, from the dispatch of `Notice::Open` on.
    fn reads_sockets(&self) -> bool {
        false
    }
}

/// Takes what one read has brought, in order.
pub trait Taker {
    /// A text message.
    fn text(&mut self, text: Text<'_>);
    /// A binary message.
    fn binary(&mut self, data: Payload<'_>);
    /// Anything else.
    fn notice(&mut self, notice: Notice);
}

impl Taker for Vec<Notice> {
    fn text(&mut self, text: Text<'_>) {
        self.push(Notice::Text(text.into_string()));
    }

    fn binary(&mut self, data: Payload<'_>) {
        self.push(Notice::Binary(data.into_vec()));
    }

    fn notice(&mut self, notice: Notice) {
        self.push(notice);
    }
}

/// The mailbox of one connection: counts what its loop has not seen yet, so that what the loop reads itself does not
/// overtake it.
pub(super) struct Counted {
    mailbox: Arc<dyn Mailbox>,
    waiting: AtomicUsize,
}

impl Counted {
    pub(super) fn new(mailbox: Arc<dyn Mailbox>) -> Self {
        Self { mailbox, waiting: AtomicUsize::new(0) }
    }

    /// Posted and not dispatched yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// So many more wait, though they were not posted here.
    pub(super) fn wait(&self, count: usize) {
        self.waiting.fetch_add(count, Ordering::AcqRel);
    }

    /// One was dispatched.
    pub(super) fn dispatched(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Mailbox for Counted {
    fn post(&self, id: u64, notices: &mut Vec<Notice>) {
        self.wait(notices.len());
        self.mailbox.post(id, notices);
    }

    fn reads_sockets(&self) -> bool {
        self.mailbox.reads_sockets()
    }
}
