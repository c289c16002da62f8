//! A door for fuzzing, and for nothing else: each format of this crate, read as the store reads it and
//! written again.
//!
//! Where the checksums lie is said here once more, in numbers, and not taken from the code under test.
//! All functions panic when a format breaks its promises; whatever the bytes are, that is a bug.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "some formats have one range under a checksum, others more"
)]

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use runtime::BLOCK;
use runtime::sim::Simulation;

use crate::checkpoint::format as checkpoint;
use crate::command::{TopicCommand, TopicStates, Trim};
use crate::entry::{ENTRY_HEADER_LEN, Local, Replicated};
use crate::identity::{Identity, StoreId};
use crate::membership::Membership;
use crate::part;
use crate::segment::SegmentHeader;
use crate::vote::Vote;

/// A format with a checksum.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Reads the bytes and writes what was read again; else why they cannot be read. Asserts that what
    /// was written reads as the same value.
    pub reread: fn(&[u8]) -> Result<Vec<u8>, String>,
    /// Makes the checksums right, as far as the bytes reach.
    pub seal: fn(&mut [u8]),
    /// Where in bytes that can be read no single bit may change unnoticed.
    pub covered: fn(&[u8]) -> Vec<Range<usize>>,
}

/// The file `store`, its first bytes at least.
pub const IDENTITY: Format = Format {
    reread: identity,
    seal: |bytes| put_crc(bytes, 12, &[16..52]),
    covered: |_| vec![0..9, 12..52],
};

/// A slot of the file `vote`.
pub const VOTE: Format = Format {
    reread: vote,
    seal: |bytes| put_crc(bytes, 12, &[0..12, 16..BLOCK]),
    covered: |_| vec![0..BLOCK],
};

/// The header of a segment.
pub const SEGMENT: Format = Format {
    reread: segment,
    seal: |bytes| put_crc(bytes, 12, &[16..60]),
    covered: |_| vec![0..9, 12..60],
};

/// The chain before an entry (four bytes), and the entry.
pub const ENTRY: Format = Format { reread: entry, seal: seal_entry, covered: covered_entry };

/// A checkpoint's file.
pub const CHECKPOINT: Format = Format {
    reread: checkpoint,
    seal: |bytes| {
        let body = checkpoint_body(bytes);
        put_crc(bytes, 96, &[body]);
        put_crc(bytes, 12, &[16..BLOCK]);
    },
    covered: |bytes| vec![0..9, 12..BLOCK, checkpoint_body(bytes)],
};

/// An index file.
pub const PART: Format = Format {
    reread: part,
    seal: part::fuzz::seal,
    covered: |bytes| Vec::from([part::fuzz::covered(bytes)]),
};

/// Puts the CRC-32C over `ranges` at `at`, if the bytes reach that far.
fn put_crc(bytes: &mut [u8], at: usize, ranges: &[Range<usize>]) {
    let parts: Option<Vec<&[u8]>> = ranges.iter().map(|range| bytes.get(range.clone())).collect();
    let crc = parts.map(|parts| parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part)));
    if let (Some(crc), Some(to)) = (crc, bytes.get_mut(at..at + 4)) {
        to.copy_from_slice(&crc.to_le_bytes());
    }
}

fn identity(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let identity = Identity::decode(bytes).map_err(|bad| format!("{bad:?}"))?;
    let mut again = vec![0; 52];
    identity.encode(&mut again);
    assert_eq!(Identity::decode(&again), Ok(identity));
    Ok(again)
}

fn vote(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (sequence, vote) = Vote::decode(bytes).ok_or("the slot is not intact")?;
    let mut again = vec![0; BLOCK];
    vote.encode(sequence, &mut again);
    assert_eq!(Vote::decode(&again), Some((sequence, vote)));
    Ok(again)
}

fn segment(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let header = SegmentHeader::decode(bytes).map_err(|bad| bad.to_string())?;
    let mut again = vec![0; 60];
    header.encode(&mut again);
    assert_eq!(SegmentHeader::decode(&again), Ok(header));
    Ok(again)
}

/// The chain before the entry, its header, and what follows.
fn entry_parts(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (previous, entry) = bytes.split_first_chunk::<4>()?;
    let (header, rest) = entry.split_at_checked(ENTRY_HEADER_LEN)?;
    Some((u32::from_le_bytes(*previous), header, rest))
}

