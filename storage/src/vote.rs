//! What this node has promised: term, vote, and marks for its own recovery.
//!
//! Two slots of one block each in the file `vote`, both written with the same, one after the other, each flushed before the
//! next step and before anybody is answered: a torn write leaves the other slot, and a block that rots later leaves one
//! that says the same. `docs/format/store.md` has the table.

use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset, Term};
use runtime::{BLOCK, File, IoError, OpenMode, Slice};

use crate::error::OpenError;
use crate::identity::StoreId;
use crate::membership::ALONE;
use crate::versions::{self, VersionError};

/// The name of the vote file.
pub(crate) const FILE: &str = "vote";
pub(crate) const SLOTS: u64 = 2;
const MAGIC: [u8; 8] = *b"TPVOTE\0\0";

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    /// The newest term this node knows.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: StoreId,
    /// A majority has voted the same: `voted_for` leads the term.
    pub elected: bool,
    /// Raised at every start, and at every truncation.
    pub generation: u64,
    /// Up to here the log was durable and intact when this was written.
    pub idle_mark: PhysicalOffset,
    /// Nothing was appended after `idle_mark`: the store was stopped in order.
    pub clean: bool,
    /// Entries that the group has no use for any more.
    pub purged: Purged,
}

impl Vote {
    /// Whether it is that of `store` as a group of its own, which never votes for anybody else and never again. The first of a group
    /// may have the same one: then its log tells.
    pub(crate) fn is_of_one_alone(&self, store: StoreId) -> bool {
        self.term == ALONE && self.voted_for == store && self.elected
    }
}

/// How far the group that a log belongs to has no use for entries any more: a snapshot stands for them. They stay
/// in the log until it is trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Entries before this index; 0: none.
    pub before: LogIndex,
    /// Term of the last of them; 0 if there is none.
    pub term: Term,
}

/// A slot as it lies on the disk. Only its layout is used; the fields are copied one by one.
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: u8,
    clean: u8,
    elected: u8,
    reserved: u8,
    crc: u32,
    sequence: u64,
    term: u64,
    voted_for: [u8; 16],
    generation: u64,
    idle_mark: u64,
    purged_before: u64,
    purged_term: u64,
}

const AT_VERSION: usize = offset_of!(Layout, version);
const AT_CLEAN: usize = offset_of!(Layout, clean);
const AT_ELECTED: usize = offset_of!(Layout, elected);
const AT_CRC: usize = offset_of!(Layout, crc);
const AT_SEQUENCE: usize = offset_of!(Layout, sequence);
const AT_TERM: usize = offset_of!(Layout, term);
const AT_VOTED_FOR: usize = offset_of!(Layout, voted_for);
const AT_GENERATION: usize = offset_of!(Layout, generation);
const AT_IDLE_MARK: usize = offset_of!(Layout, idle_mark);
const AT_PURGED_BEFORE: usize = offset_of!(Layout, purged_before);
const AT_PURGED_TERM: usize = offset_of!(Layout, purged_term);
const LEN: usize = size_of::<Layout>();
const _: () = assert!(AT_VERSION == 8 && AT_CRC == 12 && AT_SEQUENCE == 16 && LEN == 80);
const _: () = assert!(LEN <= BLOCK && SLOTS == 2);

/// Covers all of the slot, so that it covers the same bytes in a version that has more to say.
fn crc(slot: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&slot[..AT_CRC]);
    crc32c::crc32c_append(crc, &slot[AT_SEQUENCE..BLOCK])
}

