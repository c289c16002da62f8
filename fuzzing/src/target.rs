//! The targets by name.

use crate::Outcome;
use crate::check::{
    batch, body, command, fastjson, frame, header, peer, record, registration, state, store,
};

/// A format and what must hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; its corpus is in `fuzz/corpus/<name>`.
    pub name: &'static str,
    /// Reads any bytes.
    ///
    /// # Panics
    /// When something does not hold that must.
    pub run: fn(&[u8]) -> Outcome,
    /// Bytes that one run may need at a time, beside [`Target::per_byte`].
    pub fixed: usize,
    /// Bytes that it may need at a time for each byte of its input.
    pub per_byte: usize,
    /// Pieces that its mutator puts in.
    pub words: &'static [&'static [u8]],
}

const KIB: usize = 1024;

/// What a parser of JSON may stumble over.
const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u",
    b"\\t",
    b"\\n",
    b"\\ud83d",
    b"\\u0000",
    b":",
    b",",
    b"null",
    b"NaN",
    b"-Infinity",
    b"-",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"2147483648",
    b"{{",
    b"}:",
    b"{0:",
    b"\0",
    b"\xc3",
    b"\xed\xa0\x80",
    b"true",
    b"\"\":",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
];

/// Every target, in the order of the layers.
pub const TARGETS: [Target; 16] = [
    wire("frames", frame::check),
    wire("headers", header::check),
    Target { per_byte: 512, ..wire("bodies", body::check) },
    Target { per_byte: 512, ..wire("fastjson", fastjson::check) },
    wire("batches", batch::check),
    // A zlib stream may hold a thousand times its size.
    Target { per_byte: 512 * KIB, ..wire("registrations", registration::check) },
    Target { words: &[], ..wire("peers", peer::check) },
    disk("records", record::check),
    disk("entries", store::entry),
    disk("commands", command::check),
    disk("states", state::check),
    disk("identities", store::identity),
    disk("votes", store::vote),
    disk("segments", store::segment),
    // These run in a simulated world.
    Target { fixed: 4096 * KIB, ..disk("checkpoints", store::checkpoint) },
    Target { fixed: 8192 * KIB, per_byte: 16 * KIB, ..disk("parts", store::part) },
];

const fn wire(name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    Target { name, run, fixed: 64 * KIB, per_byte: 256, words: JSON }
}

const fn disk(name: &'static str, run: fn(&[u8]) -> Outcome) -> Target {
    Target { name, run, fixed: 64 * KIB, per_byte: 64, words: &[] }
}

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Bytes that a run on `len` bytes may need at a time.
    pub fn memory(&self, len: usize) -> usize {
        self.fixed + self.per_byte * len
    }
}
