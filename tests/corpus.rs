//! What the fuzz targets do, without a fuzzer: every input of the committed corpora, and of former findings.

#[path = "../fuzz/src/lib.rs"]
mod bodies;

use std::{fs, panic, path::Path};

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        if let Err(failed) = panic::catch_unwind(|| body(&input)) {
            eprintln!("the input is {}", path.display());
            panic::resume_unwind(failed);
        }
        count += 1;
    }
    assert!(count >= 20, "{} has {count} inputs", folder.display());
}

#[test]
fn frames() {
    replay("frames", bodies::frames::run);
}

#[test]
fn handshake() {
    replay("handshake", bodies::handshake::run);
}

#[test]
fn deflate() {
    replay("deflate", bodies::deflate::run);
}

#[test]
fn media() {
    replay("media", bodies::media::run);
}

#[test]
fn wire_frames() {
    replay("wire_frames", bodies::wire_frames::run);
}

#[test]
fn codecs() {
    replay("codecs", bodies::codecs::run);
}
