//! The compressed body of a broker's registration: a byte of options, and a zlib stream or what is to be
//! one.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use remoting::body::{RegisterBrokerBody, RegisterError};
use remoting::command::version;

use crate::Outcome;

/// Option: the text comes as it is and is compressed here, so that changes get past zlib's checksum.
pub const PLAIN: u8 = 1;
/// Option: the broker that sends it is older than 5.0.0.
pub const OLD: u8 = 2;

/// A registration.
///
/// # Panics
/// When it does not survive being written and read.
pub fn check(input: &[u8]) -> Outcome {
    let Some((options, bytes)) = input.split_first() else {
        return Outcome::refused("no registration");
    };
    let version = if options & OLD == 0 { version::OURS } else { version::V5_0_0 - 1 };
    let packed = if options & PLAIN == 0 { bytes.to_vec() } else { packed(bytes) };
    let body = match RegisterBrokerBody::decode_compressed(&packed, version) {
        Ok(body) => body,
        Err(error) => return Outcome::refused(error),
    };
    let again = match body.encode_compressed() {
        Ok(again) => again,
        Err(RegisterError::TooLong) => return Outcome::refused("it is too long as we write it"),
        Err(error) => panic!("{error}: it was read"),
    };
    let read = RegisterBrokerBody::decode_compressed(&again, version::OURS).expect("ours");
    assert_eq!(read, body, "a registration survives being written");
    Outcome::Read
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory takes all")
}
