//! What was read from the disk, kept for the readers that come next.
//!
//! Files are read in windows ([`WINDOW`] bytes at multiples of it), because consumers of a backlog come
//! along in order, often several of them: each window is read once, however many wait for it, and the ones
//! behind it ([`AHEAD`]) are read while it is served; where nothing was written to the log for a second more of them, and
//! several with one read ([`TOGETHER`]). A reader that jumps about reads what it needs and no more ([`Touched`]).
//!
//! **Memory.** All windows, also those that are still being read, are charged with the memory behind them,
//! and stay within the budget. What was given out is a view of a window and keeps it alive after it has
//! gone from here; the one who gives it out bounds how many windows one request may hold
//! (`MAX_PINNED` in `read.rs`), and the owner of the store how many requests there are.
//!
//! **Isolation.** At most [`MAX_READS`] reads are on the device at a time, and while the log is written to one more at most
//! begins, which is of a window and waits for the write under way ([`Turns`]).
//!
//! **Files that change.** Committed bytes never change, with two exceptions: a segment that was trimmed is
//! recycled, and an end of the log that lost an election is cut and written anew. The owner takes the
//! segment out of the log first, then calls [`Cache::forget`], then lets the bytes change. A read that
//! began before and ends after it gets [`FetchError::Forgotten`], nothing of it is kept, and looking the
//! segment up again tells whether it is still there. What was given out before is memory of its own
//! and stays what it was.
//!
//! Nothing is checked here: a record is checked where it is served, and [`Cache::distrust`] sees to it that
//! the next reader asks the disk again.

mod load;
mod touched;
mod turns;
mod windows;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use runtime::{BLOCK, IoError, PIECES_MAX, Slice};

use load::Load;
use touched::Touched;
use turns::Turns;
use windows::{Class, Key, Windows};

pub(crate) use load::FetchError;
pub(crate) use turns::{MAX_READS, Writing};
pub(crate) use windows::{FileId, WINDOW};

/// Windows that are read ahead of a reader that comes along. With one, a device that needs long to begin
/// a read would rest in between.
const AHEAD: u64 = 4;
/// Windows that one read brings where nothing was written to the log for a while, from a multiple of so many on: a read costs the
/// shard some 10 µs, whatever it brings. Beside writes a read brings one, for a flush waits for it.
const TOGETHER: u64 = 4;
/// Windows that are read ahead then, behind the [`TOGETHER`] that the reader is in, unless
/// much waits for readers already.
const AHEAD_IN_QUIET: u64 = 3 * TOGETHER;
const _: () = assert!(TOGETHER <= PIECES_MAX as u64);
/// Reads ahead at a time, of all readers together. In quiet the other turns are for readers that
/// wait; beside writes, where there is one turn, those stand in line with what is read ahead.
pub(crate) const MAX_AHEAD: usize = 3;
const _: () = assert!(MAX_AHEAD < MAX_READS);

/// Bytes of a request that make its window worth reading whole.
const DENSE: usize = 16 * 1024;
/// Small reads from one window after which it is read whole.
const TOUCHES: u32 = 3;

/// Something that windows are read from.
pub(crate) trait Source: 'static {
    /// As [`runtime::File::read_at`].
    async fn read_at(&self, pos: u64, len: usize) -> Result<Slice, IoError>;

    /// As [`runtime::File::read_pieces`], of a window each.
    async fn read_windows(&self, pos: u64, count: usize) -> Result<Vec<Slice>, IoError>;
}

/// Where to read.
pub(crate) struct Place<'a, S> {
    pub source: &'a Rc<S>,
    pub file: FileId,
    /// The file's bytes below this do not change any more. Nothing beyond it is kept.
    pub limit: u64,
    /// Several readers may be expected here, as near the end of the log.
    pub shared: bool,
}

/// What to read, in bytes of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub pos: u64,
    /// Bytes needed, at least one.
    pub len: usize,
    /// Bytes of use to the reader, `len` of them or more.
    pub run: usize,
}

/// What the cache of a store has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// How often what was needed was found in memory.
    pub hits: u64,
    /// How often it was waited for.
    pub misses: u64,
    /// Windows read before anybody asked.
    pub read_ahead: u64,
    /// Reads of the disk.
    pub reads: u64,
    /// Bytes read from the disk.
    pub read_bytes: u64,
    /// Bytes of memory behind the windows.
    pub memory: u64,
}

#[derive(Default)]
struct Counters {
    hits: Cell<u64>,
    misses: Cell<u64>,
    read_ahead: Cell<u64>,
    reads: Cell<u64>,
    read_bytes: Cell<u64>,
}

fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get() + n);
}

