//! Writing entries again where the log is damaged.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::{BLOCK, Buffer, IoError};

use super::marks::Marks;
use super::member::Owner;
use super::reader::Shared;
use super::{EntryHead, EntryLog, EntryLogError, lay_down};
use crate::checkpoint::Checkpoints;
use crate::entry::{Local, entry_len};
use crate::error::StoreError;
use crate::identity::StoreId;
use crate::open::{self, FirstVote};
use crate::options::{Options, largest_entry_in};
use crate::position::Position;
use crate::provision::Spares;
use crate::recover::furthest_entry;
use crate::repair::{Misfit, Patch, Piece, fit};
use crate::replay::Replay;
use crate::segment::{Segment, SegmentHeader};
use crate::store::CHECKPOINTS;
use crate::tip::Tip;

/// The end of a log of which nobody knows where it ends.
const NOWHERE: LogIndex = LogIndex(u64::MAX);

impl EntryLog {
    /// Opens the log in `options.dir` as it is, to repair it and for nothing else: it is not read, so where it ends is not known,
    /// nor what of it is committed.
    pub(crate) async fn open_as_it_is(options: &Options) -> Result<Self, EntryLogError> {
        let opened = open::open(options, FirstVote::Nobody).await?;
        let log = Rc::new(opened.log);
        let SegmentHeader { index, chain, .. } = log.active().header;
        let newest = Position::beginning(log.active().first_entry(), index, chain);
        let end = Position { index: NOWHERE, ..newest };
        let reach = reach_of(options, opened.identity.id, opened.vote.vote().idle_mark).await?;
        let shared = Shared {
            log: Rc::clone(&log),
            vote: Cell::new(opened.vote.vote()),
            end: Cell::new(end),
            committed: Rc::new(Cell::new(NOWHERE)),
            marks: RefCell::new(Marks::of(&log, newest)),
            cuts: Cell::new(0),
            spots: Rc::default(),
            reach,
        };
        let tip = Tip {
            log,
            store: opened.identity.id,
            flush: options.flush,
            method: options.file_method(),
            spares: Rc::new(Spares::new(options, opened.spares).await),
            troubles: Rc::default(),
            durable: Rc::new(Cell::new(newest.offset)),
            last_block: Vec::new(),
            patient: Rc::default(),
        };
        let generation = opened.vote.vote().generation;
        Ok(Self {
            tip,
            vote: opened.vote,
            end,
            generation,
            max_batch: options.max_batch,
            unmarked: options.scale.furthest,
            shared: Rc::new(shared),
            failed: false,
            owner: Owner::Nobody { _locks: opened.locks },
        })
    }

    /// Writes a piece of what was proven, with the entries of it, where it belongs; durable, and read back, when it returns.
    /// What this node notes of the entries for itself says no more than that they were durable and committed.
    ///
    /// # Errors
    /// [`Misfit`]; but for [`Misfit::NotKept`] nothing was written. After a failed write or flush the log takes nothing any more, as
    /// ever.
    ///
    /// # Panics
    /// When the patch has no such piece.
    pub async fn mend(
        &mut self,
        patch: &Patch,
        number: usize,
        entries: &[(EntryHead, &[u8])],
    ) -> Result<(), Misfit> {
        let piece = patch.piece(number);
        self.check().map_err(|_| Misfit::Gone)?;
        self.check_piece(&piece, entries)?;
        let Some(segment) = self.tip.log.at(piece.begin.offset) else { return Err(Misfit::Gone) };
        let blocks = self.blocks_of(&segment, &piece, entries, patch.generation()).await?;
        let base = floor(piece.begin.offset);
        let written = self.write_again(&segment, &blocks, base).await;
        self.note(written).map_err(|_| Misfit::NotKept("the log has failed".to_owned()))?;
        self.forget_what_was_read(&segment, base, blocks.len() as u64);
        self.read_back(&piece).await
    }

    /// These are the entries that were proven.
    fn check_piece(&self, piece: &Piece, entries: &[(EntryHead, &[u8])]) -> Result<(), Misfit> {
        assert!(
            piece.end.index <= self.shared.committed.get(),
            "only what is committed is repaired"
        );
        let size = self.tip.log.segment_size;
        let mut at = piece.begin;
        for (head, payload) in entries {
            let header = fit(at, head, payload, size)?;
            at = Position::behind(&header, 0);
        }
        let is_same =
            (at.index, at.offset, at.chain) == (piece.end.index, piece.end.offset, piece.end.chain);
        if is_same { Ok(()) } else { Err(Misfit::Changed(at.index)) }
    }

