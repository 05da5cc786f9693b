//! zlib's two streams as values that own their memory: raw deflate (RFC 1951), no more than the two
//! calls that messages need. The only place that names zlib's C interface.

use std::{
    ffi::{CStr, c_int},
    mem::MaybeUninit,
    ptr::NonNull,
};

use libz_sys as z;

unsafe extern "C" {
    /// Prepares for another stream and keeps the window. In zlib since 1.2.6; `libz_sys` has no
    /// name for it.
    fn inflateResetKeep(stream: *mut z::z_stream) -> c_int;
}

/// Room for output without which the compressor is not called. More than a flush needs (6 bytes),
/// or it would be begun again.
const MIN_ROOM: usize = 64;
/// What is given to zlib in one call: its counters have 32 bits.
const MAX_PIECE: usize = 1 << 30;

/// zlib refused, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The input is no deflate stream.
    Data(&'static str),
    /// There is no memory for the window.
    Memory,
}

/// Where a call of the decompressor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The room for output is full; more may come out.
    Full,
    /// All input is used, and all that follows from it has come out.
    Hungry,
    /// Behind a block with BFINAL set. What follows begins at a new byte, and may refer back.
    Final,
}

/// A `z_stream` on the heap, where it must stay: zlib's state points back to it.
#[derive(Debug)]
struct Stream(NonNull<z::z_stream>);

impl Stream {
    /// Makes a stream with one of zlib's init functions; `None` if that refuses.
    fn open(init: impl FnOnce(*mut z::z_stream, *const std::ffi::c_char, c_int) -> c_int) -> Option<Self> {
        // All zero is how zlib wants it: no input, and the allocator is zlib's own. Until it has put
        // in that allocator the functions are null, so until then this is no `z_stream` for Rust.
        let stream = Box::into_raw(Box::new(MaybeUninit::<z::z_stream>::zeroed()));
        // SAFETY: the function reads a constant.
        let version = unsafe { z::zlibVersion() };
        let opened = init(stream.cast(), version, size_of::<z::z_stream>() as c_int) == z::Z_OK;
        if !opened {
            // SAFETY: `stream` is from `Box::into_raw` just above, and zlib keeps nothing of a
            // stream that it refused.
            drop(unsafe { Box::from_raw(stream) });
            return None;
        }
        NonNull::new(stream.cast()).map(Self)
    }

    /// Sets what the next call reads and writes; gives how many bytes of each that is.
    fn set(&mut self, input: &[u8], room: &mut [MaybeUninit<u8>]) -> (usize, usize) {
        let (given, space) = (input.len().min(MAX_PIECE), room.len().min(MAX_PIECE));
        // SAFETY: the stream was made by `open`, and `&mut self` is the only way to it.
        let stream = unsafe { self.0.as_mut() };
        stream.next_in = input.as_ptr().cast_mut(); // zlib does not write there
        stream.avail_in = given as z::uInt;
        stream.next_out = room.as_mut_ptr().cast();
        stream.avail_out = space as z::uInt;
        (given, space)
    }

    /// Bytes of input and of output that the last call left; forgets where they are.
    fn left(&mut self) -> (usize, usize) {
        // SAFETY: as in `set`.
        let stream = unsafe { self.0.as_mut() };
        stream.next_in = std::ptr::null_mut();
        stream.next_out = std::ptr::null_mut();
        (std::mem::take(&mut stream.avail_in) as usize, std::mem::take(&mut stream.avail_out) as usize)
    }

    /// Frees it; `end` is the function that frees what zlib holds.
    fn close(&mut self, end: unsafe extern "C" fn(*mut z::z_stream) -> c_int) {
        // SAFETY: called from `drop` of the two owners only, so once, with the function that goes
        // with the `init` they used; the box is the one of `open`.
        unsafe {
            end(self.0.as_ptr());
            drop(Box::from_raw(self.0.as_ptr()));
        }
    }
}

/// Compresses; every call ends on a byte boundary.
#[derive(Debug)]
pub(super) struct Compressor(Stream);

