//! The frame codec: what a message costs on the way in and on the way out, without a socket.

use std::{fmt::Write as _, hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxwire::proto::{DeflateConfig, Input, Limits, Message, Negotiated, Receiver, Role, Sender, apply_mask};

const CHUNK: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;
const ROLES: [(&str, Role); 2] = [("masked", Role::Client), ("plain", Role::Server)];

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Frames of `size` bytes that fill about `total` bytes, as `role` sends them.
fn wire(role: Role, size: usize, total: usize, text: bool) -> Vec<u8> {
    let mut sender = Sender::new(role);
    let (payload, mut out) = ("a".repeat(size), Vec::new());
    while out.len() + size + 14 <= total {
        let sent = if text { sender.text(&payload, &mut out) } else { sender.binary(payload.as_bytes(), &mut out) };
        assert_eq!(sent, Ok(()));
    }
    out
}

/// Reads `wire` in chunks as they come from a socket; gives the bytes of all messages. The copy
/// into the chunk is part of the figure (unmasking changes the chunk, so each turn needs a new one).
fn receive(receiver: &mut Receiver, wire: &[u8], chunk: &mut [u8]) -> usize {
    let mut received = 0;
    for part in wire.chunks(chunk.len()) {
        let chunk = &mut chunk[..part.len()];
        chunk.copy_from_slice(part);
        let mut input = Input::new(chunk);
        while let Ok(Some(message)) = receiver.next(&mut input) {
            received += match black_box(&message) {
                Message::Text(text) => text.as_str().len(),
                Message::Binary(payload) => payload.as_slice().len(),
                _ => 0,
            };
        }
    }
    received
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let mut chunk = vec![0; CHUNK];
    for (name, role) in ROLES {
        for (size, total, text) in [
            (160, CHUNK, false),
            (640, CHUNK, false),
            (640, CHUNK, true),
            (MIB, MIB + 14, false),
            (MIB, MIB + 14, true),
        ] {
            let wire = wire(role, size, total, text);
            let kind = if text { "text" } else { "binary" };
            group.throughput(Throughput::Bytes(wire.len() as u64));
            group.bench_function(BenchmarkId::new(format!("{kind} {name}"), size), |b| {
                let mut receiver = Receiver::new(other(role), Limits::default());
                b.iter(|| receive(&mut receiver, &wire, &mut chunk));
            });
        }
    }
    group.finish();
}

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("send");
    for (name, role) in ROLES {
        for size in [160, 8 * 1024, MIB] {
            let payload = vec![7; size];
            let mut out = Vec::with_capacity(size + 14);
            let mut sender = Sender::new(role);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    out.clear();
                    let sent = sender.binary(black_box(&payload), &mut out);
                    black_box(&out);
                    sent
                });
            });
        }
    }
    group.finish();
}

fn mask(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for size in [160, 8 * 1024, MIB] {
        let mut data = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| apply_mask(black_box(&mut data), black_box([1, 2, 3, 4]), 1));
        });
    }
    group.finish();
}

/// Messages as a voice application exchanges them: JSON, cut to `size`, each a little different.
fn json(size: usize, seed: usize) -> String {
    const SAID: [&str; 4] =
        ["hello there", "how can I help you today", "one moment please", "thank you for calling, goodbye"];
    let (mut text, mut state) = (String::new(), seed.wrapping_mul(2_654_435_761) as u32 | 1);
    while text.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (number, said) = (state >> 18, SAID[(state >> 29) as usize % SAID.len()]);
        let _ = write!(
            text,
            "{{\"event\":\"transcript\",\"sequenceNumber\":{number},\"text\":\"{said}\",\"confidence\":0.{number:05}}}"
        );
    }
    text.truncate(size);
    text
}

/// Compression as a server does it by default towards a client that sets no limits.
fn agreed(no_takeover: bool, window_bits: u8) -> Negotiated {
    let config = DeflateConfig { server_max_window_bits: window_bits, ..DeflateConfig::for_role(Role::Server) };
    Negotiated {
        server_no_context_takeover: no_takeover,
        client_no_context_takeover: no_takeover,
        server_max_window_bits: Some(window_bits),
        client_max_window_bits: None,
        config,
    }
}

fn deflate(c: &mut Criterion) {
    for (size, count) in [(160, 500), (8 * 1024, 50), (MIB, 2)] {
        let messages: Vec<String> = (0..count).map(|seed| json(size, seed)).collect();
        for (name, no_takeover, bits) in [("12 bits", false, 12), ("15 bits", false, 15), ("no takeover", true, 12)] {
            let agreed = agreed(no_takeover, bits);
            let mut sender = Sender::with_deflate(Role::Server, Some(&agreed));
            let (mut frames, mut out, mut next) = (Vec::new(), Vec::new(), 0);
            for message in &messages {
                let mut frame = Vec::new();
                assert_eq!(sender.text(message, &mut frame), Ok(()));
                frames.push(frame);
            }
            let wire: usize = frames.iter().map(Vec::len).sum();
            println!("{size} bytes, {name}: {:.1} % of the size", 100.0 * wire as f64 / (size * count) as f64);
            let mut group = c.benchmark_group("deflate");
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    out.clear();
                    next = (next + 1) % messages.len();
                    let sent = sender.text(black_box(&messages[next]), &mut out);
                    black_box(&out);
                    sent
                });
            });
            group.finish();

            // All frames of a context in turn, so that its window is what the sender's was.
            let wire = frames.concat();
            let mut chunk = vec![0; CHUNK];
            let mut group = c.benchmark_group("inflate");
            group.throughput(Throughput::Bytes((size * count) as u64));
            group.bench_function(BenchmarkId::new(format!("{name}, {count} messages"), size), |b| {
                b.iter(|| {
                    let mut receiver = Receiver::with_deflate(Role::Client, Limits::default(), Some(&agreed));
                    assert_eq!(receive(&mut receiver, &wire, &mut chunk), size * count);
                });
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = parse, send, mask, deflate
}
criterion_main!(benches);
