//! Frames without a judgement, as the compat packages read them: `FrameReader` with `FrameWriter`, `RawReader`, and what is in a
//! close frame. How the bytes are cut never changes anything, what is read can be written, and memory follows the bytes.

use voxwire::proto::{
    CloseFrame, FrameDeflate, FrameFault, FrameLimits, FrameReader, FrameWriter, RawReader, Role, raw_frame,
};

use super::{input::Choices, memory::Watch};

/// What a reader may hold beside what came: the start of a frame, the tables of an inflater.
const KEPT: usize = 256 << 10;

type Frame = (u8, bool, Vec<u8>);

/// A byte each for the role, the limits and compression, then where to cut.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let role = choices.pick([Role::Server, Role::Client]);
    let limit = choices.pick([None, Some(0), Some(100), Some(1000)]);
    let limits = FrameLimits { message: limit, fragment: choices.pick([None, Some(50)]) };
    let deflate = choices.pick([None, Some(false), Some(true)]).map(agreed);
    let cuts = choices.cuts();
    let bytes = choices.rest();

    let watch = Watch::start();
    let whole = read(role, limits, deflate.as_ref(), &[bytes]);
    // Without a limit a compressed frame may be a thousand times its bytes; with one it may not be more than that.
    let payloads: usize = whole.0.iter().map(|(_, _, payload)| payload.len()).sum();
    let allowed = 8 * (payloads + bytes.len()) + 2 * limit.unwrap_or_default() + KEPT;
    assert!(whole.1.is_some() || watch.peak() <= allowed, "{} bytes; at most {allowed}", watch.peak());
    let cut = read(role, limits, deflate.as_ref(), &cuts.pieces(bytes));
    // zlib finds a reference behind the window out only where its bytes are cut (see `deflate`).
    if deflate.is_none() {
        assert_eq!(cut, whole);
    }
    write(role, &whole.0);
    raw(bytes, &cuts.pieces(bytes));
    if let Ok(Some(close)) = CloseFrame::parse(bytes) {
        let mut again = Vec::new();
        if close.encode(&mut again).is_ok() {
            assert_eq!(again, bytes);
        } else {
            assert!(bytes.len() > 125);
        }
    }
}

fn agreed(no_context_takeover: bool) -> FrameDeflate {
    FrameDeflate {
        remote_no_context_takeover: no_context_takeover,
        local_no_context_takeover: no_context_takeover,
        remote_max_window_bits: 12,
        local_max_window_bits: 12,
        level: 1,
        mem_level: 1,
        threshold: 0,
    }
}

fn read(
    role: Role,
    limits: FrameLimits,
    deflate: Option<&FrameDeflate>,
    pieces: &[&[u8]],
) -> (Vec<Frame>, Option<FrameFault>) {
    let mut reader = FrameReader::new(role, limits);
    if let Some(deflate) = deflate {
        reader.set_deflate(deflate);
    }
    let mut frames = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match reader.next(&mut piece) {
                Ok(Some(frame)) => {
                    let mut payload = vec![0; frame.payload.len()];
                    frame.payload.copy_to(&mut payload);
                    frames.push((frame.opcode, frame.fin, payload));
                }
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
        assert!(piece.is_empty(), "bytes are left");
        if let Some((there, all)) = reader.unfinished() {
            assert!(there < all || all == 0, "{there} of {all}");
        }
    }
    (frames, None)
}

/// What one side read the other can send, and it is read the same.
fn write(role: Role, frames: &[Frame]) {
    let other = if role == Role::Server { Role::Client } else { Role::Server };
    let mut writer = FrameWriter::new(other);
    let mut sent = Vec::new();
    for (opcode, fin, payload) in frames {
        assert!(writer.frame(*opcode, payload, *fin, None, &mut sent).is_some());
    }
    let (again, fault) = read(role, FrameLimits::default(), None, &[&sent]);
    assert_eq!((again.as_slice(), fault), (frames, None));
}

/// Every frame that `RawReader` hands out is the bytes that came, and it never asks for one behind it.
fn raw(bytes: &[u8], pieces: &[&[u8]]) {
    let mut reader = RawReader::default();
    let mut begun = 0;
    let mut at = 0;
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let wanted = reader.missing();
            assert!(wanted > 0);
            let room = reader.room(rest.len().min(4096));
            let n = room.len();
            room.copy_from_slice(&rest[..n]);
            reader.took(n, n);
            rest = &rest[n..];
            at += n;
            while reader.missing() == 0 {
                let frame = reader.frame();
                let (head, payload) = frame.expect("it is whole");
                let came = &bytes[begun..at];
                if !head.masked {
                    let made = raw_frame(head.first, payload, None);
                    // A length need not be in its shortest form.
                    assert!(made == came || made.len() < came.len() && came.ends_with(payload));
                }
                assert_eq!(head.first, came[0]);
                begun = at;
                reader.next();
            }
        }
    }
}