// SAFETY: zlib has no global state and no thread of its own; what a stream owns only it refers to.
unsafe impl Send for Compressor {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Compressor {}

impl Compressor {
    /// `None` if there is no memory, or for values that zlib does not know: level 0 to 9, window 9
    /// to 15 bits, memory level 1 to 9.
    pub(super) fn new(level: u8, window_bits: u8, mem_level: u8) -> Option<Self> {
        let (level, bits, memory) = (c_int::from(level), -c_int::from(window_bits), c_int::from(mem_level));
        let init = |stream, version, size| {
            // SAFETY: `stream` is all zero and of this size; it stays where it is.
            unsafe {
                z::deflateInit2_(
                    stream,
                    level,
                    z::Z_DEFLATED,
                    bits, // negative: no header
                    memory,
                    z::Z_DEFAULT_STRATEGY,
                    version,
                    size,
                )
            }
        };
        Stream::open(init).map(Self)
    }

    /// Appends `input`, compressed, and an empty stored block (a sync flush), so that all of it can
    /// be read. Nothing for no input behind a flush.
    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        let mut rest = input;
        loop {
            if out.capacity() - out.len() < MIN_ROOM {
                out.reserve(MIN_ROOM);
            }
            let (given, space) = self.0.set(rest, out.spare_capacity_mut());
            let flush = if given == rest.len() { z::Z_SYNC_FLUSH } else { z::Z_NO_FLUSH };
            // SAFETY: the stream is open, and `set` gave it ranges that live to the end of the call.
            let code = unsafe { z::deflate(self.0.0.as_ptr(), flush) };
            let (unread, unused) = self.0.left();
            // SAFETY: zlib has written the `space - unused` bytes at the start of the spare room.
            unsafe { out.set_len(out.len() + space - unused) };
            // Without progress (`Z_BUF_ERROR`) everything was written before.
            if !matches!(code, z::Z_OK | z::Z_BUF_ERROR) {
                return Err(Refused::Data("the state of the stream is not consistent"));
            }
            rest = &rest[given - unread..];
            if rest.is_empty() && unused > 0 {
                return Ok(());
            }
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.0.close(z::deflateEnd);
    }
}

/// Decompresses as much as there is room for.
#[derive(Debug)]
pub(super) struct Decompressor {
    stream: Stream,
    at_boundary: bool,
}

// SAFETY: as for `Compressor`.
unsafe impl Send for Decompressor {}
// SAFETY: as for `Compressor`.
unsafe impl Sync for Decompressor {}

impl Decompressor {
    /// `None` if there is no memory, or unless the window has 8 to 15 bits. The window itself is
    /// allocated with the first output.
    pub(super) fn new(window_bits: u8) -> Option<Self> {
        let bits = -c_int::from(window_bits); // negative: no header
        let init = |stream, version, size| {
            // SAFETY: `stream` is all zero and of this size; it stays where it is.
            unsafe { z::inflateInit2_(stream, bits, version, size) }
        };
        Stream::open(init).map(|stream| Self { stream, at_boundary: true })
    }

    /// Reads from the start of `input`, which is moved on, and writes to the start of `room`, which
    /// must not be empty. Gives the bytes written, which may be some before an error, too.
    pub(super) fn step(&mut self, input: &mut &[u8], room: &mut [MaybeUninit<u8>]) -> (usize, Result<Stop, Refused>) {
        let (given, space) = self.stream.set(input, room);
        // SAFETY: the stream is open, and `set` gave it ranges that live to the end of the call.
        let code = unsafe { z::inflate(self.stream.0.as_ptr(), z::Z_SYNC_FLUSH) };
        let (unread, unused) = self.stream.left();
        *input = &input[given - unread..];
        if unread < given || unused < space {
            // SAFETY: the stream is open.
            let state = unsafe { self.stream.0.as_ref() }.data_type;
            // See `inflate` in zlib.h: 128 is "behind a block", the low bits are bits not used. It is
            // not said again by a call without progress.
            self.at_boundary = state == 128;
        }
        let stop = match code {
            z::Z_OK | z::Z_BUF_ERROR if unused == 0 => Ok(Stop::Full),
            z::Z_OK | z::Z_BUF_ERROR if input.is_empty() => Ok(Stop::Hungry),
            z::Z_OK | z::Z_BUF_ERROR => Ok(Stop::Full), // only a part of a huge input was given
            z::Z_STREAM_END => {
                // SAFETY: the stream is open. It cannot fail on an open stream.
                unsafe { inflateResetKeep(self.stream.0.as_ptr()) };
                self.at_boundary = true;
                Ok(Stop::Final)
            }
            z::Z_MEM_ERROR => Err(Refused::Memory),
            _ => Err(Refused::Data(self.reason())),
        };
        (space - unused, stop)
    }

