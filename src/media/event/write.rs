//! Writing media events, straight into an output buffer.
//!
//! `write_media` runs 50 times a second for each stream: no allocation, no formatting machinery.

use crate::media::encoding::Encoding;

/// Appends a `start` event. An empty `tag` is left out. `custom` is JSON text; it is sent as a JSON
/// string, the way `VoxEngine` does.
pub fn write_start(out: &mut Vec<u8>, sequence_number: u64, tag: &str, encoding: Encoding, custom: Option<&str>) {
    out.extend_from_slice(b"{\"event\":\"start\",\"sequenceNumber\":");
    number(out, sequence_number);
    out.extend_from_slice(b",\"start\":{");
    tag_member(out, tag);
    out.extend_from_slice(b"\"mediaFormat\":{\"encoding\":\"");
    out.extend_from_slice(encoding.wire_name().as_bytes());
    out.extend_from_slice(b"\",\"sampleRate\":");
    number(out, u64::from(encoding.sample_rate()));
    out.extend_from_slice(b",\"channels\":1}");
    if let Some(custom) = custom {
        out.extend_from_slice(b",\"customParameters\":");
        string(out, custom);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a `media` event with `payload` as base64. An empty `tag` is left out.
pub fn write_media(out: &mut Vec<u8>, sequence_number: u64, tag: &str, chunk: u64, timestamp: u64, payload: &[u8]) {
    out.reserve(160 + tag.len() + payload.len().div_ceil(3) * 4);
    out.extend_from_slice(b"{\"event\":\"media\",\"sequenceNumber\":");
    number(out, sequence_number);
    out.extend_from_slice(b",\"media\":{");
    tag_member(out, tag);
    out.extend_from_slice(b"\"chunk\":");
    number(out, chunk);
    out.extend_from_slice(b",\"timestamp\":");
    number(out, timestamp);
    out.extend_from_slice(b",\"payload\":\"");
    base64_simd::STANDARD.encode_append(payload, out);
    out.extend_from_slice(b"\"}}");
}

/// Appends a `stop` event. An empty `tag` is left out.
pub fn write_stop(out: &mut Vec<u8>, sequence_number: u64, tag: &str, bytes_sent: u64, duration_ms: u64) {
    out.extend_from_slice(b"{\"event\":\"stop\",\"sequenceNumber\":");
    number(out, sequence_number);
    out.extend_from_slice(b",\"stop\":{");
    tag_member(out, tag);
    out.extend_from_slice(b"\"mediaInfo\":{\"bytesSent\":");
    number(out, bytes_sent);
    out.extend_from_slice(b",\"duration\":");
    number(out, duration_ms);
    out.extend_from_slice(b"}}}");
}

fn tag_member(out: &mut Vec<u8>, tag: &str) {
    if !tag.is_empty() {
        out.extend_from_slice(b"\"tag\":");
        string(out, tag);
        out.push(b',');
    }
}

/// Appends `text` as a JSON string (RFC 8259 section 7).
fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        match from.first().copied().unwrap_or_default() {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `value` in decimal.
fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
