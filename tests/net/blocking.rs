//! Frames on a socket that the calling thread reads itself.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::spawn;
use std::time::{Duration, Instant};

use voxwire::net::{FrameSocket, Step, Waited, poll_socket};
use voxwire::proto::{RawHead, raw_frame};

fn frame(socket: &FrameSocket, stream: &UnixStream) -> Step<(u8, Vec<u8>)> {
    socket.try_recv(stream.as_fd(), |RawHead { first, .. }, payload| (first, payload.to_vec())).expect("read")
}

#[test]
fn a_frame_is_read_to_its_end_and_no_byte_further() {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let socket = FrameSocket::default();
    assert_eq!(frame(&socket, &ours), Step::Blocked);
    let mut wire = raw_frame(0x81, b"first", None);
    let length = wire.len();
    wire.extend(raw_frame(0x82, &[7; 300], Some([1, 2, 3, 4])));
    theirs.write_all(&wire[..4]).expect("written");
    assert_eq!(frame(&socket, &ours), Step::Blocked);
    assert_eq!(socket.missing(), length - 4);
    theirs.write_all(&wire[4..]).expect("written");
    assert_eq!(frame(&socket, &ours), Step::Frame((0x81, b"first".to_vec())));
    assert_eq!(poll_socket(ours.as_fd(), false, None).expect("polled"), Waited::Ready);
    assert_eq!(frame(&socket, &ours), Step::Frame((0x82, vec![7; 300])));
    drop(theirs);
    assert_eq!(frame(&socket, &ours), Step::End);
}

#[test]
fn bytes_that_somebody_else_has_read_are_taken_as_far_as_the_frame_goes() {
    let socket = FrameSocket::default();
    let take = |RawHead { first, masked }, payload: &[u8]| (first, masked, payload.to_vec());
    let mut wire = raw_frame(0x8A, b"pong", Some([9, 8, 7, 6]));
    wire.extend_from_slice(b"behind");
    assert_eq!(socket.push(&wire[..3], take), (None, 0));
    assert_eq!(socket.push(&wire[3..], take), (Some((0x8A, true, b"pong".to_vec())), 6));
    assert_eq!(socket.missing(), 2);
}

#[test]
fn a_wait_ends_when_its_time_is_over_and_when_something_comes() {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let wait = |until| {
        loop {
            match poll_socket(ours.as_fd(), false, until).expect("polled") {
                Waited::Interrupted => {}
                waited => return waited,
            }
        }
    };
    let until = Instant::now() + Duration::from_millis(50);
    assert_eq!(wait(Some(until)), Waited::Late);
    assert!(Instant::now() >= until);
    let late = spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        theirs.write_all(b"x").expect("written");
        theirs
    });
    assert_eq!(wait(None), Waited::Ready);
    late.join().expect("joined");
}

#[test]
fn a_full_socket_takes_nothing_until_it_is_read() {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let chunk = vec![0; 64 * 1024];
    let mut sent = 0;
    loop {
        match FrameSocket::try_send(ours.as_fd(), &chunk).expect("sent") {
            0 => break,
            count => sent += count,
        }
    }
    let soon = Some(Instant::now() + Duration::from_millis(20));
    assert_eq!(poll_socket(ours.as_fd(), true, soon).expect("polled"), Waited::Late);
    theirs.read_exact(&mut vec![0; sent]).expect("read");
    assert_eq!(poll_socket(ours.as_fd(), true, None).expect("polled"), Waited::Ready);
}
