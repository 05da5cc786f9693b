//! Any bytes as frames, to a client and to a server; what they mean is sent again and read back.

use voxwire::proto::{Kind, Limits, Role, Sender};

use super::{
    input::{Choices, Cuts},
    wire::{Got, Reading},
};

/// Limits by two bytes, then cuts, then the frames.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = Limits {
        max_message_size: choices.pick([1000, 0, 1, 125, 126, 300, 70_000]),
        max_fragments: choices.pick([4, 1, 2, 100]),
    };
    let cuts = choices.cuts();
    let wire = choices.rest();
    for role in [Role::Client, Role::Server] {
        let reading = Reading { role, limits, agreed: None };
        let mut all = reading.receive_in_all_ways(wire, cuts.pieces(wire));
        if let Some(Got::Error(_)) = all.last() {
            all.pop();
        }
        there_and_back(role, &all, cuts);
    }
}

/// What one side can receive it can send, and the other side reads the same: in one frame each and in fragments.
fn there_and_back(role: Role, all: &[Got], cuts: Cuts<'_>) {
    let reading = Reading { role: other(role), limits: Limits::default(), agreed: None };
    let wire = send_again(all, &mut Sender::new(role));
    assert_eq!(reading.receive([wire.as_slice()]), all);
    assert_eq!(reading.receive(cuts.pieces(&wire)), all);

    let (wire, expected) = in_fragments(role, all, cuts);
    assert_eq!(reading.receive([wire.as_slice()]), expected);
    assert_eq!(reading.receive(cuts.pieces(&wire)), expected);
}

/// Each message cut into fragments, with a ping behind each fragment but the last.
fn in_fragments(role: Role, all: &[Got], cuts: Cuts<'_>) -> (Vec<u8>, Vec<Got>) {
    let (mut sender, mut out, mut expected) = (Sender::new(role), Vec::new(), Vec::new());
    for got in all {
        let (kind, payload) = match got {
            Got::Text(text) => (Kind::Text, text.as_bytes()),
            Got::Binary(payload) => (Kind::Binary, payload.as_slice()),
            other => {
                out.extend(send_again(std::slice::from_ref(other), &mut sender));
                expected.push(other.clone());
                continue;
            }
        };
        // No more than Limits::default() allows.
        let mut pieces = cuts.pieces(payload);
        if pieces.len() > 4096 {
            pieces = vec![payload];
        }
        for (index, piece) in pieces.iter().enumerate() {
            let (first, last) = (index == 0, index + 1 == pieces.len());
            assert_eq!(sender.fragment(kind, piece, first, last, &mut out), Ok(()));
            if !last {
                let ping = vec![index as u8];
                assert_eq!(sender.ping(&ping, &mut out), Ok(()));
                expected.push(Got::Ping(ping));
            }
        }
        expected.push(got.clone());
    }
    (out, expected)
}

/// Sends what was received as the other side would.
fn send_again(all: &[Got], sender: &mut Sender) -> Vec<u8> {
    let mut out = Vec::new();
    for got in all {
        let sent = match got {
            Got::Text(text) => sender.text(text, &mut out),
            Got::Binary(payload) => sender.binary(payload, &mut out),
            Got::Ping(payload) => sender.ping(payload, &mut out),
            Got::Pong(payload) => sender.pong(payload, &mut out),
            Got::Close(frame) => sender.close(frame.as_ref(), &mut out),
            Got::Error(_) => Ok(()),
        };
        assert_eq!(sent, Ok(()), "{got:?}");
    }
    out
}

/// The other side.
pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}