fn entry(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (previous, header, rest) = entry_parts(bytes).ok_or("no room for a header")?;
    let replicated = Replicated::decode(header).map_err(|bad| bad.to_string())?;
    let local = Local::decode(header).map_err(|bad| bad.to_string())?;
    let payload = rest.get(..replicated.payload_len as usize).ok_or("the payload is cut off")?;
    replicated.check_chain(previous, header, payload).map_err(|bad| bad.to_string())?;
    let mut again = [&[0; ENTRY_HEADER_LEN], payload].concat();
    let head = &mut again[..ENTRY_HEADER_LEN];
    let chain = replicated.encode(previous, head, crc32c::crc32c(payload));
    local.encode(head);
    let (header, payload) = again.split_at(ENTRY_HEADER_LEN);
    // Bytes that mean nothing are in the chain and not written again.
    let written = Replicated { chain, ..replicated };
    assert_eq!(Replicated::decode(header), Ok(written));
    assert_eq!(Local::decode(header), Ok(local));
    assert_eq!(written.check_chain(previous, header, payload), Ok(()));
    Ok([&previous.to_le_bytes(), &again[..]].concat())
}

fn covered_entry(bytes: &[u8]) -> Vec<Range<usize>> {
    let payload = bytes.get(12..16).map_or(0, |len| u32_of(len) as usize);
    vec![0..4 + ENTRY_HEADER_LEN + payload]
}

fn seal_entry(bytes: &mut [u8]) {
    let Some((previous, header, rest)) = entry_parts(bytes) else { return };
    let payload = rest.get(..u32_of(&header[8..12]) as usize).unwrap_or_default();
    let chain = [&previous.to_le_bytes(), &header[8..56], payload]
        .into_iter()
        .fold(0, crc32c::crc32c_append);
    bytes[8..12].copy_from_slice(&chain.to_le_bytes());
    put_crc(bytes, 4 + 56, &[8..12, 4 + 60..4 + 88]);
}

fn u32_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

/// Where the body of a checkpoint's file says that it is; nowhere, if that is outside of the file.
fn checkpoint_body(bytes: &[u8]) -> Range<usize> {
    let len = bytes.get(88..96).map(|len| u64::from_le_bytes(len.try_into().expect("eight bytes")));
    let len = len.and_then(|len| usize::try_from(len).ok()).unwrap_or(usize::MAX);
    let end = BLOCK.saturating_add(len);
    if end <= bytes.len() { BLOCK..end } else { 0..0 }
}

fn checkpoint(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let whose = bytes.get(16..32).map(|id| id.try_into().expect("sixteen bytes"));
    let store = StoreId(whose.map_or(0, u128::from_le_bytes));
    drop(checkpoint::decode(bytes, store).map_err(|bad| format!("{bad:?}"))?);
    let bytes = bytes.to_vec();
    Ok(simulated(move || async move {
        let before = checkpoint::decode(&bytes, store);
        let again = checkpoint::encode(before.as_ref().expect("as just now"), store).await;
        assert_eq!(checkpoint::decode(&again, store), before);
        again
    }))
}

fn part(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = bytes.to_vec();
    simulated(|| async move { part::fuzz::reread(Path::new("/index"), &bytes).await })
}

/// A command of the log: its bytes behind a byte that says which.
///
/// # Errors
/// Why it cannot be read.
pub fn command(bytes: &[u8]) -> Result<Vec<u8>, String> {
    macro_rules! reread {
        ($which:expr, $type:ty, $bytes:expr) => {{
            let command = <$type>::from_bytes($bytes)?;
            let again = command.to_bytes();
            assert_eq!(<$type>::from_bytes(&again), Ok(command));
            Ok([&[$which], &again[..]].concat())
        }};
    }
    match bytes.split_first() {
        Some((0, bytes)) => reread!(0, TopicCommand, bytes),
        Some((1, bytes)) => reread!(1, Membership, bytes),
        Some((2, bytes)) => reread!(2, TopicStates, bytes),
        Some((3, bytes)) => reread!(3, Trim, bytes),
        _ => Err("no command".to_owned()),
    }
}

/// Runs something that needs an executor.
fn simulated<T, F, Fut>(run: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let executor = node.start("fuzz", run);
    simulation.join(executor, Duration::from_secs(3600)).expect("it ends")
}
