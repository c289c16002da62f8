//! Remoting frames, as far as a test needs them: cut from a byte stream, JSON header looked into.
//!
//! Deliberately apart from the `remoting` crate: a second reader of the same format.

use std::collections::BTreeMap;
use std::io::{self, Read};

/// Longest frame that is accepted, length prefix not counted; RocketMQ's own default.
pub const FRAME_MAX: usize = 16 * 1024 * 1024;

/// Reads one whole frame, length prefix included; `None` at a clean end of the stream.
///
/// # Errors
/// What the stream reports; `InvalidData` if the length is not that of a frame, `UnexpectedEof` if the
/// stream ends inside one.
pub fn read(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0_u8; 4];
    match stream.read(&mut prefix)? {
        0 => return Ok(None),
        n => stream.read_exact(&mut prefix[n..])?,
    }
    let length = u32::from_be_bytes(prefix) as usize;
    if !(4..=FRAME_MAX).contains(&length) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes"),
        ));
    }
    let mut frame = vec![0_u8; 4 + length];
    frame[..4].copy_from_slice(&prefix);
    stream.read_exact(&mut frame[4..])?;
    Ok(Some(frame))
}

/// What the header of a frame says, and the body behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Request code, or response code of a reply.
    pub code: i64,
    /// Bit 0: a reply; bit 1: no reply wanted.
    pub flag: i64,
    /// Pairs a reply with its request on one connection.
    pub opaque: i64,
    /// Remark of a reply, if any.
    pub remark: Option<String>,
    /// The command's own fields.
    pub ext: BTreeMap<String, String>,
    /// Everything after the header.
    pub body: Vec<u8>,
}

impl Parsed {
    /// Takes a frame apart, length prefix included. Only JSON headers.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong.
    pub fn of(frame: &[u8]) -> io::Result<Self> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let word = frame.get(4..8).ok_or_else(|| bad("no header word"))?;
        if word[0] != 0 {
            return Err(bad("not a JSON header"));
        }
        let header_len = u32::from_be_bytes([0, word[1], word[2], word[3]]) as usize;
        let header =
            frame.get(8..8 + header_len).ok_or_else(|| bad("header longer than its frame"))?;
        let header: serde_json::Value = serde_json::from_slice(header)?;
        let number = |key: &str| header.get(key).and_then(serde_json::Value::as_i64);
        let ext = header.get("extFields").and_then(serde_json::Value::as_object);
        Ok(Self {
            code: number("code").ok_or_else(|| bad("header without a code"))?,
            flag: number("flag").unwrap_or(0),
            opaque: number("opaque").unwrap_or(0),
            remark: header.get("remark").and_then(|r| r.as_str()).map(str::to_owned),
            ext: ext.map_or_else(BTreeMap::new, |fields| {
                fields.iter().map(|(k, v)| (k.clone(), plain(v))).collect()
            }),
            body: frame[8 + header_len..].to_vec(),
        })
    }

    /// Whether this answers a request.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.flag & 1 == 1
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Puts a request with a JSON header into one frame. `flag` 2 asks for no reply.
///
/// # Panics
/// If header or body are longer than a frame may be.
#[must_use]
pub fn request(code: i32, flag: i32, opaque: i32, ext: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let ext: serde_json::Map<String, serde_json::Value> =
        ext.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
    let header = serde_json::json!({
        "code": code, "extFields": ext, "flag": flag, "language": "JAVA", "opaque": opaque,
        "serializeTypeCurrentRPC": "JSON", "version": 513,
    });
    let header = header.to_string().into_bytes();
    assert!(header.len() < 1 << 24, "a header length has 24 bits");
    let length = u32::try_from(4 + header.len() + body.len()).expect("a frame of a test is small");
    let mut frame = Vec::with_capacity(8 + header.len() + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(header.len()).expect("24 bits").to_be_bytes());
    frame.extend_from_slice(&header);
    frame.extend_from_slice(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_written() {
        let bytes = request(105, 2, 7, &[("topic", "größe")], b"body");
        let frame = read(&mut &bytes[..]).unwrap().expect("one frame");
        let seen = Parsed::of(&frame).unwrap();
        assert_eq!((seen.code, seen.flag, seen.opaque), (105, 2, 7));
        assert_eq!(seen.ext["topic"], "größe");
        assert_eq!(seen.body, b"body");
        assert!(!seen.is_reply());
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let bytes = request(105, 0, 7, &[], b"body");
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(read(&mut &cut[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(read(&mut &b""[..]).unwrap().is_none());
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        for length in [0_u32, 3, 16 * 1024 * 1024 + 1, u32::MAX] {
            let bytes = length.to_be_bytes();
            assert_eq!(read(&mut &bytes[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