impl Vote {
    pub(crate) fn encode(&self, sequence: u64, slot: &mut [u8]) {
        slot[..MAGIC.len()].copy_from_slice(&MAGIC);
        slot[AT_VERSION] = versions::VOTE;
        slot[AT_CLEAN] = u8::from(self.clean);
        slot[AT_ELECTED] = u8::from(self.elected);
        slot[AT_SEQUENCE..AT_TERM].copy_from_slice(&sequence.to_le_bytes());
        slot[AT_TERM..AT_VOTED_FOR].copy_from_slice(&self.term.0.to_le_bytes());
        slot[AT_VOTED_FOR..AT_GENERATION].copy_from_slice(&self.voted_for.0.to_le_bytes());
        slot[AT_GENERATION..AT_IDLE_MARK].copy_from_slice(&self.generation.to_le_bytes());
        slot[AT_IDLE_MARK..AT_PURGED_BEFORE].copy_from_slice(&self.idle_mark.0.to_le_bytes());
        let Purged { before, term } = self.purged;
        slot[AT_PURGED_BEFORE..AT_PURGED_TERM].copy_from_slice(&before.0.to_le_bytes());
        slot[AT_PURGED_TERM..LEN].copy_from_slice(&term.0.to_le_bytes());
        let crc = crc(slot);
        slot[AT_CRC..AT_SEQUENCE].copy_from_slice(&crc.to_le_bytes());
    }

    /// The version of a slot that is whole and not of ours. Version and checksum have their places, and the checksum
    /// covers the same bytes, in all versions.
    pub(crate) fn other_version(slot: &[u8]) -> Option<u8> {
        let version =
            *slot.get(..BLOCK).filter(|slot| slot.starts_with(&MAGIC))?.get(AT_VERSION)?;
        let stored = u32::from_le_bytes(slot[AT_CRC..AT_SEQUENCE].try_into().ok()?);
        (version != versions::VOTE && stored == crc(slot)).then_some(version)
    }

    /// The slot's sequence number and content; `None` when it is not intact.
    pub(crate) fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        if slot.len() < BLOCK || slot[..MAGIC.len()] != MAGIC || slot[AT_VERSION] != versions::VOTE
        {
            return None;
        }
        let stored = u32::from_le_bytes(slot[AT_CRC..AT_SEQUENCE].try_into().ok()?);
        if stored != crc(slot) {
            return None;
        }
        let u64_at =
            |at: usize| u64::from_le_bytes(slot[at..at + 8].try_into().expect("eight bytes"));
        let voted_for = u128::from_le_bytes(slot[AT_VOTED_FOR..AT_GENERATION].try_into().ok()?);
        let vote = Self {
            term: Term(u64_at(AT_TERM)),
            voted_for: StoreId(voted_for),
            elected: slot[AT_ELECTED] != 0,
            generation: u64_at(AT_GENERATION),
            idle_mark: PhysicalOffset(u64_at(AT_IDLE_MARK)),
            clean: slot[AT_CLEAN] != 0,
            purged: Purged {
                before: LogIndex(u64_at(AT_PURGED_BEFORE)),
                term: Term(u64_at(AT_PURGED_TERM)),
            },
        };
        Some((u64_at(AT_SEQUENCE), vote))
    }
}

/// What the slots say together: the newer of the intact ones, with its sequence number. Where another is neither intact nor
/// blank it was being written, and nobody has been answered for it, or it has rotted, and was no newer. It may have said that
/// something followed the mark, so nothing is said to have been stopped in order.
pub(crate) fn newest(slots: &[Slice]) -> Option<(u64, Vote)> {
    let intact = slots.iter().filter_map(|slot| Vote::decode(slot));
    let (sequence, mut vote) = intact.max_by_key(|(sequence, _)| *sequence)?;
    let doubtful =
        |slot: &Slice| Vote::decode(slot).is_none() && slot.iter().any(|byte| *byte != 0);
    vote.clean &= !slots.iter().any(doubtful);
    Some((sequence, vote))
}

/// The slot that is written first after a start, where these were found: never the one that alone holds what was promised.
fn first_to_write(slots: &[Slice], newest: u64) -> u64 {
    let holds_it =
        |slot: &Slice| Vote::decode(slot).is_some_and(|(sequence, _)| sequence == newest);
    u64::from(!slots.iter().skip(1).any(holds_it))
}

/// The vote file, and what it holds.
pub(crate) struct VoteFile {
    file: File,
    sequence: u64,
    vote: Vote,
    /// The slot that is written first, the next time.
    first: u64,
}