struct Shared {
    windows: RefCell<Windows>,
    touched: RefCell<Touched>,
    turns: Turns,
    /// Reads ahead that are under way.
    ahead: Cell<usize>,
    /// The first window of those that were last read together in vain: there they are read one by one.
    failed: Cell<Option<Key>>,
    /// Raised whenever a file is forgotten.
    epoch: Cell<u64>,
    counters: Counters,
}

/// The cache of a store. A clone is the same.
#[derive(Clone)]
pub(crate) struct Cache {
    shared: Rc<Shared>,
}

/// How a request goes on.
enum Step {
    Here(Slice),
    Wait(Rc<Load>),
    /// A read of so many bytes, of which nothing is kept.
    Direct(usize),
}

impl Cache {
    /// A cache whose windows have `budget` bytes of memory at most. With less than a window nothing is
    /// kept.
    pub(crate) fn new(budget: usize) -> Self {
        let shared = Shared {
            windows: RefCell::new(Windows::new(budget)),
            touched: RefCell::default(),
            turns: Turns::new(),
            ahead: Cell::new(0),
            failed: Cell::new(None),
            epoch: Cell::new(0),
            counters: Counters::default(),
        };
        Self { shared: Rc::new(shared) }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let counters = &self.shared.counters;
        CacheStats {
            hits: counters.hits.get(),
            misses: counters.misses.get(),
            read_ahead: counters.read_ahead.get(),
            reads: counters.reads.get(),
            read_bytes: counters.read_bytes.get(),
            memory: self.shared.windows.borrow().memory() as u64,
        }
    }

    /// The bytes from `want.pos` on: `want.len` at least and `want.run` at most, as many as are at hand. No
    /// copy, unless what is needed crosses the end of a window. Cancel safe.
    ///
    /// # Errors
    /// [`FetchError`]. A window that cannot be read does not stand in the way of the bytes in it that can.
    pub(crate) async fn fetch<S: Source>(
        &self,
        place: &Place<'_, S>,
        want: Want,
    ) -> Result<Slice, FetchError> {
        assert!(want.len > 0 && want.len <= want.run, "{want:?}");
        assert!(want.pos + want.run as u64 <= place.limit, "{want:?} is beyond {}", place.limit);
        let epoch = self.shared.epoch.get();
        let first = self.piece(place, want, want.run >= DENSE, epoch).await?;
        if first.len() >= want.len {
            return Ok(first);
        }
        let mut whole = runtime::buffer(want.len);
        whole[..first.len()].copy_from_slice(&first);
        let mut filled = first.len();
        drop(first); // a large record does not hold all its windows
        while filled < want.len {
            let left = want.len - filled;
            let rest = Want { pos: want.pos + filled as u64, len: left, run: left };
            let piece = self.piece(place, rest, true, epoch).await?;
            whole[filled..filled + piece.len()].copy_from_slice(&piece);
            filled += piece.len();
        }
        Ok(Slice::new(Rc::new(whole), 0..want.len))
    }

    /// The first bytes of `want`, from one window or one read: all, or up to the window's end.
    async fn piece<S: Source>(
        &self,
        place: &Place<'_, S>,
        want: Want,
        dense: bool,
        epoch: u64,
    ) -> Result<Slice, FetchError> {
        if self.shared.epoch.get() != epoch {
            return Err(FetchError::Forgotten);
        }
        let key = Key::of(place.file, want.pos);
        let in_window = usize::try_from(key.end() - want.pos).expect("within a window");
        let needed = want.len.min(in_window);
        let window = match self.step(place, key, want, dense) {
            Step::Here(window) => {
                add(&self.shared.counters.hits, 1);
                window
            }
            Step::Wait(load) => {
                add(&self.shared.counters.misses, 1);
                match load.outcome().await {
                    Ok(window) => {
                        self.shared.windows.borrow_mut().no_longer_new(key);
                        window
                    }
                    Err(FetchError::Forgotten) => return Err(FetchError::Forgotten),
                    // What is bad may lie elsewhere in the window.
                    Err(FetchError::Short | FetchError::Io(_)) => {
                        return self.read(&**place.source, want.pos, needed, epoch).await;
                    }
                }
            }
            Step::Direct(len) => {
                add(&self.shared.counters.misses, 1);
                return self.read(&**place.source, want.pos, len, epoch).await;
            }
        };
        self.read_ahead(place, key, epoch);
        let at = WINDOW - in_window;
        assert!(at + needed <= window.len(), "the window reaches to what is needed");
        Ok(window.slice(at..window.len().min(at + want.run)))
    }

