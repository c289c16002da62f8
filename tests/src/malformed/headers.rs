//! What is wrong is the header.

use super::requests;
use super::rng::Rng;

/// A frame around a header and a body, with honest lengths.
pub fn framed(kind: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    assert!(header.len() < 1 << 24, "a header length has 24 bits");
    let length = u32::try_from(4 + header.len() + body.len()).expect("small");
    let word = u32::from(kind) << 24 | u32::try_from(header.len()).expect("24 bits");
    [&length.to_be_bytes()[..], &word.to_be_bytes(), header, body].concat()
}

pub fn unknown_type(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = requests::sound(rng);
    bytes[4] = u8::try_from(rng.between(2, 255)).expect("a byte");
    bytes
}

/// Noise where a binary header should be; it may by chance be a reply or a oneway request.
pub fn binary_noise(rng: &mut Rng) -> Vec<u8> {
    let count = rng.between(0, 200);
    let header = rng.bytes(count);
    framed(1, &header, b"")
}

/// A binary header (code, language, version, opaque, flag) whose inner lengths are impossible.
pub fn binary_lengths(rng: &mut Rng) -> Vec<u8> {
    let mut header = vec![0, rng.pick(&[10, 11, 34, 105]), 0, 0x02, 0x01, 0, 0, 0, 5, 0, 0, 0, 0];
    let length = rng.pick(&[u32::MAX, 0x8000_0000, 0x7fff_ffff, 1_000_000, 40]);
    if rng.below(2) == 0 {
        header.extend(length.to_be_bytes());
    } else {
        header.extend([0, 0, 0, 0]);
        header.extend(length.to_be_bytes());
        header.extend([0xff, 0xff, 1, 2, 3]);
    }
    framed(1, &header, b"")
}

pub fn noise(rng: &mut Rng) -> Vec<u8> {
    let count = rng.between(1, 400);
    let header = rng.bytes(count);
    framed(0, &header, b"body")
}

pub fn cut_json(rng: &mut Rng) -> Vec<u8> {
    let header = requests::header(rng);
    let end = rng.between(1, header.len() - 1);
    framed(0, &header[..end], b"")
}

pub fn no_object(rng: &mut Rng) -> Vec<u8> {
    let header =
        rng.pick(&["[]", "1", "null", "\"text\"", "[{}]", "true", "{}", "-", "{\"code\"}"]);
    framed(0, header.as_bytes(), b"")
}

pub fn wrong_types(rng: &mut Rng) -> Vec<u8> {
    let wrong = ["\"x\"", "null", "[1]", "{}", "1e99", "99999999999999999999", "-0.5", "true"];
    let field = rng.pick(&["code", "opaque", "version", "extFields", "language"]);
    let value = rng.pick(&wrong);
    // The field comes twice: readers that take the last one meet the wrong value.
    let header = format!(
        "{{\"code\":105,\"flag\":0,\"language\":\"JAVA\",\"opaque\":9,\"version\":513,\
         \"extFields\":{{\"topic\":\"x\"}},\"{field}\":{value}}}"
    );
    framed(0, header.as_bytes(), b"")
}

pub fn nested(rng: &mut Rng) -> Vec<u8> {
    let depth = rng.between(500, 60_000);
    let open = rng.pick(&["[", "{\"a\":"]);
    let header = format!("{{\"code\":105,\"opaque\":1,\"extFields\":{}", open.repeat(depth));
    framed(0, header.as_bytes(), b"")
}

pub fn no_utf8(rng: &mut Rng) -> Vec<u8> {
    let mut header = b"{\"code\":105,\"flag\":0,\"opaque\":3,\"remark\":\"".to_vec();
    header.extend(rng.pick(&[&[0xc3, 0x28][..], &[0xff], &[0xed, 0xa0, 0x80], &[0xf5, 0x80]]));
    header.extend(b"\",\"extFields\":{\"topic\":\"x\"}}");
    framed(0, &header, b"")
}

pub fn empty(rng: &mut Rng) -> Vec<u8> {
    let count = rng.between(0, 20);
    let body = rng.bytes(count);
    framed(0, b"", &body)
}
