//! The files of a store.
//!
//! An input is tried as it is, and with its checksums made right, or hardly a change would get past them.
//! The files of whole blocks, which are zeros for the most part, come in a shorter form.

use runtime::BLOCK;
use storage::fuzz::{CHECKPOINT, ENTRY, Format, IDENTITY, PART, SEGMENT, VOTE};

use crate::Outcome;

/// Bytes of a checkpoint's header that mean something.
pub const CHECKPOINT_HEADER: usize = 112;
/// Blocks of an index file that are tried, at most.
const MAX_BLOCKS: usize = 64;

/// The chain before an entry, and the entry.
pub fn entry(bytes: &[u8]) -> Outcome {
    check(&ENTRY, bytes.to_vec())
}

/// An identity file.
pub fn identity(bytes: &[u8]) -> Outcome {
    check(&IDENTITY, bytes.to_vec())
}

/// A slot of the vote file.
pub fn vote(bytes: &[u8]) -> Outcome {
    check(&VOTE, bytes.to_vec())
}

/// A segment's header.
pub fn segment(bytes: &[u8]) -> Outcome {
    check(&SEGMENT, bytes.to_vec())
}

/// A checkpoint: the first [`CHECKPOINT_HEADER`] bytes of its header, and its body.
pub fn checkpoint(input: &[u8]) -> Outcome {
    let (header, body) = input.split_at(input.len().min(CHECKPOINT_HEADER));
    let mut file = header.to_vec();
    file.resize(BLOCK, 0);
    file.extend_from_slice(body);
    file.resize(file.len().next_multiple_of(BLOCK), 0);
    check(&CHECKPOINT, file)
}

/// An index file: of each block a length (two bytes, little-endian) and so many bytes.
pub fn part(input: &[u8]) -> Outcome {
    let (mut file, mut rest) = (Vec::new(), input);
    while let Some((len, after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len)).min(after.len()).min(BLOCK);
        file.extend_from_slice(&after[..len]);
        file.resize(file.len().next_multiple_of(BLOCK), 0);
        rest = &after[len..];
        if file.len() >= MAX_BLOCKS * BLOCK {
            break;
        }
    }
    check(&PART, file)
}

/// The short form of an index file, for [`part`].
pub fn part_input(file: &[u8]) -> Vec<u8> {
    let mut input = Vec::new();
    for block in file.chunks(BLOCK) {
        let zeros = block.iter().rev().take_while(|byte| **byte == 0).count();
        // A block of zeros alone keeps one, or it would be no block.
        let used = &block[..(block.len() - zeros).max(1)];
        input.extend_from_slice(&u16::try_from(used.len()).expect("at most 4096").to_le_bytes());
        input.extend_from_slice(used);
    }
    input
}

fn check(format: &Format, bytes: Vec<u8>) -> Outcome {
    let mut sealed = bytes.clone();
    (format.seal)(&mut sealed);
    if sealed != bytes {
        // Refused by its checksum as a rule; not when what is wrong is found before.
        drop(read(format, &bytes));
    }
    read(format, &sealed)
}

fn read(format: &Format, bytes: &[u8]) -> Outcome {
    let again = match (format.reread)(bytes) {
        Ok(again) => again,
        Err(why) => return Outcome::refused(why),
    };
    let third = (format.reread)(&again);
    assert!(third.is_ok_and(|third| third == again), "what is written again stays as it is");
    let covered = (format.covered)(bytes);
    let bits: usize = covered.iter().map(|range| range.len() * 8).sum();
    let mut bit = crc32c::crc32c(bytes) as usize % bits;
    for range in covered {
        if bit >= range.len() * 8 {
            bit -= range.len() * 8;
            continue;
        }
        let mut bad = bytes.to_vec();
        let at = range.start + bit / 8;
        bad[at] ^= 1 << (bit % 8);
        assert!((format.reread)(&bad).is_err(), "a bit of byte {at} was flipped and not seen");
        return Outcome::Read;
    }
    unreachable!("a bit below their number is in one of the ranges")
}