    fn step<S: Source>(&self, place: &Place<'_, S>, key: Key, want: Want, dense: bool) -> Step {
        let in_window = usize::try_from(key.end() - want.pos).expect("within a window");
        let end = want.pos + want.len.min(in_window) as u64;
        let mut windows = self.shared.windows.borrow_mut();
        if let Some(window) = windows.take(key, end) {
            return Step::Here(window);
        }
        if let Some(load) = windows.loading(key) {
            // The file has grown since that load began: the rest is not in it.
            let enough = load.end >= end;
            return if enough { Step::Wait(load) } else { Step::Direct(want.len.min(in_window)) };
        }
        let comes_along = key.before().is_some_and(|before| windows.contains(before));
        drop(windows);
        let dense = dense || comes_along || self.shared.touched.borrow_mut().note(key) >= TOUCHES;
        if !dense {
            assert!(want.run < DENSE, "what is read at once is small");
            return Step::Direct(want.run);
        }
        match self.load(place, key) {
            Some(load) => Step::Wait(load),
            None => Step::Direct(want.run.min(in_window)),
        }
    }

    /// Begins to read a window; `None` when there is no room for it.
    fn load<S: Source>(&self, place: &Place<'_, S>, key: Key) -> Option<Rc<Load>> {
        let (load, len) = self.reserve(place, key)?;
        let (cache, source, told) = (self.clone(), Rc::clone(place.source), Rc::clone(&load));
        let epoch = self.shared.epoch.get();
        runtime::spawn(async move {
            let outcome = cache.read(&*source, key.start(), len, epoch).await;
            cache.settle(key, &told, outcome, false);
        })
        .detach();
        Some(load)
    }

    /// Makes room for a window that is to be read; its load, and how many bytes there are of it.
    fn reserve<S: Source>(&self, place: &Place<'_, S>, key: Key) -> Option<(Rc<Load>, usize)> {
        let end = key.end().min(place.limit);
        let len = usize::try_from(end - key.start()).expect("a window is small");
        let class = if place.shared { Class::Shared } else { Class::Once };
        let load = Rc::new(Load::new(end));
        let memory = len.next_multiple_of(BLOCK);
        let mut windows = self.shared.windows.borrow_mut();
        windows.reserve(key, memory, class, &load).then_some((load, len))
    }

    /// Hands what was read to the window, and to those who wait for it.
    fn settle(&self, key: Key, load: &Rc<Load>, outcome: Result<Slice, FetchError>, ahead: bool) {
        let bytes = outcome.as_ref().ok().cloned();
        self.shared.windows.borrow_mut().settle(key, load, bytes, ahead);
        load.finish(outcome);
    }

    /// Reads from the disk when it is this read's turn. `epoch` is that of the moment when the file was
    /// known to be there.
    async fn read<S: Source>(
        &self,
        source: &S,
        pos: u64,
        len: usize,
        epoch: u64,
    ) -> Result<Slice, FetchError> {
        let bytes = self.in_turn(epoch, async || source.read_at(pos, len).await).await?;
        add(&self.shared.counters.read_bytes, bytes.len() as u64);
        assert!(bytes.len() <= len, "no more is read than was asked for");
        if bytes.len() < len { Err(FetchError::Short) } else { Ok(bytes) }
    }

    /// Reads when it is this read's turn.
    async fn in_turn<T>(
        &self,
        epoch: u64,
        read: impl AsyncFnOnce() -> Result<T, IoError>,
    ) -> Result<T, FetchError> {
        let turn = self.shared.turns.take().await;
        let read = read().await;
        drop(turn);
        add(&self.shared.counters.reads, 1);
        if self.shared.epoch.get() != epoch {
            return Err(FetchError::Forgotten);
        }
        read.map_err(|error| FetchError::Io(std::sync::Arc::new(error)))
    }

    /// Reads the windows behind `key` if a reader comes along.
    fn read_ahead<S: Source>(&self, place: &Place<'_, S>, key: Key, epoch: u64) {
        if self.shared.epoch.get() != epoch || !self.shared.windows.borrow_mut().leads(key) {
            return; // `place` may be of before, or nobody comes along
        }
        let mut next = key.next();
        // Part of a window would have to be read again when the file has grown.
        while next.end() <= place.limit {
            let (together, last) = self.reach(key);
            if next > last {
                return;
            }
            let fails = self.shared.failed.get().is_some_and(|first| first.shares(next, TOGETHER));
            let behind = next.round_up(if fails { 1 } else { together });
            if self.shared.windows.borrow().contains(next) {
                next = next.next();
            } else if let Some(then) = self.load_ahead(place, next, behind) {
                next = then;
            } else {
                return self.shared.windows.borrow_mut().lead_again(key);
            }
        }
    }

    /// How many windows one read may bring, and the last one to be read ahead of a reader at `key`.
    fn reach(&self, key: Key) -> (u64, Key) {
        let many_new = self.shared.windows.borrow().are_many_new(TOGETHER);
        match self.shared.turns.are_calm() && !many_new {
            true => (TOGETHER, key.round_up(TOGETHER).plus(AHEAD_IN_QUIET - 1)),
            false => (1, key.plus(AHEAD)),
        }
    }