impl VoteFile {
    /// Makes the file, replacing a leftover; durable when it returns, but for the directory.
    pub(crate) async fn create(dir: &Path, vote: Vote) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        if runtime::fs::exists(&path).await? {
            runtime::fs::remove_file(&path).await?;
        }
        let file = File::open(&path, OpenMode::CreateNew).await?;
        file.allocate(SLOTS * BLOCK as u64).await?;
        let mut made = Self { file, sequence: 0, vote, first: 0 };
        made.store(vote).await?;
        Ok(made)
    }

    /// Opens the file; what it says is what [`newest`] makes of its slots, and durable: a process that
    /// died may have written a slot and not flushed it.
    pub(crate) async fn open(dir: &Path) -> Result<Self, OpenError> {
        let path: PathBuf = dir.join(FILE);
        let file = File::open(&path, OpenMode::ReadWrite).await?;
        file.sync().await?;
        let mut slots = Vec::new();
        for slot in 0..SLOTS {
            slots.push(file.read_at(slot * BLOCK as u64, BLOCK).await?);
        }
        if let Some(found) = slots.iter().find_map(|slot| Vote::other_version(slot)) {
            let (what, known) = ("a vote", versions::VOTE);
            return Err(VersionError { file: path, what, found, known }.into());
        }
        let (sequence, vote) = newest(&slots).ok_or(OpenError::Vote { file: path })?;
        let first = first_to_write(&slots, sequence);
        Ok(Self { file, sequence, vote, first })
    }

    pub(crate) fn vote(&self) -> Vote {
        self.vote
    }

    /// Makes `vote` durable in both slots, one after the other. After an error, or dropped early, the file holds this one or the
    /// one before; nothing may be written any more then.
    pub(crate) async fn store(&mut self, vote: Vote) -> Result<(), IoError> {
        assert!(vote.term >= self.vote.term, "a node never goes back to an older term");
        assert!(vote.generation >= self.vote.generation, "generations rise");
        assert!(vote.purged.before >= self.vote.purged.before, "what is given up stays given up");
        let sequence = self.sequence + 1;
        let mut block = self.file.buffer(BLOCK);
        block.fill(0);
        vote.encode(sequence, &mut block);
        let block = Rc::new(block);
        for slot in [self.first, 1 - self.first] {
            self.file.write_at(&block, slot * BLOCK as u64).await?;
            self.file.sync().await?;
        }
        (self.sequence, self.vote) = (sequence, vote);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use runtime::sim::{Node, Simulation};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);
    const VOTE: Vote = Vote {
        term: Term(3),
        voted_for: StoreId(77),
        elected: true,
        generation: 4,
        idle_mark: PhysicalOffset(5),
        clean: true,
        purged: Purged { before: LogIndex(6), term: Term(2) },
    };

    #[test]
    fn what_is_read_outlives_a_power_cut() {
        for seed in 0..16 {
            let simulation = Simulation::new(seed);
            let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
            let first = node.start("first", || async {
                let file = VoteFile::create(Path::new("/"), VOTE).await.expect("made");
                runtime::fs::sync_dir("/").await.expect("durable");
                let mut block = file.file.buffer(BLOCK);
                block.fill(0);
                let next = Vote { term: Term(9), ..VOTE };
                next.encode(file.sequence + 1, &mut block);
                let at = (file.sequence + 1) % SLOTS * BLOCK as u64;
                file.file.write_at(&Rc::new(block), at).await.expect("written, not flushed");
            });
            simulation.join(first, LIMIT).expect("the first life ends");
            node.crash();
            let read = || async { VoteFile::open(Path::new("/")).await.expect("intact").vote() };
            let before = simulation.join(node.start("second", read), LIMIT).expect("it ends");
            node.power_cut();
            let after = simulation.join(node.start("third", read), LIMIT).expect("it ends");
            assert_eq!(before, after, "seed {seed}");
        }
    }

    #[test]
    fn a_slot_is_read_back_and_every_flipped_bit_is_seen() {
        let vote = VOTE;
        let mut slot = vec![0; BLOCK];
        vote.encode(9, &mut slot);
        assert_eq!(Vote::decode(&slot), Some((9, vote)));
        for bit in 0..BLOCK * 8 {
            let mut bad = slot.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Vote::decode(&bad), None, "bit {bit}");
        }
    }

    /// Promises one term after the other until the power goes after `micros`; the last one that was told to be durable.
    fn promise_until_the_power_goes(simulation: &Simulation, node: &Node, micros: u64) -> Term {
        let told = Arc::new(AtomicU64::new(0));
        let tells = Arc::clone(&told);
        drop(node.start("promising", move || async move {
            let mut file = match runtime::fs::exists("/vote").await {
                Ok(true) => VoteFile::open(Path::new("/")).await.expect("readable"),
                _ => {
                    let file = VoteFile::create(Path::new("/"), VOTE).await.expect("made");
                    runtime::fs::sync_dir("/").await.expect("durable");
                    file
                }
            };
            tells.store(file.vote().term.0, Ordering::Relaxed);
            loop {
                let next = Vote { term: Term(file.vote().term.0 + 1), ..file.vote() };
                file.store(next).await.expect("a healthy disk");
                tells.store(next.term.0, Ordering::Relaxed);
            }
        }));
        simulation.run_for(Duration::from_micros(micros));
        node.power_cut();
        Term(told.load(Ordering::Relaxed))
    }

    /// Spoils a slot, unless the other one is not intact; what the file says then.
    async fn after_rot_of(slot: u64) -> Option<Term> {
        let file = File::open(Path::new("/vote"), OpenMode::ReadWrite).await.expect("there");
        let other = file.read_at((1 - slot) * BLOCK as u64, BLOCK).await.expect("readable");
        if Vote::decode(&other).is_some() {
            let mut block = file.buffer(BLOCK);
            block.fill(0xA5);
            file.write_at(&Rc::new(block), slot * BLOCK as u64).await.expect("written");
            file.sync().await.expect("durable");
        }
        file.close().await.expect("closed");
        VoteFile::open(Path::new("/")).await.ok().map(|file| file.vote().term)
    }

    #[test]
    fn a_promise_outlives_a_power_cut_and_the_rot_of_either_slot_after_it() {
        for seed in 0..40 {
            let simulation = Simulation::new(seed);
            let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
            let mut least = promise_until_the_power_goes(&simulation, &node, 50_000);
            assert!(least > VOTE.term, "it has promised something");
            for life in 0..6 {
                let slot = (seed + life) % SLOTS;
                let read = node.start("rot", move || after_rot_of(slot));
                let found = simulation.join(read, LIMIT).expect("it ends");
                assert!(found >= Some(least), "seed {seed}: {found:?} where {least} was promised");
                node.crash();
                // What a start has read stays.
                least = least.max(found.expect("it was read"));
                let micros = 300 + seed * 37 + life * 113;
                least = least.max(promise_until_the_power_goes(&simulation, &node, micros));
            }
        }
    }

    #[test]
    fn the_slot_that_alone_holds_the_promise_is_written_last() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let life = node.start("life", || async {
            let slice = |block: &[u8]| {
                let mut buffer = runtime::buffer(BLOCK);
                buffer.copy_from_slice(block);
                Slice::new(Rc::new(buffer), 0..BLOCK)
            };
            let of = |sequence| {
                let mut block = vec![0; BLOCK];
                VOTE.encode(sequence, &mut block);
                slice(&block)
            };
            let bad = || slice(&[7; BLOCK]);
            assert_eq!(first_to_write(&[of(4), of(3)], 4), 1);
            assert_eq!(first_to_write(&[of(3), of(4)], 4), 0);
            assert_eq!(first_to_write(&[of(4), bad()], 4), 1);
            assert_eq!(first_to_write(&[bad(), of(4)], 4), 0);
            assert_eq!(first_to_write(&[of(4), of(4)], 4), 0);
        });
        simulation.join(life, LIMIT).expect("it ends");
    }
}
