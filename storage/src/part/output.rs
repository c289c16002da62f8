//! Writing a part's file: under another name, in small steps, and under its own name once it is
//! complete and flushed.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::rc::Rc;

use runtime::{BLOCK, Buffer, File, IoError, fs};

use super::QueueKey;
use super::dir::PartDir;
use super::error::PartError;
use super::file::PartFile;
use super::format::{
    Counts, Item, KeyFence, Label, Listed, QueueFence, items_mut, seed as seed_of,
};
use super::header::Header;
use super::name::Span;
use super::pace::Pace;
use super::{KeyAt, Packed};
use crate::identity::StoreId;

/// Blocks of one write: few enough that a write of the log does not wait long behind one.
const STEP_BLOCKS: usize = 32;
const _: () = assert!(STEP_BLOCKS * BLOCK <= 128 * 1024);

/// A file under way. Its sections are written in the order of their numbers, each to its end.
pub(super) struct Output {
    /// What the file is called until it is complete.
    path: PathBuf,
    span: Span,
    store: StoreId,
    file: File,
    seed: u32,
    /// Blocks that are not written yet; the last one may be unsealed.
    step: Buffer,
    /// The number of the first of them.
    step_number: u32,
    /// Blocks in use in `step`.
    blocks: usize,
    /// Items in the last of them while it is unsealed; else 0.
    items: usize,
    counts: Counts,
    queue_fences: Vec<QueueFence>,
    key_fences: Vec<KeyFence>,
    pub(super) pace: Pace,
}

/// A section that is being written.
pub(super) struct Section<'a, T> {
    out: &'a mut Output,
    of: PhantomData<T>,
}

impl Output {
    /// A file in `dir` for what `span` says, of about `len` bytes.
    pub(super) async fn create(
        dir: &PartDir,
        store: StoreId,
        span: Span,
        len: u64,
    ) -> Result<Self, IoError> {
        let (file, path) = dir.file_for(len, &span.unready_name()).await?;
        let step = file.buffer(STEP_BLOCKS * BLOCK);
        Ok(Self {
            path,
            span,
            store,
            file,
            seed: seed_of(store, span),
            step,
            step_number: 1, // the header comes last, when its numbers are known
            blocks: 0,
            items: 0,
            counts: Counts::default(),
            queue_fences: Vec::new(),
            key_fences: Vec::new(),
            pace: Pace::default(),
        })
    }

    fn section<T: Item>(&mut self) -> Section<'_, T> {
        assert_eq!(self.items, 0, "a section begins with a block");
        Section { out: self, of: PhantomData }
    }

    pub(super) fn units(&mut self) -> Section<'_, Packed> {
        assert!(self.counts == Counts::default(), "units come first");
        self.section()
    }

    pub(super) fn directory(&mut self) -> Section<'_, Listed> {
        assert!(self.counts.queues == 0 && self.counts.keys == 0, "the directory comes second");
        self.section()
    }

    pub(super) fn keys(&mut self) -> Section<'_, KeyAt> {
        assert!(self.counts.keys == 0, "keys come third");
        self.section()
    }

    async fn write_step(&mut self) -> Result<(), IoError> {
        assert_eq!(self.items, 0, "only sealed blocks are written");
        if self.blocks == 0 {
            return Ok(());
        }
        let next = self.file.buffer(STEP_BLOCKS * BLOCK);
        let mut step = std::mem::replace(&mut self.step, next);
        step.shrink_to(self.blocks * BLOCK);
        let position = u64::from(self.step_number) * BLOCK as u64;
        self.file.write_at(&Rc::new(step), position).await?;
        self.step_number += u32::try_from(self.blocks).expect("a step is small");
        self.blocks = 0;
        Ok(())
    }

    fn seal<T: Item>(&mut self) {
        assert!(self.items > 0 && self.items <= T::PER_BLOCK);
        let at = self.blocks - 1;
        let items = u32::try_from(self.items).expect("a block is small");
        let number = self.step_number + u32::try_from(at).expect("a step is small");
        let block = &mut self.step[at * BLOCK..][..BLOCK];
        Label { kind: T::KIND, number, items }.seal(block, self.seed);
        self.items = 0;
    }

    /// Writes the fences and the header, and gives the file its name. Durable when it returns.
    pub(super) async fn finish(self, about: About) -> Result<PartFile, PartError> {
        let (path, span, store) = (self.path.clone(), self.span, self.store);
        if let Err(error) = self.complete(about).await {
            drop(fs::remove_file(&path).await); // the space is needed more than the file
            return Err(error.into());
        }
        let named = path.with_file_name(span.name());
        fs::rename(&path, &named).await?;
        fs::sync_dir(named.parent().expect("a file lies in a directory")).await?;
        PartFile::open(&named, store).await
    }

    async fn complete(mut self, about: About) -> Result<(), IoError> {
        let queue_fences = std::mem::take(&mut self.queue_fences);
        let key_fences = std::mem::take(&mut self.key_fences);
        self.section().whole(&queue_fences).await?;
        self.section().whole(&key_fences).await?;
        self.write_step().await?;
        let About { base, complete, times } = about;
        let (store, span, counts) = (self.store, self.span, self.counts);
        let header = Header { store, base, span, complete, times, counts };
        let places = header.places().expect("what was written fits into a file");
        assert_eq!(places.blocks, self.step_number, "everything is where the header says");
        let mut block = self.file.buffer(BLOCK);
        header.encode(&mut block);
        self.file.write_at(&Rc::new(block), 0).await?;
        self.file.sync().await?;
        self.file.close().await
    }

    /// Gives the file up.
    pub(super) async fn abandon(self) {
        drop(self.file.close().await);
        drop(fs::remove_file(&self.path).await); // what stays behind is removed at the next start
    }
}