    /// True if the input so far ends with a block, on a byte boundary.
    pub(super) fn at_boundary(&self) -> bool {
        self.at_boundary
    }

    fn reason(&self) -> &'static str {
        // SAFETY: the stream is open; nobody writes to it while we are borrowed.
        let text = unsafe { self.stream.0.as_ref() }.msg;
        if text.is_null() {
            return "the state of the stream is not consistent";
        }
        // SAFETY: the messages of zlib are string constants.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        self.stream.close(z::inflateEnd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zlib_refuses_is_none() {
        for (level, bits, memory) in [(10, 15, 8), (6, 8, 8), (6, 16, 8), (6, 15, 0), (6, 15, 10), (255, 255, 255)] {
            assert!(Compressor::new(level, bits, memory).is_none(), "{level} {bits} {memory}");
        }
        for bits in [1, 7, 16, 255] {
            assert!(Decompressor::new(bits).is_none(), "{bits}");
        }
    }

    #[test]
    fn every_call_ends_on_a_byte_boundary_and_the_window_stays() {
        let (mut compressor, mut wire) = (Compressor::new(6, 9, 1).unwrap(), Vec::new());
        compressor.push(b"once upon a time", &mut wire).unwrap();
        assert!(wire.ends_with(&[0, 0, 0xff, 0xff]), "{wire:x?}");
        let first = wire.len();
        compressor.push(b"once upon a time", &mut wire).unwrap();
        assert!(wire.len() - first < 12, "{wire:x?}");
        let before = wire.len();
        compressor.push(b"", &mut wire).unwrap();
        assert_eq!(wire.len(), before);

        let (mut decompressor, mut room) = (Decompressor::new(9).unwrap(), [MaybeUninit::uninit(); 99]);
        let mut input = wire.as_slice();
        assert_eq!(decompressor.step(&mut input, &mut room[..20]), (20, Ok(Stop::Full)));
        assert!(!decompressor.at_boundary());
        assert_eq!(decompressor.step(&mut input, &mut room), (12, Ok(Stop::Hungry)));
        assert!(decompressor.at_boundary());
        assert_eq!(decompressor.step(&mut input, &mut room), (0, Ok(Stop::Hungry)));
        // Block type 3 does not exist.
        let (written, stop) = decompressor.step(&mut &[0xff][..], &mut room);
        assert_eq!((written, stop), (0, Err(Refused::Data("invalid block type"))));
    }

    #[test]
    fn more_than_the_room_at_once() {
        let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let (mut compressor, mut wire) = (Compressor::new(6, 15, 8).unwrap(), Vec::new());
        compressor.push(&noise, &mut wire).unwrap();
        let (mut decompressor, mut room) = (Decompressor::new(15).unwrap(), [MaybeUninit::uninit(); 1000]);
        let (mut input, mut total) = (wire.as_slice(), 0);
        loop {
            let (written, stop) = decompressor.step(&mut input, &mut room);
            total += written;
            if stop.unwrap() == Stop::Hungry {
                break;
            }
        }
        assert_eq!(total, noise.len());
        assert!(decompressor.at_boundary());
    }
}
