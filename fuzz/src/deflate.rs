//! permessage-deflate: any parameters, any compressed bytes, any messages.

use voxwire::proto::{DeflateConfig, Kind, Limits, Negotiated, Role, Sender};

use super::{
    frames::other,
    input::{Choices, Cuts},
    wire::{Got, Reading},
};

/// What is agreed, limits, cuts; then, by one byte, frames or compressed bytes or messages to be sent.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let agreed = negotiated(&mut choices);
    let limits = Limits { max_message_size: choices.pick([1000, 0, 1, 200, 8000]), max_fragments: 2000 };
    let cuts = choices.cuts();
    match choices.byte() % 3 {
        0 => frames(&agreed, limits, cuts, choices.rest()),
        1 => compressed(&agreed, limits, cuts, choices),
        _ => messages(&agreed, limits, cuts, choices),
    }
}

/// Any agreement. The contexts follow it; whether it could be negotiated does not matter here.
fn negotiated(choices: &mut Choices<'_>) -> Negotiated {
    let flags = choices.byte();
    let bits = choices.byte();
    let own = choices.byte();
    let window = |bits: u8| 8 + bits % 8;
    let agreed = |bits: u8| (bits & 8 == 0).then(|| window(bits));
    Negotiated {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: agreed(bits),
        client_max_window_bits: agreed(bits >> 4),
        config: DeflateConfig {
            server_no_context_takeover: flags & 4 != 0,
            client_no_context_takeover: flags & 8 != 0,
            server_max_window_bits: window(own),
            client_max_window_bits: window(own >> 4),
            own_max_window_bits: if own & 8 == 0 { 15 } else { window(own) },
            threshold: choices.pick([0, 1, 64, 300]),
            level: choices.byte() % 10,
            mem_level: 1 + choices.byte() % 9,
        },
    }
}

/// The bytes as they are.
fn frames(agreed: &Negotiated, limits: Limits, cuts: Cuts<'_>, wire: &[u8]) {
    for role in [Role::Client, Role::Server] {
        Reading { role, limits, agreed: Some(agreed) }.receive_in_all_ways(wire, cuts.pieces(wire));
    }
}

/// The bytes as payloads of compressed messages to a client, in one frame and in fragments.
fn compressed(agreed: &Negotiated, limits: Limits, cuts: Cuts<'_>, mut choices: Choices<'_>) {
    let kind = choices.pick([1, 2]);
    let (mut whole, mut fragments) = (Vec::new(), Vec::new());
    while !choices.is_empty() {
        let length = u16::from_be_bytes([choices.byte(), choices.byte()]);
        let payload = choices.bytes(length.into());
        frame(0xc0 | kind, payload, &mut whole);
        let pieces = cuts.pieces(payload);
        for (index, piece) in pieces.iter().enumerate() {
            let first = if index == 0 { 0x40 | kind } else { 0 };
            let fin = if index + 1 == pieces.len() { 0x80 } else { 0 };
            frame(first | fin, piece, &mut fragments);
        }
    }
    let reading = Reading { role: Role::Client, limits, agreed: Some(agreed) };
    let one = reading.receive_in_all_ways(&whole, cuts.pieces(&whole));
    let other = reading.receive_in_all_ways(&fragments, cuts.pieces(&fragments));
    // The limits on what a header claims are about each frame, so only without errors are they the same.
    if !one.iter().chain(&other).any(|got| matches!(got, Got::Error(_))) {
        assert_eq!(one, other);
    }
}

fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match u16::try_from(payload.len()) {
        Ok(tiny @ ..126) => out.push(tiny as u8),
        Ok(short) => {
            out.push(126);
            out.extend_from_slice(&short.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Messages made of the bytes, sent by each side and read by the other, within its limits and beyond.
fn messages(agreed: &Negotiated, limits: Limits, cuts: Cuts<'_>, choices: Choices<'_>) {
    for role in [Role::Client, Role::Server] {
        let (wire, mut expected) = send(role, agreed, cuts, choices);
        let reading = Reading { role: other(role), limits: Limits::default(), agreed: Some(agreed) };
        assert_eq!(reading.receive([wire.as_slice()]), expected);
        assert_eq!(reading.receive(cuts.pieces(&wire)), expected);

        let limit = limits.max_message_size;
        let size = |got: &Got| match got {
            Got::Text(text) => text.len(),
            Got::Binary(payload) => payload.len(),
            _ => 0,
        };
        let reading = Reading { limits: Limits { max_message_size: limit, ..Limits::default() }, ..reading };
        let got = reading.receive_in_all_ways(&wire, cuts.pieces(&wire));
        let end = expected.iter().position(|got| size(got) > limit);
        if let Some(end) = end {
            // Pings between its fragments come before the error, as many as there are.
            let Some(Got::Error(error)) = got.last() else { panic!("no error, though message {end} is too big") };
            assert_eq!(error.close_code(), 1009, "{error}");
            expected.truncate(end);
            let data = |all: &[Got]| all.iter().filter(|got| matches!(got, Got::Text(_) | Got::Binary(_))).count();
            assert_eq!(data(&got), data(&expected));
            assert!(expected.starts_with(&got[..got.len() - 1]), "what came before is the same");
        } else {
            assert_eq!(got, expected);
        }
    }
}

/// What a side sends, and what the other must read.
fn send(role: Role, agreed: &Negotiated, cuts: Cuts<'_>, mut choices: Choices<'_>) -> (Vec<u8>, Vec<Got>) {
    let (mut sender, mut out, mut expected) = (Sender::with_deflate(role, Some(agreed)), Vec::new(), Vec::new());
    // Of a small input large messages may be made, but not without end.
    let mut budget: usize = 20_000;
    while !choices.is_empty() {
        let what = choices.byte();
        let length = usize::from(choices.byte());
        let bytes = choices.bytes(length);
        let times = if what & 0x80 == 0 { 1 } else { usize::from(choices.byte()) * 8 };
        let times = times.min(budget / bytes.len().max(1));
        budget -= times * bytes.len();
        let payload = bytes.repeat(times);
        let text = String::from_utf8_lossy(&payload).into_owned();
        let kind = if what & 8 == 0 { Kind::Text } else { Kind::Binary };
        let of_kind = || match kind {
            Kind::Text => Got::Text(text.clone()),
            Kind::Binary => Got::Binary(text.clone().into_bytes()),
        };
        let sent = match what % 8 {
            0 | 1 => sender.text(&text, &mut out).map(|()| expected.push(Got::Text(text))),
            2 => sender.binary(&payload, &mut out).map(|()| expected.push(Got::Binary(payload))),
            3 => sender.text_uncompressed(&text, &mut out).map(|()| expected.push(Got::Text(text))),
            4 => sender.binary_uncompressed(&payload, &mut out).map(|()| expected.push(Got::Binary(payload))),
            5 => {
                sender.release();
                assert!(!sender.holds_context());
                Ok(())
            }
            6 => {
                let ping = payload[..payload.len().min(125)].to_vec();
                sender.ping(&ping, &mut out).map(|()| expected.push(Got::Ping(ping)))
            }
            _ => {
                let pieces = cuts.pieces(text.as_bytes());
                let pieces = if pieces.len() > 2000 { vec![text.as_bytes()] } else { pieces };
                pieces.iter().enumerate().try_for_each(|(index, piece)| {
                    let (first, last) = (index == 0, index + 1 == pieces.len());
                    sender.fragment(kind, piece, first, last, &mut out)?;
                    if last {
                        expected.push(of_kind());
                        return Ok(());
                    }
                    sender.ping(&[index as u8], &mut out)?;
                    expected.push(Got::Ping(vec![index as u8]));
                    Ok(())
                })
            }
        };
        assert_eq!(sent, Ok(()));
    }
    (out, expected)
}