    /// Begins to read the windows from `first` to before `behind` that are not here, as far as they follow each other and the file
    /// reaches; the next one behind those. `None` when it is not the time, or there is no room.
    fn load_ahead<S: Source>(&self, place: &Place<'_, S>, first: Key, behind: Key) -> Option<Key> {
        if self.shared.ahead.get() >= MAX_AHEAD {
            return None;
        }
        let mut loads = Vec::new();
        let mut next = first;
        while next < behind && next.end() <= place.limit {
            if self.shared.windows.borrow().contains(next) {
                break;
            }
            let Some((load, _)) = self.reserve(place, next) else { break };
            loads.push((next, load));
            next = next.next();
        }
        if loads.is_empty() {
            return None;
        }
        add(&self.shared.counters.read_ahead, loads.len() as u64);
        self.shared.ahead.set(self.shared.ahead.get() + 1);
        let (cache, source) = (self.clone(), Rc::clone(place.source));
        let epoch = self.shared.epoch.get();
        runtime::spawn(async move {
            let read = async || {
                // A write may have begun since then. Who waits for the others reads what he needs himself.
                let count = if cache.shared.turns.are_calm() { loads.len() } else { 1 };
                source.read_windows(first.start(), count).await
            };
            let outcome = cache.in_turn(epoch, read).await;
            cache.shared.ahead.set(cache.shared.ahead.get() - 1);
            if matches!(outcome, Err(FetchError::Io(_))) && loads.len() > 1 {
                cache.shared.failed.set(Some(first));
            }
            cache.settle_all(loads, outcome);
        })
        .detach();
        Some(next)
    }

    /// As [`Cache::settle`], of windows that were read together.
    fn settle_all(&self, loads: Vec<(Key, Rc<Load>)>, outcome: Result<Vec<Slice>, FetchError>) {
        let (mut windows, why) = match outcome {
            Ok(windows) => (windows.into_iter(), FetchError::Short),
            Err(why) => (Vec::new().into_iter(), why),
        };
        for (key, load) in loads {
            let window = windows.next().filter(|window| window.len() == WINDOW);
            add(
                &self.shared.counters.read_bytes,
                window.as_ref().map_or(0, |bytes| bytes.len() as u64),
            );
            self.settle(key, &load, window.ok_or_else(|| why.clone()), true);
        }
    }

    /// Reads a few bytes without leaving a trace: from a window that is here, or from the disk. For
    /// searches, which jump about and do not come back. Cancel safe.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(crate) async fn peek<S: Source>(
        &self,
        place: &Place<'_, S>,
        pos: u64,
        len: usize,
    ) -> Result<Slice, FetchError> {
        let end = pos + len as u64;
        assert!(len > 0 && len <= WINDOW && end <= place.limit, "{len} bytes at {pos}");
        let key = Key::of(place.file, pos);
        let here = self.shared.windows.borrow().peek(key, end);
        if let Some(window) = here {
            add(&self.shared.counters.hits, 1);
            let at = usize::try_from(pos - key.start()).expect("within a window");
            return Ok(window.slice(at..at + len));
        }
        add(&self.shared.counters.misses, 1);
        self.read(&**place.source, pos, len, self.shared.epoch.get()).await
    }

    /// The owner begins to write to the device, and drops what it gets when it has flushed that. See [`Turns`].
    pub(crate) fn log_writes(&self) -> Writing<'_> {
        self.shared.turns.write()
    }

    /// Waits for the end of such a write, half a millisecond at most. False when there is one all the same. Cancel safe.
    pub(crate) async fn between_writes(&self) -> bool {
        self.shared.turns.between_writes().await
    }

    /// Notes that records of `bytes` bytes were given out at `pos`; see [`Class`].
    pub(crate) fn served(&self, file: FileId, pos: u64, bytes: u64) {
        self.shared.windows.borrow_mut().served(Key::of(file, pos), bytes);
    }

    /// Drops what is kept of `len` bytes at `pos`, which turned out to be damaged.
    pub(crate) fn distrust(&self, file: FileId, pos: u64, len: u64) {
        let mut windows = self.shared.windows.borrow_mut();
        let mut key = Key::of(file, pos);
        while key.start() < pos + len {
            windows.distrust(key);
            key = key.next();
        }
    }

    /// Drops what is kept of the file's bytes from `from` on, and lets reads that are under way fail with
    /// [`FetchError::Forgotten`]. To be called when nobody finds these bytes any more, and before they
    /// change.
    pub(crate) fn forget(&self, file: FileId, from: u64) {
        self.shared.epoch.set(self.shared.epoch.get() + 1);
        self.shared.windows.borrow_mut().forget(file, from);
    }
}

#[cfg(test)]
mod tests;
