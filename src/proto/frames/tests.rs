use super::*;

const PLAIN: FrameLimits = FrameLimits { message: None, fragment: None };

fn deflate() -> FrameDeflate {
    FrameDeflate {
        remote_no_context_takeover: false,
        local_no_context_takeover: false,
        remote_max_window_bits: 15,
        local_max_window_bits: 15,
        level: 6,
        mem_level: 8,
        threshold: 0,
    }
}

type Frames = Vec<(u8, bool, Vec<u8>)>;

/// All frames of `wire`, read in pieces of `size` bytes, and the fault at their end.
fn read(reader: &mut FrameReader, wire: &[u8], size: usize) -> (Frames, Option<FrameFault>) {
    let mut frames = Vec::new();
    for mut piece in wire.chunks(size) {
        loop {
            match reader.next(&mut piece) {
                Ok(Some(frame)) => frames.push((frame.opcode, frame.fin, frame.payload.unmasked())),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
        assert!(piece.is_empty());
    }
    (frames, None)
}

#[test]
fn what_a_writer_writes_is_read_in_pieces_of_any_size() {
    let long = vec![7; 70_000];
    let sent: Frames = vec![
        (1, true, b"hello".to_vec()),
        (2, false, vec![1; 200]),
        (9, true, b"ping".to_vec()),
        (0, false, vec![]),
        (0, true, long),
        (1, true, vec![]),
        (8, true, vec![3, 232]),
    ];
    for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        for compressed in [false, true] {
            let mut writer = FrameWriter::new(from);
            let mut wire = Vec::new();
            if compressed {
                writer.set_deflate(&deflate());
            }
            for (opcode, fin, payload) in &sent {
                writer.frame(*opcode, payload, *fin, None, &mut wire).unwrap();
            }
            for size in [1, 2, 3, 7, 1000, wire.len()] {
                let mut reader = FrameReader::new(to, PLAIN);
                if compressed {
                    reader.set_deflate(&deflate());
                }
                let (frames, fault) = read(&mut reader, &wire, size);
                assert_eq!(fault, None);
                assert_eq!(frames, sent, "{size} {compressed}");
            }
        }
    }
}

#[test]
fn faults_come_in_their_order_and_end_it() {
    use FrameFault as F;
    for (bytes, fault) in [
        (&[0xf3, 0x80][..], F::Opcode(3)),
        (&[0xf1, 0x80], F::Masking),
        (&[0xf1, 0x00], F::ReservedBits),
        (&[0x09, 0x00], F::ControlFragmented),
        (&[0x80, 0x00], F::ContinuationUnexpected),
        (&[0x01, 0x00, 0x81, 0x00], F::ContinuationExpected),
    ] {
        let mut reader = FrameReader::new(Role::Client, PLAIN);
        assert_eq!(read(&mut reader, bytes, 99).1, Some(fault));
        assert_eq!(read(&mut reader, &[0x81, 0], 99), (vec![], None));
    }
    let mut long = vec![0x89, 126, 0, 126];
    long.resize(4 + 126, 0);
    assert_eq!(read(&mut FrameReader::new(Role::Client, PLAIN), &long, 9).1, Some(F::ControlTooLong));
}

#[test]
fn limits_of_messages_and_fragments() {
    let limits = FrameLimits { message: Some(10), fragment: Some(6) };
    let mut reader = FrameReader::new(Role::Client, limits);
    let (frames, fault) = read(&mut reader, b"\x01\x06abcdef\x80\x05ghijk", 3);
    assert_eq!(frames.len(), 1);
    assert_eq!(fault, Some(FrameFault::TooBig { size: Some(5), limit: 4, before: Some(6) }));
    let mut reader = FrameReader::new(Role::Client, limits);
    let fault = read(&mut reader, b"\x81\x07", 3).1;
    assert_eq!(fault, Some(FrameFault::TooBig { size: Some(7), limit: 6, before: None }));
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let mut writer = FrameWriter::new(Role::Server);
    writer.set_deflate(&deflate());
    let mut wire = Vec::new();
    writer.frame(2, &vec![0; 1 << 20], true, None, &mut wire).unwrap();
    assert!(wire.len() < 5000);
    let mut reader = FrameReader::new(Role::Client, FrameLimits { message: Some(5000), fragment: None });
    reader.set_deflate(&deflate());
    assert_eq!(read(&mut reader, &wire, 999).1, Some(FrameFault::TooBig { size: None, limit: 5000, before: None }));
}

#[test]
fn rsv1_belongs_to_the_first_frame() {
    let mut reader = FrameReader::new(Role::Client, PLAIN);
    reader.set_deflate(&deflate());
    let wire = [0x41, 0x05, 0xf2, 0x48, 0x04, 0x00, 0x00, 0xc0, 0x00];
    assert_eq!(read(&mut reader, &wire, 99).1, Some(FrameFault::CompressedContinuation));
    let mut reader = FrameReader::new(Role::Client, PLAIN);
    reader.set_deflate(&deflate());
    assert_eq!(read(&mut reader, &[0xc1, 0x02, 0xff, 0xff], 99).1, Some(FrameFault::Inflate));
}

#[test]
fn what_is_missing_at_the_end() {
    for (bytes, missing) in [
        (&b""[..], None),
        (b"\x81", Some((1, 2))),
        (b"\x81\x83", Some((0, 4))),
        (b"\x81\xfe\x01", Some((1, 2))),
        (b"\x81\x83abcdx", Some((1, 3))),
        (b"\x81\x81abcdx", None),
    ] {
        let mut reader = FrameReader::new(Role::Server, PLAIN);
        assert!(read(&mut reader, bytes, 2).1.is_none());
        assert_eq!(reader.unfinished(), missing, "{bytes:x?}");
    }
}
