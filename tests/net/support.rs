//! A mailbox that tests read from, and connections made with it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use voxwire::net::{
    Closed, Connection, Endpoint, Failure, Listener, ListenerOptions, Mailbox, Notice, Options, Target, Via, core,
};
use voxwire::proto::Url;

/// Far longer than anything here takes: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

struct Post(Mutex<Sender<(u64, Notice)>>);

impl Mailbox for Post {
    fn post(&self, id: u64, notices: &mut Vec<Notice>) {
        let sender = self.0.lock().expect("unpoisoned");
        for notice in notices.drain(..) {
            let _ = sender.send((id, notice));
        }
    }
}

/// What a loop would see.
pub struct Inbox {
    notices: Receiver<(u64, Notice)>,
    mailbox: Arc<dyn Mailbox>,
}

impl Inbox {
    pub fn new() -> Self {
        let (sender, notices) = channel();
        Self { notices, mailbox: Arc::new(Post(Mutex::new(sender))) }
    }

    pub fn mailbox(&self) -> Arc<dyn Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// The next notice, whoever it is about.
    pub fn next(&self) -> Notice {
        self.notices.recv_timeout(PATIENCE).expect("a notice").1
    }

    /// The next notice within this time.
    pub fn next_within(&self, time: Duration) -> Option<Notice> {
        match self.notices.recv_timeout(time) {
            Ok((_, notice)) => Some(notice),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the mailbox is gone"),
        }
    }

    pub fn open(&self) -> String {
        match self.next() {
            Notice::Open { protocol, .. } => protocol,
            other => panic!("not open: {other:?}"),
        }
    }

    pub fn text(&self) -> String {
        match self.next() {
            Notice::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    pub fn error(&self) -> Failure {
        match self.next() {
            Notice::Error(failure) => failure,
            other => panic!("no error: {other:?}"),
        }
    }

    pub fn closed(&self) -> Closed {
        match self.next() {
            Notice::Close(closed) => closed,
            other => panic!("not closed: {other:?}"),
        }
    }

    pub fn incoming(&self) -> Arc<Connection> {
        match self.next() {
            Notice::Incoming { connection, .. } => connection,
            other => panic!("nobody came: {other:?}"),
        }
    }
}

pub fn target(url: &str) -> Target {
    Target {
        url: Url::parse(url).expect("a URL"),
        protocols: Vec::new(),
        headers: Vec::new(),
        tls: None,
        server_name: None,
        require_protocol: false,
        via: Via::default(),
        socket: None,
    }
}

pub fn connect_with(inbox: &Inbox, target: Target, options: Options) -> Arc<Connection> {
    let core = core().expect("a core");
    let connection = Connection::connect(core, inbox.mailbox(), target, options).expect("a request");
    connection.start();
    connection
}

/// For tests that handle large messages and do not release them.
pub fn roomy() -> Options {
    Options { receive_buffer: 1 << 30, ..Options::default() }
}

pub fn connect(inbox: &Inbox, url: &str) -> Arc<Connection> {
    connect_with(inbox, target(url), Options::default())
}

pub fn listener_options() -> ListenerOptions {
    ListenerOptions { protocols: vec!["chat".to_owned()], max_connections: 100, ..ListenerOptions::default() }
}

pub fn listen(inbox: &Inbox, options: ListenerOptions) -> Arc<Listener> {
    let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 0, reuse_port: false };
    Listener::bind(core().expect("a core"), inbox.mailbox(), endpoint, options).expect("a port")
}

pub fn url_of(listener: &Listener) -> String {
    format!("ws://{}/", listener.addresses()[0])
}

/// Our client and our server, connected, each with an inbox of its own.
pub struct Pair {
    pub client: Arc<Connection>,
    pub at_client: Inbox,
    pub server: Arc<Connection>,
    pub at_server: Inbox,
    pub listener: Arc<Listener>,
}

impl Pair {
    pub fn new() -> Self {
        Self::with(Options::default(), Options::default())
    }

    pub fn with(client: Options, server: Options) -> Self {
        let at_server = Inbox::new();
        let listener = listen(&at_server, ListenerOptions { connection: server.into(), ..listener_options() });
        let at_client = Inbox::new();
        let client = connect_with(&at_client, target(&url_of(&listener)), client);
        let server = at_server.incoming();
        server.start();
        at_server.open();
        at_client.open();
        Self { client, at_client, server, at_server, listener }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.client.abort();
        self.server.abort();
        self.listener.close(Duration::ZERO);
    }
}