    /// The blocks that the piece lies in, with what else is in them.
    async fn blocks_of(
        &self,
        segment: &Segment,
        piece: &Piece,
        entries: &[(EntryHead, &[u8])],
        generation: u64,
    ) -> Result<Rc<Buffer>, Misfit> {
        let base = floor(piece.begin.offset);
        let begin = usize::try_from(piece.begin.offset.since(base)).expect("less than a block");
        let end = usize::try_from(piece.end.offset.since(base)).expect("a piece is below 4 GiB");
        let mut blocks = segment.file.buffer(end.next_multiple_of(BLOCK));
        blocks.fill(0);
        self.keep(segment, &mut blocks, base, 0..begin, Edge::Kept).await?;
        let behind = if self.is_followed(segment, piece) { Edge::Kept } else { Edge::Damaged };
        let to = blocks.len();
        self.keep(segment, &mut blocks, base, end..to, behind).await?;
        let (mut at, mut before) = (begin, piece.begin);
        for (head, payload) in entries {
            let offset = base.plus(at as u64);
            let local = Local { generation, durable_through: offset, committed: head.index };
            let header = lay_down(&mut blocks, at, base, before, local, (*head, payload));
            before = Position::behind(&header, generation);
            at += entry_len(payload.len());
        }
        assert_eq!((at, before.chain), (end, piece.end.chain), "it was checked");
        Ok(Rc::new(blocks))
    }

    /// Whether an intact entry begins in the segment right behind the piece.
    fn is_followed(&self, segment: &Segment, piece: &Piece) -> bool {
        let continues = segment.end();
        let next = self.tip.log.at(continues);
        let is_segments_last = next.is_some_and(|next| next.header.index == piece.end.index);
        piece.is_last && !is_segments_last && piece.end.index < self.end.index
    }

    /// Copies bytes as they are on the disk. What is damaged is left blank if the disk does not give it.
    async fn keep(
        &self,
        segment: &Segment,
        blocks: &mut Buffer,
        base: PhysicalOffset,
        range: Range<usize>,
        edge: Edge,
    ) -> Result<(), Misfit> {
        if range.is_empty() {
            return Ok(());
        }
        let block = range.start / BLOCK * BLOCK;
        let pos = base.plus(block as u64).since(segment.header.base);
        let bytes = match segment.file.read_at(pos, BLOCK).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_unreadable() => match edge {
                Edge::Damaged => return Ok(()),
                Edge::Kept => return Err(Misfit::Edge(error.to_string())),
            },
            Err(error) => return Err(StoreError::from(error).into()),
        };
        assert!(range.end - block <= bytes.len(), "segments keep their size");
        blocks[range.clone()].copy_from_slice(&bytes[range.start - block..range.end - block]);
        Ok(())
    }

    async fn write_again(
        &self,
        segment: &Rc<Segment>,
        blocks: &Rc<Buffer>,
        base: PhysicalOffset,
    ) -> Result<(), IoError> {
        let inner = self.owner.inner();
        let writing = inner.as_ref().map(|inner| inner.cache.log_writes());
        segment.write(blocks, base).await?;
        self.tip.log.flush_again(segment).await?;
        drop(writing);
        Ok(())
    }

    /// What readers keep of it may be damaged.
    fn forget_what_was_read(&self, segment: &Segment, base: PhysicalOffset, len: u64) {
        if let Owner::Member { ahead, .. } = &self.owner {
            let pos = base.since(segment.header.base);
            ahead.inner.cache.distrust(segment.cache_id(), pos, len);
        }
    }

    async fn read_back(&self, piece: &Piece) -> Result<(), Misfit> {
        let no_limit = PhysicalOffset(u64::MAX);
        let (log, vote) = (Rc::clone(&self.tip.log), self.vote.vote());
        let mut replay = Replay::new(log, vote, Some(piece.begin), no_limit);
        while replay.position.index < piece.end.index {
            if let Err(unsound) = replay.step().await? {
                return Err(Misfit::NotKept(unsound.why));
            }
        }
        let found = replay.position;
        let is_same = (found.offset, found.chain) == (piece.end.offset, piece.end.chain);
        assert!(is_same, "the chain was checked entry by entry");
        Ok(())
    }
}

/// Behind this no entry of a log begins that was written with this mark beside the vote, or by a store of its own, which is bound to
/// its newest checkpoint instead.
async fn reach_of(
    options: &Options,
    id: StoreId,
    idle_mark: PhysicalOffset,
) -> Result<PhysicalOffset, StoreError> {
    let checkpoints = Checkpoints::new(&options.dir.join(CHECKPOINTS), id, options.segment_size);
    let Some(newest) = checkpoints.list().await?.last().copied() else {
        return Ok(PhysicalOffset(u64::MAX));
    };
    let slack = options.scale.furthest + largest_entry_in(options.segment_size);
    let alone = furthest_entry(newest, options.segment_size, options.scale);
    Ok(alone.max(idle_mark.plus(slack)))
}

/// What lies in the first or the last block beside what is written.
#[derive(Clone, Copy)]
enum Edge {
    /// It is intact, and must not be lost.
    Kept,
    /// It is damaged as well, or nothing.
    Damaged,
}

/// The block that `offset` lies in.
fn floor(offset: PhysicalOffset) -> PhysicalOffset {
    PhysicalOffset(offset.0 / BLOCK as u64 * BLOCK as u64)
}
