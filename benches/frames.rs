//! The frame codec: what a message costs on the way in and on the way out, without a socket.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxwire::proto::{Input, Limits, Message, Receiver, Role, Sender, apply_mask};

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

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = parse, send, mask
}
criterion_main!(benches);