/// What the header says beside what was counted while writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub base: model::PhysicalOffset,
    pub complete: bool,
    pub times: Option<(model::UnixMillis, model::UnixMillis)>,
}

impl<T: Item> Section<'_, T> {
    /// Adds as many of `items` as the block takes that is being filled, one at least; tells how many, and whether they
    /// are its first.
    async fn put(&mut self, items: &[T]) -> Result<(usize, bool), IoError> {
        assert!(!items.is_empty(), "something is put");
        let begins = self.out.items == 0;
        if begins {
            if self.out.blocks == STEP_BLOCKS {
                self.out.write_step().await?;
            }
            self.out.blocks += 1;
        }
        let block = &mut self.out.step[(self.out.blocks - 1) * BLOCK..][..BLOCK];
        let taken = items.len().min(T::PER_BLOCK - self.out.items);
        let places = items_mut::<T>(block, self.out.items, taken);
        for (item, place) in items.iter().zip(places) {
            item.encode(place);
        }
        self.out.items += taken;
        if self.out.items == T::PER_BLOCK {
            self.out.seal::<T>();
        }
        self.out.pace.spend(u32::try_from(taken).expect("a block is small")).await;
        Ok((taken, begins))
    }

    async fn put_all(&mut self, mut items: &[T]) -> Result<(), IoError> {
        while !items.is_empty() {
            let (taken, _) = self.put(items).await?;
            items = &items[taken..];
        }
        Ok(())
    }

    async fn whole(mut self, items: &[T]) -> Result<(), IoError> {
        self.put_all(items).await?;
        self.end();
        Ok(())
    }

    /// For work that goes into this section beside the writing.
    pub(super) async fn spend(&mut self, work: u32) {
        self.out.pace.spend(work).await;
    }

    /// Ends the section and with it its last block.
    pub(super) fn end(self) {
        if self.out.items > 0 {
            self.out.seal::<T>();
        }
    }
}

impl Section<'_, Packed> {
    pub(super) async fn push_all(&mut self, units: &[Packed]) -> Result<(), IoError> {
        self.put_all(units).await?;
        self.out.counts.units += units.len() as u64;
        Ok(())
    }
}

impl Section<'_, Listed> {
    /// Adds a queue; its units are those behind the units of the queue before.
    pub(super) async fn push(&mut self, listed: &Listed) -> Result<(), IoError> {
        let (_, begins) = self.put(std::slice::from_ref(listed)).await?;
        if begins {
            let key: QueueKey = listed.key;
            self.out.queue_fences.push(QueueFence(key));
        }
        self.out.counts.queues += 1;
        Ok(())
    }
}

impl Section<'_, KeyAt> {
    pub(super) async fn push(&mut self, key: &KeyAt) -> Result<(), IoError> {
        let (_, begins) = self.put(std::slice::from_ref(key)).await?;
        if begins {
            self.out.key_fences.push(KeyFence(*key));
        }
        self.out.counts.keys += 1;
        Ok(())
    }
}
