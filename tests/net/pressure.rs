//! Back-pressure and bounds: a slow application stops reading, a slow peer fills a buffer that has a limit.

use std::time::{Duration, Instant};

use voxwire::net::{Connection, Notice, Options};
use voxwire::session::OutboundError;

use crate::support::{PATIENCE, Pair};

fn small_buffers() -> Options {
    Options { receive_buffer: 64 * 1024, send_buffer: 256 * 1024, ..Options::default() }
}

#[test]
fn an_application_that_handles_nothing_stops_the_peer_and_loses_nothing() {
    let pair = Pair::with(small_buffers(), small_buffers());
    let message = vec![1; 16 * 1024];
    // Sends until the bound of our own send buffer: then the peer's queue and all buffers between are full.
    let mut sent = 0;
    let deadline = Instant::now() + PATIENCE;
    let mut refused = None;
    while refused.is_none() && Instant::now() < deadline {
        match pair.client.send_binary(&message) {
            Ok(()) => sent += 1,
            Err(error) => refused = Some(error),
        }
    }
    assert!(matches!(refused, Some(OutboundError::Full { limit: 262_144, .. })), "{refused:?} after {sent} messages");
    assert!(!pair.client.request_drain());

    // Now the application works: everything arrives, in full.
    let mut received = 0;
    while received < sent {
        match pair.at_server.next() {
            Notice::Binary(data) => {
                assert_eq!(data.len(), message.len());
                received += 1;
                pair.server.release(Connection::cost(data.len()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(pair.at_client.next(), Notice::Drained));
    assert_eq!(pair.client.buffered_amount(), 0);
    assert!(pair.client.request_drain());
}

#[test]
fn a_paused_connection_still_answers_close() {
    let pair = Pair::with(Options::default(), small_buffers());
    for _ in 0..10 {
        pair.client.send_binary(&[0; 16 * 1024]).expect("sent");
    }
    // Let the server run into its bound.
    while pair.at_server.next_within(Duration::from_millis(200)).is_some() {}
    pair.server.close(Some(1000), "");
    assert_eq!(pair.at_client.closed().code, 1000);
    assert!(pair.at_server.closed().was_clean);
}
