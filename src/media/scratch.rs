//! Room for a frame on its way from one form to the next: vectors that a thread keeps and lends. The frames of all streams
//! pass through the same few, which stay in the cache; a vector of each stream's own would be cold every time.

use std::cell::RefCell;

/// Bytes of room that is kept; what one long message took beyond that is given back with it.
const KEPT: usize = 64 * 1024;
/// Bytes of room for one long message that a thread keeps beside that. Without it each message of a megabyte would make the
/// system take its pages back and clear new ones, which takes longer than to copy it.
const KEPT_LONG: usize = 2 * 1024 * 1024 + 4096;
/// Vectors that a thread keeps of a kind: more than it uses at once, and some that others filled and it emptied.
const SPARE: usize = 8;

/// What a thread keeps.
#[derive(Default)]
struct Pools {
    bytes: Vec<Vec<u8>>,
    long: Vec<u8>,
    samples: Vec<Vec<i16>>,
    floats: Vec<Vec<f32>>,
}

/// Which of them.
type Pool<T> = fn(&mut Pools) -> &mut Vec<Vec<T>>;

thread_local! {
    static POOLS: RefCell<Pools> = RefCell::default();
}

/// Lends an empty vector of bytes.
pub fn bytes<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    lend(|pools| &mut pools.bytes, work)
}

/// Lends an empty vector of samples.
pub fn samples<R>(work: impl FnOnce(&mut Vec<i16>) -> R) -> R {
    lend(|pools| &mut pools.samples, work)
}

/// Lends an empty vector of floats.
pub fn floats<R>(work: impl FnOnce(&mut Vec<f32>) -> R) -> R {
    lend(|pools| &mut pools.floats, work)
}

/// An empty vector of bytes that may stay away for long. Whoever has emptied it may give it back, on any thread.
pub fn take() -> Vec<u8> {
    POOLS.with_borrow_mut(|pools| pools.bytes.pop()).unwrap_or_default()
}

/// The same for a long message: with room for one if there is some.
pub fn take_long() -> Vec<u8> {
    POOLS.with_borrow_mut(|pools| std::mem::take(&mut pools.long))
}

/// Takes it back.
pub fn give_back(mut room: Vec<u8>) {
    if (KEPT + 1..=KEPT_LONG).contains(&room.capacity()) {
        room.clear();
        POOLS.with_borrow_mut(|pools| {
            if room.capacity() > pools.long.capacity() {
                pools.long = room;
            }
        });
    } else {
        keep(|pools| &mut pools.bytes, room);
    }
}

/// What is lent while something is lent already is another vector.
fn lend<T, R>(pool: Pool<T>, work: impl FnOnce(&mut Vec<T>) -> R) -> R {
    let mut room = POOLS.with_borrow_mut(|pools| pool(pools).pop()).unwrap_or_default();
    let result = work(&mut room);
    keep(pool, room);
    result
}

fn keep<T>(pool: Pool<T>, mut room: Vec<T>) {
    if room.capacity() * size_of::<T>() <= KEPT {
        room.clear();
        POOLS.with_borrow_mut(|pools| {
            let pool = pool(pools);
            if pool.len() < SPARE {
                pool.push(room);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_lent_again_and_nested_loans_are_apart() {
        let first = bytes(|outer| {
            outer.extend_from_slice(&[1; 100]);
            bytes(|inner| {
                assert!(inner.is_empty());
                inner.push(2);
            });
            assert_eq!(outer, &[1; 100]);
            outer.as_ptr()
        });
        let again = bytes(|room| (room.as_ptr(), room.len()));
        assert_eq!(again, (first, 0));
    }

    #[test]
    fn room_for_one_long_message_is_kept() {
        give_back(Vec::with_capacity(1 << 20));
        give_back(Vec::with_capacity(1 << 19));
        assert_eq!((take_long().capacity(), take_long().capacity()), (1 << 20, 0));
        give_back(Vec::with_capacity(KEPT_LONG + 1));
        assert_eq!(take_long().capacity(), 0);
    }

    #[test]
    fn much_room_is_given_back() {
        samples(|room| room.resize(KEPT, 0));
        samples(|room| assert!(room.capacity() * 2 <= KEPT));
    }
}
