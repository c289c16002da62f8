//! What is wrong is how long it says it is, or that it is no frame at all.

use super::requests;
use super::rng::Rng;
use crate::frame::FRAME_MAX;

pub fn random_bytes(rng: &mut Rng) -> Vec<u8> {
    let count = rng.between(1, 600);
    rng.bytes(count)
}

fn with_length(length: u32, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    let count = rng.between(0, 300);
    bytes.extend(rng.bytes(count));
    bytes
}

pub fn negative(rng: &mut Rng) -> Vec<u8> {
    let length = rng.word() | 0x8000_0000;
    with_length(length, rng)
}

pub fn oversized(rng: &mut Rng) -> Vec<u8> {
    let over = if rng.below(2) == 0 { 1 } else { rng.between(1, 0x7000_0000) };
    let length = u32::try_from(FRAME_MAX + over).expect("under 2 GiB");
    with_length(length, rng)
}

pub fn under_four(rng: &mut Rng) -> Vec<u8> {
    let length = u32::try_from(rng.below(4)).expect("under four");
    with_length(length, rng)
}

/// The header claims more bytes than the frame has.
pub fn header_beyond_frame(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = requests::sound(rng);
    let rest = bytes.len() - 8;
    let header = rng.between(rest + 1, 0x00ff_ffff);
    bytes[4..8].copy_from_slice(&u32::try_from(header).expect("24 bits").to_be_bytes());
    bytes
}

pub fn truncated(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = requests::sound(rng);
    bytes.truncate(rng.between(1, bytes.len() - 1));
    bytes
}

/// Announces as much as is allowed, and sends next to nothing of it.
pub fn half_open(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = u32::try_from(FRAME_MAX).expect("16 MiB").to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 200]);
    let count = rng.between(0, 1_000);
    bytes.extend(rng.bytes(count));
    bytes
}

/// The start of a TLS 1.2 ClientHello record, with noise for its contents.
pub fn tls_hello(rng: &mut Rng) -> Vec<u8> {
    let count = rng.between(40, 400);
    let length = u16::try_from(count + 4).expect("small").to_be_bytes();
    let mut bytes = vec![0x16, 0x03, 0x01, length[0], length[1], 0x01, 0x00];
    bytes.extend(u16::try_from(count).expect("small").to_be_bytes());
    bytes.extend([0x03, 0x03]);
    bytes.extend(rng.bytes(count - 2));
    bytes
}

pub fn http(rng: &mut Rng) -> Vec<u8> {
    let method = rng.pick(&["GET", "POST", "HEAD", "OPTIONS"]);
    format!("{method} /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", rng.word()).into_bytes()
}

/// A PROXY protocol line that lies about its addresses, and a request behind it.
pub fn proxy_protocol(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = format!("PROXY TCP4 1.2.3.{} 300.0.0.1 99999 -1\r\n", rng.word()).into_bytes();
    bytes.extend(requests::sound(rng));
    bytes
}
